"""Tables of the page's lists: their columns, and the filters that stand above them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin

from fastapi import Request
from pydantic import ValidationError
from sqlalchemy.orm import Session

from gapcast.contract.lists import PageQuery
from service.kit.errors import InvalidRequest
from service.kit.problems import field_problems
from service.settings import Settings

Item = TypeVar("Item")
Choice = tuple[str, str]
"""a value, and what it is called"""
MOST_ROWS = 20
"""of a page, as of the API's; each prediction takes a millisecond, and one of ten rows takes half as long"""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its head.
        unit: of its numbers, below the head.
        number: True where the cells are numbers, which stand to the right.
        first: True where a narrow screen shows it beside the item's name.
        sort: what the list is sorted by for it.
    """

    name: str
    unit: str = ""
    number: bool = False
    first: bool = False
    sort: str = ""


class Row(NamedTuple):
    """An item of a list.

    Attributes:
        address: where it is shown whole.
        name: people's own name for it and its tags, or what it is.
        cells: a text for each column.
        created_at: when it was made.
        mark: `live`, `excluded` or nothing: how the row looks.
    """

    address: str
    name: str
    cells: Sequence[str]
    created_at: str | None = None
    mark: str = ""


class Found(NamedTuple, Generic[Item]):
    """Items that were read, and the id after which the following ones begin, if there are any."""

    items: Sequence[Item]
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table(Generic[Item]):
    """A list with a page of its own.

    Attributes:
        path: of its page, and of the API's list below `/v1/`.
        title: of the page.
        point: a sentence on what the items are.
        more: how people get one.
        item: the head of the column that names each item.
        columns: the others, in the order of a row's cells.
        adds: what a link to the page that adds items says, and its address.
        created: the head of the column that says when an item was made; nothing: it is not known.
        read: reads a page of it.
        row: makes an item's row.
        query: the parameters that narrow it; null: the list is always whole.
        filters: those of the parameters that stand above the table, with what they are called.
        exported: the formats in which the API writes the whole list to a file; none: this page writes CSV and NDJSON.
        compared: where those are led to that are chosen to be compared.
    """

    path: str
    title: str
    point: str
    more: str
    item: str
    columns: Sequence[Column]
    read: Callable[[Session, str, Settings, Any], Found[Item]]
    row: Callable[[Item], Row]
    query: type[PageQuery] | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    exported: Sequence[str] = ()
    compared: str = ""
    created: str = ""
    adds: Choice | None = None


class Filter(NamedTuple):
    """An input above a table."""

    name: str
    label: str
    value: str
    choices: Sequence[Choice] = ()


def filters(table: Table[Any], request: Request, names: Mapping[str, Mapping[str, str]]) -> list[Filter]:
    """Return the inputs above a table with what the address holds; `names` has what choices are called."""
    if table.query is None:
        return []
    found = []
    for name, label in table.filters.items():
        values = _choices(table.query.model_fields[name].annotation)
        choices = [(one, names.get(name, {}).get(one, one.replace("_", " "))) for one in values]
        found.append(Filter(name, label, request.query_params.get(name, ""), choices))
    return found


def asked(table: Table[Any], request: Request) -> PageQuery | None:
    """Read the parameters of the address; an input that was left empty narrows nothing.

    Raises:
        InvalidRequest: a parameter is not what the list takes.
    """
    if table.query is None:
        return None
    given: dict[str, Any] = {"limit": MOST_ROWS}
    for name, value in request.query_params.multi_items():
        if value.strip() and name in {"tag", "id"}:
            given.setdefault(name, []).extend(value.split())
        elif value.strip():
            given[name] = value.strip()
    try:
        return table.query.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest(" ".join(one.with_value for one in field_problems(error.errors()[:3]))) from None


def _choices(annotation: Any) -> Sequence[str]:  # noqa: ANN401
    """The values that a parameter takes, null or not, if they can be counted."""
    for one in (annotation, *get_args(annotation)):
        if get_origin(one) is Literal:
            return get_args(one)
        if one is bool:
            return ("true", "false")
    return ()
