"""Working through a list, or through several checks: all their faults are one error, each with its place."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.kit.errors import FieldProblem, InvalidRequest

Item = TypeVar("Item")
Made = TypeVar("Made")

MOST_FAULTS = 20
"""that are reported, as of any other request"""


def for_each(items: Sequence[Item], make: Callable[[Item], Made], where: Callable[[int], str] = str) -> list[Made]:
    """Make something of each item of a list, and return what was made in its order; `where` names an item's place.

    Raises:
        InvalidRequest: of the first fault's class; names the fields of every item that does not fit, each by its path
            from the list: `3.context.kind`.
    """
    made: list[Made] = []
    errors: list[InvalidRequest] = []
    faults: list[FieldProblem] = []
    for index, item in enumerate(items):
        try:
            made.append(make(item))
        except InvalidRequest as error:
            errors.append(error)
            faults += _placed(error, where(index))
    _raise(errors, faults)
    return made


def check_all(*checks: Callable[[], object]) -> None:
    """Make every one of some checks.

    Raises:
        InvalidRequest: of the first fault's class; names the fields of every check that failed.
    """
    errors: list[InvalidRequest] = []
    for check in checks:
        try:
            check()
        except InvalidRequest as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    _raise(errors, [fault for error in errors for fault in error.errors])


def _raise(errors: Sequence[InvalidRequest], faults: Sequence[FieldProblem]) -> None:
    if errors:
        detail = " ".join(fault.with_value for fault in faults[:3])
        raise type(errors[0])(detail, param=faults[0].param, errors=list(faults[:MOST_FAULTS]))


def _placed(error: InvalidRequest, place: str) -> list[FieldProblem]:
    if not error.errors:
        return [FieldProblem(param=place, message=error.detail)]
    return [fault.model_copy(update={"param": f"{place}.{fault.param}"}) for fault in error.errors]
