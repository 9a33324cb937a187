"""The migrations and the models say the same, on both databases, and a second run changes nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from service.fits import service as fits
from service.kit.database import Base, Database
from service.migrate import config, head, migrate, revision
from service.observations.service import check, published, shipped, store, studied
from tests.support.rows import run

pytestmark = pytest.mark.slow

SHIPPED = len(shipped()) + len(published()) + len(studied())


def test_the_schema_is_that_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert revision(connection) == head()


def test_the_head_and_the_stored_revision_are_those_that_alembic_knows(database: Database) -> None:
    assert head() == ScriptDirectory.from_config(config()).get_current_head()
    for at in ("0014", "base"):
        with database.engine.execution_options(gapcast_write=True).begin() as connection:
            command.downgrade(config(connection), at)
        with database.engine.connect() as connection:
            assert revision(connection) == MigrationContext.configure(connection).get_current_revision()


def test_every_stored_row_has_a_tenant(database: Database) -> None:
    inspector = inspect(database.engine)
    for table in inspector.get_table_names():
        if table not in {"alembic_version", "slots"}:  # workers serve all tenants
            assert "tenant" in {column["name"] for column in inspector.get_columns(table)}, table


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database)
    with database.read() as session:
        stored = session.execute(text("SELECT count(*) FROM observations")).scalar()
    assert stored == SHIPPED > 0


def test_down_and_up_again(database: Database) -> None:
    with database.engine.execution_options(gapcast_write=True).begin() as connection:
        command.downgrade(config(connection), "base")
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(database)
    with database.engine.connect() as connection:
        assert revision(connection) == head()


@pytest.mark.services
def test_many_first_starts_at_once(postgres_url: str) -> None:
    databases = [Database(postgres_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, databases))
    with databases[0].read() as session:
        assert session.execute(text("SELECT count(*) FROM observations")).scalar() == SHIPPED
    for database in databases:
        database.close()


def test_what_older_rows_say_is_read_from_their_notes(database: Database) -> None:
    sent = [
        {"teacher": "ema", "divergence": "js", "ema_rate": 0.05},
        {"teacher": "ema", "divergence": "js", "ema_rate": 1.0},
        {"teacher": "live", "divergence": "js"},
    ]
    rows = [run(recipe=recipe, external_id=str(n)) for n, recipe in enumerate(sent)]
    rows.append(run(external_id="trained", source="training", provenance={"decoding": {"thinking": True}}))
    with database.write() as session:
        store(session, "local", check(rows))

    def cells() -> list[str | None]:
        with database.read() as session:
            query = "SELECT cell FROM observations WHERE external_id IN ('0', '1', '2') ORDER BY external_id"
            return list(session.execute(text(query)).scalars())

    ema, live = (f"qwen3|livecodebench-v6|{teacher}-js" for teacher in ("ema", "live"))
    assert cells() == [ema, live, live]
    with database.engine.execution_options(gapcast_write=True).begin() as connection:
        command.downgrade(config(connection), "0005")
    assert cells() == [ema, ema, None], "an older version does not know live teachers"
    migrate(database)
    assert cells() == [ema, live, None]
    with database.read() as session:
        query = "SELECT thinking FROM observations WHERE external_id = '{}'"
        modes = [session.execute(text(query.format(name))).scalar() for name in ("0", "trained")]
        lab = set(session.execute(text("SELECT thinking FROM observations WHERE pool = 'lab'")).scalars())
    assert (modes, lab) == ([None, True], {False})


def test_a_database_of_the_first_schema_keeps_its_rows_and_predicts_as_before(database: Database) -> None:
    def law() -> tuple[int, object]:
        found = fits.current(database, "local", "lab")
        return found.fit.n, found.law.coefficients("lab-qwen3")

    before = law()
    with database.engine.execution_options(gapcast_write=True).begin() as connection:
        command.downgrade(config(connection), "0001")
    migrate(database)
    assert law() == before
    assert fits.current(database, "local", "default").fit.n == 0
