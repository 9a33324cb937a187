"""A comparison as a user asks for it: files, `--vary` and the other options, and what is wrong with them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gapcast.cli.configuration import Configuration, Configurations, read_configurations
from gapcast.cli.predict import request_of as request_of_prediction
from gapcast.cli.terminal import refuse
from gapcast.contract.base import JsonObject
from gapcast.contract.faults import shown

OPTIONS = {
    "confidence": "--confidence",
    "indifference": "--indifference",
    "pick": "--pick",
    "budget.rollouts": "--budget-rollouts",
    "budget.gpu_hours": "--budget-gpu-hours",
    "budget.minutes": "--budget-minutes",
}
"""The options that set a field of the request."""
MEMBER = re.compile(r"vary\[[^]]*\]\.(.+)")
"""a field of one of the configurations that `vary` has made"""
WHOLE = frozenset({"base", "vary", "configurations"})
"""Fields by which a file is the request itself, and not one of the configurations."""


class Asked:
    """A comparison as a user asks for it, which knows where each of its fields stands.

    Attributes:
        body: of the request.
        options: a configuration whose places are those of fields that are not in `base` or `configurations`.
    """

    def __init__(
        self,
        body: JsonObject,
        options: Configuration,
        *,
        varied: Iterable[str] = (),
        base: Configuration | None = None,
        listed: Configurations | None = None,
    ) -> None:
        self.body, self.options = body, options
        self._varied, self._base, self._listed = list(varied), base, listed

    @classmethod
    def read(
        cls,
        paths: Sequence[Path],
        settings: Sequence[str] | None,
        vary: Sequence[str] | None,
        pool: str | None,
        command: str = "gapcast compare",
    ) -> "Asked":
        """Read files and the options that belong to configurations, for a command.

        Raises:
            typer.Exit: with code 2, after what is wrong with them is printed.
        """
        varied = values_of(vary or [])
        read = read_configurations(paths, settings)
        first = read[0]
        if len(read) == 1 and WHOLE & first.keys():
            return cls._whole(first, varied, pool, command)
        bodies = [_body(one, pool, command) for one in read]
        if varied:
            if len(read) > 1:
                refuse([f"--vary: expected one configuration to vary, got {len(read)}. Leave --vary out."])
            return cls({"base": bodies[0], "vary": varied}, Configuration(), varied=varied, base=first)
        if len(read) == 1:
            refuse(
                [
                    f"{first.file}: expected several configurations, got one. Name another file, or vary a field of "
                    "it: --vary context=hints,feedback"
                ]
            )
        for one, body in zip(read, bodies, strict=True):
            if not one.number:  # in a file with others it is better called by its context, as the server does
                body.setdefault("name", one.title[-200:])
        return cls({"configurations": bodies}, Configuration(), listed=read)

    @classmethod
    def _whole(cls, file: Configuration, varied: Mapping[str, Any], pool: str | None, command: str) -> "Asked":
        """Take a file that is the request itself."""
        body, many = dict(file), file.get("configurations")
        for place, part in (("base", file.get("base")), *((f"configurations.{at}", one) for at, one in _items(many))):
            if pool is not None and isinstance(part, dict):
                part["pool"] = pool
                file.named_by({f"{place}.pool": "--pool"})
        if "base" in body:
            body["base"] = _sent(body["base"])
        if isinstance(many, list):
            body["configurations"] = [_sent(one) for one in many]
        file.refuse_unsent(command, body)
        if varied:
            before = body.get("vary")
            body["vary"] = {**(before if isinstance(before, dict) else {}), **varied}
        return cls(body, file, varied=varied)

    def choose(self, rules: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
        """Set what the options say of the rules and the budget; what is None is left as it is."""
        given = {name: value for name, value in rules.items() if value is not None}
        limits = {name: value for name, value in budget.items() if value is not None}
        self.body |= given
        if limits:
            before = self.body.get("budget")
            self.body["budget"] = {**(before if isinstance(before, dict) else {}), **limits}
        self.options.named_by({field: OPTIONS[field] for field in (*given, *(f"budget.{name}" for name in limits))})

    def pick_at_least(self, number: int) -> None:
        """Let as many be picked as are to be trained, unless more are."""
        before = self.body.get("pick")
        if not isinstance(before, int) or before < number:
            self.body["pick"] = number
            self.options.named_by({"pick": "--train"})

    def refusals(self, faults: Iterable[tuple[str, str]]) -> list[str]:
        """Return the lines to print about fields of the request, each where its user has written it."""
        lines = []
        for at, told in faults:
            param, message = self._without_member(at, told)
            head, _, rest = param.partition(".")
            option = next((field for field in self._varied if f"{param}.".startswith(f"vary.{field}.")), None)
            if option is not None:
                value = param.removeprefix(f"vary.{option}").removeprefix(".")
                lines.append(f"--vary {option}: {f'{value}: ' if value else ''}{message}")
            elif head == "base" and self._base is not None:
                lines += self._base.refusals([(rest, message)])
            elif head == "configurations" and rest and self._listed is not None:
                place = f"configurations.{rest.partition('.')[0]}."
                lines += self._listed.refusals([(rest, message.replace(place, ""))])
            else:
                lines += self.options.refusals([(param, message)])
        return [*dict.fromkeys(lines)]  # an option that does not fit does not fit any of them

    def _without_member(self, param: str, message: str) -> tuple[str, str]:
        """Return the place of a fault that the server found in one varied configuration where it was written."""
        at = MEMBER.fullmatch(param)
        if at is None or self._base is None or any(f"{at[1]}.".startswith(f"{field}.") for field in self._varied):
            return param, message
        return f"base.{at[1]}", message.removeprefix(f"{param}: ")


def _items(many: Any) -> Iterable[tuple[int, Any]]:  # noqa: ANN401
    return enumerate(many) if isinstance(many, list) else ()


def _sent(part: Any) -> Any:  # noqa: ANN401
    """The part of a run's configuration that is compared; what is none is left for the server to refuse."""
    return request_of_prediction(part) if isinstance(part, dict) else part


