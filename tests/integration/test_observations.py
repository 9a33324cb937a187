"""Two clients that post at once, a thousand times: no row and no refit is lost."""

import threading
from pathlib import Path

import pytest

from gapcast import Client
from service.fits import service as fits
from service.kit.database import Database
from service.observations import repository as observations
from service.observations.models import Pool
from tests.support.product import ask, eventually, serving
from tests.support.rows import run

POSTS = 500


def _post_all(url: str, number: int, failures: list[Exception]) -> None:
    try:
        with Client(url) as client:
            for index in range(POSTS):
                row = run(
                    external_id=f"{number}-{index}",
                    gap={"value": index / 1500, "se": 0.02},
                    improvement={"value": index / 1200, "se": 0.03},
                    family=f"family-{index % 7}",
                )
                # every tenth run is sent by both: it is stored once
                if index % 10 == 0:
                    row["external_id"] = f"both-{index}"
                ask(client, "POST", "/v1/observations", json={"observations": [row]})
    except Exception as error:
        failures.append(error)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def test_two_clients_post_a_thousand_times_at_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = {"GAPCAST_WORKER": "off"}
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        settings |= {"GAPCAST_DATABASE_URL": url, "GAPCAST_API_WORKERS": "2"}
    else:
        url = f"sqlite:///{tmp_path / 'data' / 'gapcast.db'}"
    with serving(tmp_path, settings) as (client, _):
        failures: list[Exception] = []
        threads = [threading.Thread(target=_post_all, args=(client.url, number, failures)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        database = Database(url)

        def fitted() -> Pool | None:
            with database.read() as session:
                pool = observations.pool(session, "local", "default")
            return pool if pool is not None and pool.fitted_changes == pool.changes else None

        pool = eventually(fitted, 60)
        assert (pool.changes, pool.observations) == (2 * POSTS - POSTS // 10, 2 * POSTS - POSTS // 10)
        with database.read() as session:
            given = fits.read(session, "local", "default", pool.changes, fits.lending(session, pool))
            fit = fits.get(session, "local", str(pool.fit_id))
            assert fit.n == len(given.rows) == pool.observations
            assert fit.record == fits.draft(given).record
        assert ask(client, "GET", "/v1/fits/current")["id"] == fit.id
        versions = ask(client, "GET", "/v1/events", params={"type": "fit.created", "limit": 500})["data"]
        assert len(versions) < pool.changes / 2, "refits are coalesced"
        database.close()
