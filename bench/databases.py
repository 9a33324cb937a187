"""The databases that a benchmark of the server is run on: SQLite, and PostgreSQL where one answers."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import NullPool, create_engine, text

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of an empty PostgreSQL database, dropped afterwards; None where no server answers."""
    name = f"gapcast_bench_{uuid.uuid4().hex[:8]}"
    options = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool, "connect_args": {"connect_timeout": 2}}
    admin = create_engine(POSTGRES, **options)
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except Exception as error:
        print(f"PostgreSQL: not measured ({type(error).__name__})")
        yield None
        return
    try:
        yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def each_database() -> Iterator[tuple[str, Mapping[str, str]]]:
    """The name and the settings of each: one API process on SQLite, two on PostgreSQL."""
    yield "SQLite, 1 API process", {}
    with postgres() as url:
        if url is not None:
            yield "PostgreSQL, 2 API processes", {"GAPCAST_DATABASE_URL": url, "GAPCAST_API_WORKERS": "2"}
