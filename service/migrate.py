"""Bring the database to this version's schema and fill the lab pool."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, inspect, text

from service.catalog.service import DEFAULT_POOL, SHIPPED_POOLS
from service.fits import service as fits
from service.fits.repository import mark_outdated
from service.kit.auth import LOCAL_TENANT
from service.kit.database import Database
from service.observations.service import seed_pools

if TYPE_CHECKING:
    from alembic.config import Config  # else imported where it migrates: most starts find nothing to do

log = structlog.get_logger()

_LOCK = 0x6A9CA57
"""PostgreSQL advisory lock: several API processes start at once, one of them migrates."""


VERSION_TABLE = "alembic_version"
"""Where alembic keeps the revision"""


def config(connection: Connection | None = None) -> "Config":
    """Alembic's configuration, pointing into the installed package."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


@cache
def head() -> str:
    """The newest revision that this version knows; modules are named by their revisions, which follow each other."""
    names = (path.name for path in files("migrations").joinpath("versions").iterdir())
    return max(name.partition("_")[0] for name in names if name[0].isdigit() and name.endswith(".py"))


def revision(connection: Connection) -> str | None:
    """The revision that the database is at."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608


def _one_at_a_time(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def migrate(database: Database) -> None:
    """Run the migrations that are missing, then store the shipped observations that are missing."""
    with database.engine.execution_options(gapcast_write=True).begin() as connection:
        _one_at_a_time(connection)
        if revision(connection) != head():
            from alembic import command

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
