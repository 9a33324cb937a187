"""Keyset pages in OpenAI's list shape."""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute


class PageRequest(BaseModel):
    """Which part of a list is asked for."""

    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


async def page_request(
    after: Annotated[
        str | None, Query(pattern="^[a-z]+_[0-9a-f]{32}$", description="the id after which the page begins")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="by time of creation")] = "desc",
) -> PageRequest:
    """Read `after`, `limit` and `order` from the query."""
    return PageRequest(after=after, limit=limit, order=order)


Selected = TypeVar("Selected", bound=Select[*tuple[Any, ...]])


def select_page(query: Selected, key: InstrumentedAttribute[str], page: PageRequest) -> Selected:
    """Order a query by its id column and cut it to the page, with one row more to know whether others follow."""
    if page.after is not None:
        query = query.where(key > page.after if page.order == "asc" else key < page.after)
    return query.order_by(key.asc() if page.order == "asc" else key.desc()).limit(page.limit + 1)
