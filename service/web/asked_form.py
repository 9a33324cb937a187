"""The form as the request that it means, and each fault beside the field that it is of."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from gapcast.contract.predictions import PredictionRequest
from service.kit.errors import FieldProblem, GapcastError, InvalidRequest
from service.kit.problems import field_problems
from service.web.filled_form import GROUPS, OPTIONS, Body, path_of
from service.web.form import CONTROLS, Field
from service.web.sent import Sent

CHOSEN = ("model.name", "task", "context.kind", "pool")
"""the fields that are sent as they are"""
CONTROLS_NAME = "probe.controls"
OF = next(field for field in GROUPS["context_options"] if field.name == f"{OPTIONS}of")
"""the kind that a control is of"""


def body_of(sent: Sent) -> dict[str, Any]:
    """Return the body that a form means: what the chosen kind takes, with numbers in the API's units."""
    kind = _last(sent, "context.kind")
    body: dict[str, Any] = {}
    for name in CHOSEN:
        if name in sent:
            _set(body, name, _last(sent, name))
    for field in (field for fields in GROUPS.values() for field in fields if _applies(field, sent)):
        if field.checkbox:
            _set(body, path_of(field.name, kind), field.name in sent)
        elif field.name in sent:
            _set(body, path_of(field.name, kind), _value(field, _last(sent, field.name)))
    run = sent.get(CONTROLS_NAME, ())
    _set(body, CONTROLS_NAME, [one.name for one in CONTROLS if one.name in run and kind in one.kinds])
    return body


def _last(sent: Sent, name: str) -> str:
    return sent.get(name, ("",))[-1]


def _applies(field: Field, sent: Sent) -> bool:
    """True if the chosen kind takes it, or the kind that the chosen one is a control of."""
    kind = _last(sent, "context.kind")
    kinds = {kind} | ({_last(sent, OF.name)} if kind in OF.kinds else set())
    other, _, value = field.when.partition("=")
    is_taken = not field.kinds or not kinds.isdisjoint(field.kinds)
    return is_taken and (not other or _last(sent, f"{OPTIONS}{other}") == value)


def _value(field: Field, text: str) -> str | float:
    """Read an input; what is not a number stays as it is, and the contract says so."""
    if field.choices or field.longest:
        return text.replace("\r\n", "\n")
    try:
        return int(text) if field.whole else float(text) / field.scale
    except ValueError:
        return text


def _set(body: dict[str, Any], path: str, value: object) -> None:
    *keys, last = path.split(".")
    for key in keys:
        body = body.setdefault(key, {})
    body[last] = value


def request_of(body: Body) -> PredictionRequest:
    """Return the request of a body.

    Raises:
        InvalidRequest: the body is not valid, field by field.
    """
    try:
        return PredictionRequest.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(errors=field_problems(error.errors())) from None


class Faults(NamedTuple):
    """What is wrong with a form.

    Attributes:
        fields: what is wrong with each field, by its name, in the order of the form.
        rest: what is of no field.
    """

    fields: Mapping[str, str]
    rest: str


NO_FAULTS = Faults({}, "")


def faults_of(error: GapcastError, body: Body) -> Faults:
    """Put each problem beside the field that it names."""
    problems = error.errors or [FieldProblem(param=error.param or "", message=error.detail)]
    kind = body.get("context", {}).get("kind", "")
    told: dict[str, str] = {}
    for field in _fields():
        path = path_of(field, kind)
        for one in problems:
            if one.param in {path, path.removesuffix(".name")}:
                told[field] = f"{one.with_value.removeprefix(f'{one.param}: ')}{_unit(field)}"
                problems = [other for other in problems if other is not one]
    return Faults(told, " ".join(one.with_value.removeprefix(": ") for one in problems))


def _fields() -> Iterator[str]:
    yield from CHOSEN
    yield from (field.name for fields in GROUPS.values() for field in fields)
    yield CONTROLS_NAME


SCALED = {field.name for fields in GROUPS.values() for field in fields if field.scale != 1}


def _unit(name: str) -> str:
    return " These are shares: 0.01 is 1 accuracy point." if name in SCALED else ""
