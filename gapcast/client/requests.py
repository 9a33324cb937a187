"""Parts of a request: paths, queries, headers and bodies."""

import os
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from gapcast.contract.nearest import did_you_mean

DEFAULT_URL = "http://127.0.0.1:8321"
MOST_A_PAGE = 100
"""items that a server gives at once"""
LONGEST_WAIT = 60.0
"""seconds that a server lets a request wait for an end"""

Query = dict[str, Any]
"""The parameters of a URL, by name; of a list, each of its values."""

Body = dict[str, Any]
"""A request as JSON."""


def server_url(url: str | None) -> str:
    """Return the address of the server: the given one, that of `GAPCAST_URL`, or this machine's."""
    return (url or os.environ.get("GAPCAST_URL") or DEFAULT_URL).rstrip("/")


def authorization(api_key: str | None) -> dict[str, str]:
    """Return the header with the given key, or with that of `GAPCAST_API_KEY`; nothing without one."""
    key = api_key or os.environ.get("GAPCAST_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def segment(text: str) -> str:
    """Write an id as one part of a path, whatever it holds."""
    return quote(text, safe="")


def name_path(name: str) -> str:
    """Write a name with its slashes as the end of a path."""
    return quote(name, safe="/")


def without_nones(query: Mapping[str, Any]) -> Query:
    """Return a query without what is not asked for."""
    return {name: value for name, value in query.items() if value is not None}


def query_of(kind: type, filters: Mapping[str, Any]) -> Query:
    """Return filters as a query.

    Raises:
        TypeError: `kind`, a TypedDict, has no such filter; the server would ignore it and answer with too much.
    """
    known = kind.__annotations__
    for name in filters:
        if name not in known:
            raise TypeError(f"{name}: expected one of the filters {', '.join(known)}.{did_you_mean(name, known)}")
    return without_nones(filters)


def waiting(seconds: float) -> dict[str, str]:
    """Return the header that asks a server to answer at an end, or after that many seconds (at most 60)."""
    return {"Prefer": f"wait={seconds:.0f}"} if seconds else {}


def idempotent(key: str | None) -> dict[str, str]:
    """Return the header that makes a post take effect once, however often it is sent; without a key a fresh one."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def body_of(request: Mapping[str, Any] | BaseModel | None, fields: Mapping[str, Any]) -> Body:
    """Return a request as JSON: an object of the contract or a mapping, with `fields` in place of its own."""
    whole = _plain(request) if request is not None else {}
    return {**whole, **{name: _plain(value) for name, value in fields.items()}}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)  # what was left out may mean something else
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
