"""Bring the database to this version's schema and fill the lab pool."""

from functools import cache
from importlib.resources import files

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service.catalog.service import DEFAULT_POOL, SHIPPED_POOLS
from service.fits import service as fits
from service.fits.repository import mark_outdated
from service.kit.auth import LOCAL_TENANT
from service.kit.database import Database
from service.observations.service import seed_pools

log = structlog.get_logger()

_LOCK = 0x6A9CA57
"""PostgreSQL advisory lock: several API processes start at once, one of them migrates."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, pointing into the installed package."""
    made = Config()
    made.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


@cache
def head() -> str:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


def revision(connection: Connection) -> str | None:
    """The revision that the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def _one_at_a_time(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def migrate(database: Database) -> None:
    """Run the migrations that are missing, then store the shipped observations that are missing."""
    with database.engine.execution_options(gapcast_write=True).begin() as connection:
        _one_at_a_time(connection)
        if revision(connection) != head():
            command.upgrade(config(connection), "head")
    with database.write() as session:
        _one_at_a_time(session.connection())
        seed_pools(session, LOCAL_TENANT)
        mark_outdated(session)
    for pool in (*SHIPPED_POOLS, DEFAULT_POOL):  # what is lent first
        try:
            fits.current(database, LOCAL_TENANT, pool)  # so that the first question need not wait for it
        except Exception:
            log.exception("first_fit_failed", pool=pool)  # the refitter tries again; a start must not fail for it
