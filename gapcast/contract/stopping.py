"""When a run is to be stopped: the rule that its user asks for, and what it says after a look (docs: LIVE)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gapcast.contract.base import FieldError, Finite, Strict

ERROR, ALPHA = 0.05, 0.10
"""the stated error of the learnt threshold, and the probability that stands in for it (docs: LIVE, "Stopping rule")"""


class StopRule(Strict):
    """Stop a run that will probably not gain enough."""

    min_gain: float | None = Field(
        None, ge=-1, le=1, description="the improvement that makes a run worth it; null: the prediction's, else 0"
    )
    error: float | None = Field(
        None, gt=0, le=0.5, description="share of good runs that may be stopped; null: 0.05, unless `alpha` is sent"
    )
    alpha: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="in place of `error`: stop once the probability of an improvement above `min_gain` is below this",
    )
    cold: bool = Field(False, description="true: stop in a cold cell too, of which fewer than 3 curves are stored")

    @property
    def resolved(self) -> "StopRule":
        """The same with the usual error where neither error nor alpha was sent."""
        return self if self.alpha is not None or self.error is not None else self.model_copy(update={"error": ERROR})

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.error is not None and self.alpha is not None:
            raise FieldError("alpha", "stands in place of error. Send one of the two.", self.alpha)
        return self


Reason = Literal["hopeless", "worth_it", "too_early", "too_late", "cold", "kept_going"]
"""Why a rule says what it says: below the threshold; above it; before 5 % or after 75 % of the steps; nothing is known
of such runs; below it, but the run is one of those that go on so that the rule can be checked."""


class Ruling(Finite):
    """What a stopping rule says after a look."""

    step: int
    stop: bool
    reason: Reason
    p_above_min_gain: float
    threshold: float = Field(description="the probability below which a run is stopped")
    learnt: bool = Field(description="true: the threshold is that of `error`, from finished runs; false: it is `alpha`")
    message: str