def _body(one: Configuration, pool: str | None, command: str) -> JsonObject:
    if pool is not None:
        one["pool"] = pool
        one.named_by({"pool": "--pool"})
    body = request_of_prediction(one)
    one.refuse_unsent(command, body)
    return body


def values_of(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values of each `--vary FIELD=VALUES`, a list or a mapping that names them.

    Raises:
        typer.Exit: with code 2, after what is wrong with them is printed.
    """
    from gapcast.cli.yaml_reading import read_yaml

    varied: dict[str, Any] = {}
    lines = []
    for setting in settings:
        field, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not all(field.split(".")):
            lines.append(f"--vary: expected FIELD=VALUES, got {shown(setting)}. Write --vary context=hints,feedback.")
            continue
        if field in varied:
            lines.append(f"--vary {field}: appears twice. Write all of its values into one.")
            continue
        read = read_yaml(f"[{text}]")
        lines += [f"--vary {field}: {fault.message}" for fault in read.faults]
        varied[field] = _values(field, read.value or [])
    if lines:
        refuse(lines)
    return varied


def _values(field: str, values: list[Any]) -> Any:  # noqa: ANN401
    (alone,) = values if len(values) == 1 else (None,)
    if isinstance(alone, list):
        values = alone  # brackets of the user's own
    elif isinstance(alone, dict) and not (
        (field == "context" and "kind" in alone) or (field == "model" and "name" in alone)
    ):
        return {name: _value(field, value) for name, value in alone.items()}
    return [_value(field, value) for value in values]


def _value(field: str, value: Any) -> Any:  # noqa: ANN401
    return {"kind": value} if field == "context" and isinstance(value, str) else value
