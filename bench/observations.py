"""Lists and refits of a large pool: a page of a list at 10^6 rows against 10^4, and a refit's parts.

`python -m bench.observations`; lists on SQLite, and on PostgreSQL where one answers.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fastapi.testclient import TestClient

from bench.databases import postgres
from service.app import create_app
from service.fits import service as fits
from service.kit.database import Database
from service.migrate import migrate
from service.observations import repository as observations
from service.settings import Settings

SIZES = (10_000, 1_000_000)
REPETITIONS = 60
GATE = 1.5
FILL = """
INSERT INTO observations (id, tenant, pool, external_id, family, task, model, context_kind, baseline, gap, gap_se,
    improvement, improvement_se, cov, collapsed, added_at, excluded, content, source, provenance, created_at)
SELECT 'obs_' || {id}, 'local', 'default', 'run-' || i, 'family-' || (i % 200), 'task', 'model', 'hints',
    .3, (i % 997) / 3000.0, .02, (i % 997) / 2800.0 + (i % 31) / 1000.0 - .015, .03, 0, false, 1, false, {content},
    'bench', '{{}}', {time}
FROM {rows}
"""
SQLITE = {
    "id": "printf('%032x', i)",
    "content": "printf('%064x', i)",
    "time": "i",
    "rows": "(WITH RECURSIVE row(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM row WHERE i < {n}) SELECT i FROM row)",
}
POSTGRESQL = {
    "id": "lpad(to_hex(i), 32, '0')",
    "content": "lpad(to_hex(i), 64, '0')",
    "time": "to_timestamp(i)",
    "rows": "generate_series(1, {n}) AS i",
}


def filled(folder: Path, n: int, url: str = "") -> Settings:
    """A database whose default pool has n rows of 200 families; SQLite's without a URL."""
    settings = Settings(data_dir=folder / str(n), database_url=url, log_level="error", reconcile_seconds=1e6)
    database = Database(settings.database_url)
    migrate(database)
    parts = {name: part.format(n=n) for name, part in (SQLITE if database.is_sqlite else POSTGRESQL).items()}
    with database.write() as session:
        session.connection().exec_driver_sql(FILL.format(**parts).replace("%", "%" if database.is_sqlite else "%%"))
        session.connection().exec_driver_sql(
            f"UPDATE pools SET changes = 1, fitted_changes = 1, observations = {n} WHERE name = 'default'"
        )
    if not database.is_sqlite:  # as autovacuum does it within a minute
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE observations")
    database.close()
    return settings


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def lists(name: str, settings: list[Settings]) -> None:
    """Ask for a page of each, and alternate between them."""
    queries: dict[str, dict[str, str]] = {
        "newest": {},
        "of a pool": {"pool": "default"},
        "of a family": {"pool": "default", "family": "family-7"},
        "after an id in the middle": {"pool": "default", "after": f"obs_{SIZES[0] // 2:032x}"},
    }
    with (
        TestClient(create_app(settings[0]), base_url="http://127.0.0.1") as small,
        TestClient(create_app(settings[1]), base_url="http://127.0.0.1") as large,
    ):
        for label, query in queries.items():
            times = [
                [
                    seconds(lambda one=one, query=query: one.get("/v1/observations", params=query))
                    for one in (small, large)
                ]
                for _ in range(REPETITIONS)
            ]
            few, many = (1000 * statistics.median(row[i] for row in times) for i in range(2))
            print(
                f"{name}, list of 20 {label:26} {few:6.1f} ms at 1e4, {many:6.1f} ms at 1e6: "
                f"{many / few:.2f}x (gate {GATE})",
                flush=True,
            )


def main() -> None:
    """Fill both sizes in each database."""
    with tempfile.TemporaryDirectory() as name:
        settings = [filled(Path(name), n) for n in SIZES]
        lists("SQLite", settings)
        with ExitStack() as held:
            urls = [held.enter_context(postgres()) for _ in SIZES]
            if None not in urls:
                lists("PostgreSQL", [filled(Path(name), n, url or "") for n, url in zip(SIZES, urls, strict=True)])
        database = Database(settings[1].database_url)
        with database.read() as session:
            began = time.perf_counter()
            rows = observations.fitted(session, "local", "default", 1)
            read = time.perf_counter()
            given = fits.table(rows)
            taken = time.perf_counter()
        fitted = seconds(lambda: fits.laws.fit(given))
        print(
            f"a refit of {len(rows)} rows: {read - began:.1f} s to read them, {taken - read:.1f} s to hand them over, "
            f"{fitted:.1f} s to fit"
        )
        database.close()


if __name__ == "__main__":
    main()
