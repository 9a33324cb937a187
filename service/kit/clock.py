"""Times by the database's clock: timestamptz on PostgreSQL, seconds since the epoch on SQLite.

Leases compare times written by different machines, so no process's own clock may enter them.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Double, TypeDecorator
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import expression
from sqlalchemy.types import TypeEngine


class Timestamp(TypeDecorator[datetime]):
    """An aware UTC datetime in Python on both databases."""

    impl = Double
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Double())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Python to database."""
        return value if value is None or dialect.name == "postgresql" else value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """Database to Python."""
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)


class now(expression.FunctionElement[datetime]):  # noqa: N801
    """The database's wall clock, plus `seconds`, as a SQL expression."""

    type = Timestamp()
    name = "now"
    inherit_cache = True

    def __init__(self, seconds: Any = 0.0) -> None:  # noqa: ANN401
        super().__init__(seconds)


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    seconds = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + make_interval(secs => ({seconds})::double precision))"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    # 2440587.5 is the Julian day of the epoch; unixepoch('subsec') needs a newer SQLite than Debian 12 has.
    seconds = compiler.process(element.clauses, **kw)
    return f"((julianday('now') - 2440587.5) * 86400.0 + ({seconds}))"


def rfc3339(moment: datetime) -> str:
    """Write a time as the API shows it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
