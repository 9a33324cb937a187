"""Pools that ship read-only, and pools that lend their families to others."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.fits import service as fits
from service.kit.database import Database
from service.observations import repository, service
from service.observations.models import Pool
from tests.support.rows import run

pytestmark = pytest.mark.slow

SHIPPED = ("lab", "published", "smollm2")


def post(client: TestClient, *rows: dict[str, Any], **query: str) -> Any:
    return client.post("/v1/observations", json={"observations": list(rows)}, params=query)


def shown(client: TestClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/pools/{name}").json()
    return found


def law(client: TestClient, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/fits/current", params={"pool": pool}).json()
    return found


class TestShipped:
    def test_the_pools_and_what_they_are(self, client: TestClient) -> None:
        pools = {one["name"]: one for one in client.get("/v1/pools").json()["data"]}
        assert {name: (one["read_only"], one["borrow"]) for name, one in pools.items()} == {
            "default": (False, ["published"]),
            "lab": (True, []),
            "published": (True, []),
            "smollm2": (True, []),
        }
        assert pools["smollm2"]["observations"] == len(service.studied()) >= 3
        assert pools["published"]["observations"] == len(service.published()) > 10

    @pytest.mark.parametrize("pool", SHIPPED)
    def test_nobody_adds_a_row(self, client: TestClient, pool: str) -> None:
        for answer in (post(client, run(pool=pool)), post(client, run(), pool=pool)):
            assert (answer.status_code, answer.json()["code"]) == (409, "read_only_pool")
            assert f"pool '{pool}' ships with Gapcast and is read-only" in answer.json()["detail"]
            assert "`default`" in answer.json()["detail"]
            assert answer.json()["param"] == "observations.0.pool"

    def test_a_batch_with_one_such_row_is_not_stored(self, client: TestClient) -> None:
        assert post(client, run(), run(pool="lab")).status_code == 409
        assert client.get("/v1/observations?pool=default").json()["data"] == []

    @pytest.mark.parametrize("pool", SHIPPED)
    def test_nobody_changes_a_row(self, client: TestClient, pool: str) -> None:
        row = client.get("/v1/observations", params={"pool": pool, "limit": 1}).json()["data"][0]
        patches = ({"excluded": True, "reason": "why not"}, {"excluded": False}, {"prediction_id": "pred_1"})
        for patch in patches:
            answer = client.patch(f"/v1/observations/{row['id']}", json=patch)
            assert (answer.status_code, answer.json()["code"]) == (409, "read_only_pool")
        assert client.get(f"/v1/observations/{row['id']}").json() == row

    @pytest.mark.parametrize("pool", SHIPPED)
    def test_nobody_sets_what_it_borrows(self, client: TestClient, pool: str) -> None:
        answer = client.post("/v1/pools", json={"name": pool, "borrow": ["default"]})
        assert (answer.status_code, answer.json()["param"]) == (409, "pool")

    def test_published_rows_say_where_they_come_from(self, client: TestClient) -> None:
        rows = client.get("/v1/observations?pool=published&limit=100").json()["data"]
        assert {"source", "table", "notes", "inferred"} <= set.intersection(*(set(row["provenance"]) for row in rows))
        measured = [row["improvement"] or row["held_out"] for row in rows]
        assert {one["variance"] for one in measured} == {"assumed"}
        code = [row for row in rows if row["task"].startswith("LiveCode")]
        inferred = {"ema": ["teacher"], "live": ["self_teacher"]}
        assert sorted(row["recipe"]["teacher"] for row in code) == ["ema"] * 4 + ["live"]
        assert all(row["provenance"]["inferred"] == inferred[row["recipe"]["teacher"]] for row in code)
        assert {row["gap"]["thinking"] for row in rows} == {True, False}


class TestBorrowing:
    def test_a_new_pool_borrows_what_it_says(self, client: TestClient) -> None:
        made = client.post("/v1/pools", json={"name": "mine", "borrow": ["published"]})
        assert (made.status_code, made.json()["borrow"], made.json()["observations"]) == (201, ["published"], 0)
        again = client.post("/v1/pools", json={"name": "mine", "borrow": ["published"]})
        assert (again.status_code, again.json()["changes"]) == (200, made.json()["changes"])

    def test_it_can_be_changed(self, client: TestClient) -> None:
        before = law(client, "default")
        assert before["borrowed"]["families"] != {}
        client.post("/v1/pools", json={"name": "default"})
        after = law(client, "default")
        assert (shown(client, "default")["borrow"], after["borrowed"]) == ([], None)
        assert after["fingerprint"] != before["fingerprint"]

    @pytest.mark.parametrize(
        ("borrow", "code", "detail"),
        [
            (["mine"], "invalid_request", "borrow.0: expected another pool"),
            (["publisht"], "unknown_pool", "published"),
        ],
    )
    def test_it_borrows_another_pool_that_is_there(
        self, client: TestClient, borrow: list[str], code: str, detail: str
    ) -> None:
        answer = client.post("/v1/pools", json={"name": "mine", "borrow": borrow})
        assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, code, "borrow.0")
        assert detail in answer.json()["detail"]

    def test_a_fit_names_the_lent_pool(self, client: TestClient) -> None:
        lent = law(client, "published")
        borrowed = law(client, "default")["borrowed"]
        assert borrowed["pools"] == [
            {"pool": "published", "changes": 1, "hash": lent["fingerprint"], "fit_id": lent["id"]}
        ]
        assert set(borrowed["families"]) == {"qwen3"}
        assert borrowed["own_rows_only"] == []

    def test_a_family_of_the_pool_keeps_its_own_rows(self, client: TestClient) -> None:
        post(client, run(family="qwen3"))
        found = law(client, "default")
        assert (found["n"], found["borrowed"]["own_rows_only"]) == (1, ["qwen3"])

    def test_lent_families_do_not_count(self, client: TestClient) -> None:
        post(client, run(family="another"))
        found = law(client, "default")
        assert found["n"] == 1
        assert [one["family"] for one in found["families"]] == ["another"]

    def test_a_lent_family_informs_an_empty_pool(self, client: TestClient) -> None:
        client.post("/v1/pools", json={"name": "alone"})
        gap = {"value": 0.2, "se": 0.03, "student": 0.3}
        body = {
            "model": {"name": "m", "family": "another"},
            "task": "lab/addition",
            "context": {"kind": "hints"},
            "recipe": {"teacher": "ema", "divergence": "reverse_kl"},
            "gap": gap,
        }
        intervals = [
            client.post("/v1/predictions", json=body | {"pool": pool}).json()["improvement"]["intervals"][1]
            for pool in ("alone", "default")
        ]
        alone, borrowing = (one["upper"] - one["lower"] for one in intervals)
        assert borrowing < alone


class TestDue:
    def test_a_change_of_the_lent_pool_makes_borrowers_due(self, database: Database) -> None:
        with database.write() as session:
            service.store(session, "local", service.check([run(pool="theirs", family="far")]))
            repository.lock_pool(session, "local", "mine").borrow = ["theirs"]
            repository.lock_pool(session, "local", "yours")
        for name in ("mine", "yours"):
            fits.current(database, "local", name)
        with database.write() as session:
            service.store(session, "local", service.check([run(pool="theirs", family="far", baseline=0.3)]))
            due = {name: _due(repository.pool(session, "local", name)) for name in ("theirs", "mine", "yours")}
        assert due == {"theirs": True, "mine": True, "yours": False}
        fit, law, behind = fits.current(database, "local", "mine")
        assert (law.whole.lent_, fit.n, behind) == ({"far": 2}, 0, 0)
        assert fit.summary is not None
        assert [(one.pool, one.changes, one.fit_id) for one in fit.summary.lent] == [("theirs", 2, None)]

    def test_two_pools_may_borrow_each_other(self, database: Database) -> None:
        with database.write() as session:
            for name, other in (("one", "two"), ("two", "one")):
                service.store(session, "local", service.check([run(pool=name, family=name)]))
                repository.lock_pool(session, "local", name).borrow = [other]
        assert fits.current(database, "local", "one").law.lent_ == {"two": 1}
        with database.write() as session:
            service.store(session, "local", service.check([run(pool="one", family="one", baseline=0.3)]))
        assert fits.current(database, "local", "two").law.lent_ == {"one": 2}

    def test_an_old_version_can_be_made_again(self, database: Database) -> None:
        with database.write() as session:
            service.store(session, "local", service.check([run(pool="theirs", family="far")]))
            repository.lock_pool(session, "local", "mine").borrow = ["theirs"]
        before = fits.current(database, "local", "mine").fit
        with database.write() as session:
            service.store(session, "local", service.check([run(pool="theirs", family="far", baseline=0.3)]))
        fits.current(database, "local", "mine")
        assert before.summary is not None
        with database.read() as session:
            fit = fits.get(session, "local", before.id)
            again = fits.draft(fits.read(session, "local", "mine", fit.changes, before.summary.lent))
            assert (again.record, again.fingerprint) == (fit.record, fit.fingerprint)


def _due(pool: Pool | None) -> bool:
    assert pool is not None
    return pool.changes > pool.fitted_changes
