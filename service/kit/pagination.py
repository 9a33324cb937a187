"""Lists: keyset pages in OpenAI's shape, and the filters that narrow them."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from service.kit.labels import Labelled

ID_DIGITS = 32
"""after the kind and its underscore"""
OTHERS = frozenset({"after", "limit", "order", "sort", "format"})
"""the query parameters that do not narrow a list"""


class PageRequest(Protocol):
    """Which part of a list is asked for."""

    after: str | None
    limit: int
    order: Literal["asc", "desc"]


Selected = TypeVar("Selected", bound=Select[*tuple[Any, ...]])


UNKNOWN = -1e9
"""stands for a number that an item does not have: it comes last where the largest come first"""


def select_page(
    query: Selected,
    key: InstrumentedAttribute[str],
    page: PageRequest,
    sorts: Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any]] = MappingProxyType({}),
) -> Selected:
    """Order a query by its id column and cut it to the page, with one row more to know whether others follow.

    `sorts` has the numbers that a list can be sorted by, by what `sort` names them.
    """
    by = sorts.get(getattr(page, "sort", ""))
    if by is not None:
        return _sorted(query, key, page, func.coalesce(by, UNKNOWN))
    if page.after is not None:
        query = query.where(key > page.after if page.order == "asc" else key < page.after)
    return query.order_by(key.asc() if page.order == "asc" else key.desc()).limit(page.limit + 1)


def _sorted(query: Selected, key: InstrumentedAttribute[str], page: PageRequest, by: ColumnElement[Any]) -> Selected:
    """Order by a number, then by id; the page begins after the item of its `after`, whose number the database knows."""
    is_up = page.order == "asc"
    if page.after is not None:
        last = select(by).where(key == page.after).scalar_subquery()
        beyond = by > last if is_up else by < last
        query = query.where(or_(beyond, and_(by == last, key > page.after if is_up else key < page.after)))
    ordered = (by.asc(), key.asc()) if is_up else (by.desc(), key.desc())
    return query.order_by(*ordered).limit(page.limit + 1)


Condition = Callable[[Any], ColumnElement[bool]]
"""Makes the SQL of a filter from its value."""

Filters = Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any] | Condition]
"""The filters of a list by their query parameter: the column that equals the value, or a condition."""


def conditions(wanted: BaseModel, filters: Filters) -> list[ColumnElement[bool]]:
    """Return the SQL of every filter that is sent; `wanted` holds the query parameters.

    Raises:
        KeyError: the list has a parameter that no filter is written for.
    """
    found = []
    for name, value in wanted:
        if name in OTHERS or value is None or value == []:
            continue
        by = filters[name]
        found.append(by == value if isinstance(by, ColumnElement | InstrumentedAttribute) else by(value))
    return found


def begins(key: InstrumentedAttribute[str]) -> Condition:
    """Make the filter of ids that begin so: a range of whole ids, which an index and every collation order alike."""

    def condition(prefix: str) -> ColumnElement[bool]:
        length = prefix.index("_") + 1 + ID_DIGITS
        return key.between(prefix.ljust(length, "0"), prefix.ljust(length, "f"))

    return condition


def holds(column: ColumnElement[Any]) -> Condition:
    """Make the filter of JSON that holds a text as one of its values, wherever it stands."""

    def condition(text: str) -> ColumnElement[bool]:
        # SQLite keeps what json.dumps has written, which escapes more than PostgreSQL does
        written = {json.dumps(text), json.dumps(text, ensure_ascii=False)}
        return or_(*(cast(column, Text).contains(one, autoescape=True) for one in sorted(written)))

    return condition


def of_labels(
    kind: type[Labelled], key: InstrumentedAttribute[str], *names: ColumnElement[Any] | InstrumentedAttribute[Any]
) -> Filters:
    """Return the filters that everything with a name and tags has; `names` are searched for a text, too."""

    def has_all(tags: list[str]) -> ColumnElement[bool]:
        # both databases write a list of texts as JSON the same way, and no tag holds a quotation mark
        written = cast(kind.tags, Text)
        return and_(*(written.contains(f'"{tag}"', autoescape=True) for tag in tags))

    def says(text: str) -> ColumnElement[bool]:
        searched = (kind.name, cast(kind.tags, Text), *names)
        return or_(*(column.icontains(text, autoescape=True) for column in searched))

    return {
        "id": key.in_,
        "id_prefix": begins(key),
        "name": kind.name,
        "tag": has_all,
        "text": says,
    }
