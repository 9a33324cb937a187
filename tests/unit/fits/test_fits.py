"""Fits by what they were fitted to, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.observations import ObservationPatch
from service.fits import service as fits
from service.kit.database import Database
from service.law import Probe
from service.observations import repository as observations
from service.observations import service as stored
from tests.support.rows import run


def fit_id(database: Database, pool: str = "lab") -> str:
    return fits.current(database, "local", pool).fit.id


def test_the_same_observations_have_one_fit_however_many_ask(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: fit_id(database, "default"), range(8)))) == 1


def add(database: Database, pool: str, n: int = 4) -> list[str]:
    rows = [run(pool=pool, gap={"value": 0.05 * index, "se": 0.02}) for index in range(n)]
    with database.write() as session:
        return stored.store(session, "local", stored.check(rows)).ids


def test_an_excluded_observation_leads_to_a_new_fit_and_back_to_the_old_one(database: Database) -> None:
    row, *_ = add(database, "mine")
    before = fit_id(database, "mine")
    for excluded in (True, False):
        with database.write() as session:
            stored.change(session, "local", row, ObservationPatch(excluded=excluded, reason="a broken evaluation"))
        assert (fit_id(database, "mine") == before) is not excluded


def test_every_version_can_be_made_again_from_the_rows_that_it_had(database: Database) -> None:
    """Whatever was excluded, taken back and added since."""
    ids = add(database, "mine")
    versions = [fit_id(database, "mine")]
    for excluded, which in ((True, 0), (True, 1), (False, 0), (True, 0), (True, 2)):
        with database.write() as session:
            stored.change(session, "local", ids[which], ObservationPatch(excluded=excluded, reason="why not"))
        versions.append(fit_id(database, "mine"))
    with database.read() as session:
        for version in versions:
            fit = fits.get(session, "local", version)
            made = fits.draft(fits.read(session, "local", "mine", fit.changes))
            assert (made.record, made.fingerprint, made.n) == (fit.record, fit.fingerprint, fit.n)
    assert len(set(versions)) == 5  # the fourth change leaves the rows that the second one left


def test_a_stored_fit_predicts_as_the_law_that_was_fitted(database: Database) -> None:
    probe = Probe(gap=0.2, gap_var=4e-4, family="lab-qwen3", baseline=0.26, teacher="frozen")
    stored = fits.current(database, "local", "lab").law
    with database.read() as session:
        fitted = fits.laws.fit(fits.table(observations.fitted(session, "local", "lab", 1))).whole
    ours, theirs = (law.predict_improvement(probe) for law in (fitted, stored))
    assert float(ours.mean) == float(theirs.mean)
    assert ours.interval(0.95) == theirs.interval(0.95)


def test_a_kept_fit_outlives_a_transaction_that_fails(database: Database) -> None:
    fits.current(database, "local", "lab")
    fits.fit_and_laws.cache_clear()  # type: ignore[attr-defined]
    with suppress(ZeroDivisionError), database.write() as session:
        fits.stored(session, stored.find_pool(session, "local", "lab"))
        raise ZeroDivisionError
    with database.read() as session:
        kept = fits.stored(session, stored.find_pool(session, "local", "lab"))
    assert kept is not None
    assert kept.fit.n == kept.law.families_["lab-qwen3"]
    assert kept.summary.cells


def test_current_answers_with_an_etag(client: TestClient) -> None:
    first = client.get("/v1/fits/current", params={"pool": "lab"})
    fit: dict[str, Any] = first.json()
    assert fit["families"][0]["family"] == "lab-qwen3"
    assert fit["n"] == fit["families"][0]["n"] > 11
    again = client.get("/v1/fits/current", params={"pool": "lab"}, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert client.get(f"/v1/fits/{fit['id']}").json() | {"behind": 0} == fit


def test_an_empty_pool_has_the_published_prior(client: TestClient) -> None:
    fit = client.get("/v1/fits/current").json()
    assert (fit["pool"], fit["n"], fit["families"]) == ("default", 0, [])
    (prior,) = fit["populations"]
    assert (prior["teacher_rule"], prior["divergence"], prior["status"]) == ("frozen", "forward_kl", "prior_only")
    assert prior["links"] == pytest.approx({"linear": 0.8, "tanh": 0.1, "exp": 0.1})
    assert prior["slope"] == pytest.approx(0.8 * 1.2 + 0.2 * 2)


def test_pools_do_not_inform_each_other(client: TestClient) -> None:
    body = {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints"},
        "gap": {"value": 0.2, "se": 0.02, "student": 0.25},
    }
    lab = client.post("/v1/predictions", json=body | {"pool": "lab"}).json()
    own = client.post("/v1/predictions", json=body | {"pool": "default"}).json()
    assert lab["law"]["status"] == "fitted"
    assert own["law"]["status"] == "prior_only"
    widths = [
        one["improvement"]["intervals"][1]["upper"] - one["improvement"]["intervals"][1]["lower"] for one in (lab, own)
    ]
    assert widths[0] < widths[1]
