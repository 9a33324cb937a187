"""JSON columns read in part: what is large and not asked for stays in the database."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, cast, func
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.kit.database import Json


def without(session: Session, column: InstrumentedAttribute[Any], paths: Iterable[Sequence[str]]) -> ColumnElement[Any]:
    """A JSON column without what stands at these paths; the database takes that out, so that it is not sent."""
    if session.get_bind().dialect.name == "postgresql":
        short: ColumnElement[Any] = column.expression
        for path in paths:
            short = short.op("#-", return_type=Json)(cast(list(path), ARRAY(Text)))
        return short
    return func.json_remove(column, *("$." + ".".join(path) for path in paths), type_=Json)
