"""Configurations to choose from: a list, or a base and the values of its fields that vary."""

from typing import Any, Self

from pydantic import Field, PrivateAttr, model_validator

from gapcast.contract.base import FieldError, JsonObject, Strict
from gapcast.contract.faults import shown
from gapcast.contract.labels import Labelled
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.varying import FEWEST, MOST, named, varied


class Space(Labelled, Strict):
    """Configurations that share a task and a problem set."""

    configurations: list[PredictionRequest] | None = Field(
        None, min_length=FEWEST, max_length=MOST, description="in place of `base` and `vary`"
    )
    base: JsonObject | None = Field(
        None, description="a configuration as POST /v1/predictions takes it, without the fields that are varied"
    )
    vary: dict[str, list[Any] | JsonObject] | None = Field(
        None,
        description="values by field, such as `recipe.teacher: [frozen, ema]`: every combination is compared. "
        "A mapping in place of a list gives each value a name, such as `context: {short: {kind: hints}}`",
    )
    _asked: list[PredictionRequest] = PrivateAttr(default_factory=list)

    @property
    def is_probed(self) -> bool:
        """True if the gaps are to be measured here; else every configuration names the probe that has measured it."""
        return self.asked[0].probe_id is None

    @property
    def asked(self) -> list[PredictionRequest]:
        """The configurations that are compared, each with a name."""
        return self._asked

    @model_validator(mode="after")
    def _expand(self) -> Self:
        if self.configurations is not None:
            if self.base is not None or self.vary is not None:
                name = "vary" if self.base is None else "base"
                raise FieldError(name, "expected either configurations or base and vary, got both. Leave one out.")
            self._asked = list(named(self.configurations))
        elif self.base is None or not self.vary:
            missing = "base" if self.base is None else "vary"
            raise FieldError(
                missing, "expected base and vary, or configurations in place of both, got nothing. Add it."
            )
        else:
            self._asked = list(varied(self.base, self.vary))
        self._refuse_what_is_not_comparable()
        return self

    def _refuse_what_is_not_comparable(self) -> None:
        first = self._asked[0]
        seen: dict[str, str] = {}
        for place, one in enumerate(self._asked):
            where = self.where(place)
            if one.gap is not None:
                message = "the gaps are measured here. Leave gap out, or send given gaps to POST /v1/predictions."
                raise FieldError(f"{where}.gap", message)
            if (one.probe_id is None) != (first.probe_id is None):
                message = "expected a stored probe in every configuration or in none, got both. Name all or none."
                raise FieldError(f"{where}.probe_id", message)
            if one.probe is not None and one.probe.target_half_width is not None:
                message = "belongs to predictions: how many problems each configuration gets is decided here."
                raise FieldError(f"{where}.probe.target_half_width", f"{message} Leave it out.")
            for name, ours, theirs in (
                ("task", one.task, first.task),
                ("pool", one.pool, first.pool),
                ("verdict_on", one.verdict_on, first.verdict_on),
                ("probe.seed", one.probe and one.probe.seed, first.probe and first.probe.seed),
            ):
                if ours != theirs:
                    message = f"expected {shown(theirs)} as in the first one: what is compared shares it."
                    raise FieldError(f"{where}.{name}", f"{message} Got {shown(ours)}.", ours)
            content = one.model_dump_json(exclude={"name", "tags"})
            if content in seen:
                message = f"is the same as {seen[content]}. Compare configurations that differ."
                raise FieldError(where, message)
            seen[content] = where

    def where(self, place: int) -> str:
        """Return where a configuration stands in the request."""
        if self.configurations is not None:
            return f"configurations.{place}"
        return f"vary[{self._asked[place].name}]"
