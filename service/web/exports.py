"""Lists as files: every item that a list's filters leave, as CSV or NDJSON, in the fields and units of the API."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel

from gapcast.contract.lists import PageQuery
from service.kit.database import Database
from service.kit.errors import InvalidRequest
from service.settings import Settings
from service.web.figures import harmless
from service.web.tables import Table

PAGE = 100
MOST_CSV = 10_000
"""items of a CSV file, whose columns are known when all of them are read"""
MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


def items(
    table: Table[Any], database: Database, tenant: str, settings: Settings, wanted: PageQuery | None
) -> Iterator[BaseModel]:
    """Read a list to its end, page by page, each in a session of its own: a slow reader holds no connection."""
    if wanted is not None:
        wanted = wanted.model_copy(update={"limit": PAGE})
    while True:
        with database.read() as session:
            found = table.read(session, tenant, settings, wanted)
        yield from found.items
        if found.after is None or wanted is None:
            return
        wanted = wanted.model_copy(update={"after": found.after})


def as_ndjson(found: Iterable[BaseModel]) -> Iterator[bytes]:
    """Write one item a line."""
    for one in found:
        yield one.model_dump_json().encode() + b"\n"


def as_csv(found: Iterable[BaseModel]) -> Iterator[bytes]:
    """Write one item a row, a nested field as the column `gap.value`, and a list as its JSON.

    Raises:
        InvalidRequest: there are too many.
    """
    rows = [dict(_flat(one.model_dump(mode="json"))) for one in islice(found, MOST_CSV + 1)]
    if len(rows) > MOST_CSV:
        raise InvalidRequest(
            f"format: expected at most {MOST_CSV:,} items for a CSV file, got more. Narrow the list, or take NDJSON."
        )
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)
    return iter([out.getvalue().encode()])


def _flat(item: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", json.dumps(value) if isinstance(value, list) else value


FORMS: Mapping[str, Callable[[Iterable[BaseModel]], Iterator[bytes]]] = {"csv": as_csv, "ndjson": as_ndjson}
"""by the end of a file's name"""
