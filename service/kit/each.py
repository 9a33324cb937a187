"""Working through a list that was sent: the faults of all its items are one error, each with its place."""

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
    first: InvalidRequest | None = None
    faults: list[FieldProblem] = []
    for index, item in enumerate(items):
        try:
            made.append(make(item))
        except InvalidRequest as error:
            first = first or error
            faults += _placed(error, where(index))
    if first is not None:
        detail = " ".join(fault.with_value for fault in faults[:3])
        raise type(first)(detail, param=faults[0].param, errors=faults[:MOST_FAULTS])
    return made


def _placed(error: InvalidRequest, place: str) -> list[FieldProblem]:
    if not error.errors:
        return [FieldProblem(param=place, message=error.detail)]
    return [fault.model_copy(update={"param": f"{place}.{fault.param}"}) for fault in error.errors]
