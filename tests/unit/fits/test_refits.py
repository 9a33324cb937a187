"""Every change of a pool leads to a refit: coalesced, never lost, and the same as fitting the stored rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from gapcast.contract.observations import ObservationPatch
from service.fits import repository as fit_rows
from service.fits import service as fits
from service.kit.clock import now
from service.kit.database import Database
from service.migrate import migrate
from service.observations import repository as observations
from service.observations import service as stored
from service.observations.models import Observation, Pool
from tests.support.rows import run

pytestmark = pytest.mark.slow


def add(database: Database, *rows: dict[str, Any]) -> list[str]:
    checked = stored.check(rows)
    with database.write() as session:
        return stored.store(session, "local", checked).ids


def pool(session: Session, name: str = "default") -> Pool:
    found = observations.pool(session, "local", name)
    assert found is not None
    return found


def check_final(database: Database, name: str = "default") -> int:
    """The newest fit's record is that of a full refit of the stored rows; returns how many there are."""
    with database.read() as session:
        row = pool(session, name)
        assert row.fitted_changes == row.changes
        assert row.claimed_until is None
        fit = fits.get(session, "local", str(row.fit_id))
        rows = observations.fitted(session, "local", name, row.changes)
        lent = fits.lending(session, row)
        others = fits.table(fits.lent_rows(session, "local", lent)) if lent else None
        assert fit.record == fits.laws.fit(fits.table(rows), others).to_record()
        return fit.n


def test_a_refit_covers_all_changes_until_then(database: Database) -> None:
    for index in range(5):
        add(database, run(external_id=f"r{index}"))
    assert fits.refit_one(database)
    assert not fits.refit_one(database), "five changes, one fit"
    assert check_final(database) == 5


def test_a_change_during_a_refit_is_fitted_afterwards(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add(database, run())
    drafted = fits.draft

    def draft_and_meanwhile(*args: Any) -> fits.Draft:
        made = drafted(*args)
        monkeypatch.setattr(fits, "draft", drafted)
        add(database, run(baseline=0.3))
        return made

    monkeypatch.setattr(fits, "draft", draft_and_meanwhile)
    assert fits.refit_one(database)
    with database.read() as session:
        row = pool(session)
        assert (row.changes, row.fitted_changes) == (2, 1)
    assert fits.refit_one(database)
    assert check_final(database) == 2


def test_a_refit_whose_process_died_is_taken_over(database: Database) -> None:
    add(database, run())
    with database.write() as session:
        assert fit_rows.claim_due(session, 60) is not None
    assert not fits.refit_one(database), "one process at a time"
    with database.write() as session:
        session.execute(update(Pool).values(claimed_until=now(-1)))
    assert fits.refit_one(database)
    assert check_final(database) == 1


def test_a_late_refit_does_not_replace_a_later_one(database: Database) -> None:
    add(database, run())
    with database.read() as session:
        early = fits.draft(fits.read(session, "local", "default", 1))
    add(database, run(baseline=0.3))
    assert fits.refit_one(database)
    with database.write() as session:
        fits.keep(session, pool(session), 1, early)
    assert check_final(database) == 2


def test_a_failing_law_leaves_the_pool_due(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add(database, run())

    def broken(*args: Any) -> fits.Draft:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(fits, "draft", broken)
        with pytest.raises(ZeroDivisionError):
            fits.refit_one(database)
    assert fits.refit_one(database), "the claim was given back"
    assert check_final(database) == 1


def test_a_start_survives_whatever_became_of_the_shipped_runs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        session.execute(update(Observation).where(Observation.pool == "lab").values(prediction_id="p", baseline=0.9))

    def broken(*args: Any) -> fits.Draft:
        raise ZeroDivisionError

    add(database, run())
    monkeypatch.setattr(fits, "draft", broken)
    migrate(database)
    monkeypatch.undo()
    while fits.refit_one(database):
        pass
    assert check_final(database) == 1


def test_many_writers_and_refitters_at_once(database: Database) -> None:
    def client(number: int) -> None:
        for index in range(10):
            (one,) = add(database, run(external_id=f"{number}-{index}", gap={"value": index / 50, "se": 0.02}))
            if index % 3 == 0:
                with database.write() as session:
                    stored.change(session, "local", one, ObservationPatch(excluded=True, reason="every third"))

    def refitter(_: int) -> None:
        for _ in range(8):
            fits.refit_one(database)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(client, range(4)))
        list(threads.map(refitter, range(2)))
    while fits.refit_one(database):
        pass
    assert check_final(database) == 4 * 6
    with database.read() as session:
        assert pool(session).changes == 4 * (10 + 4)
        assert pool(session).observations == 40


def test_a_large_pool_answers_from_its_newest_fit_and_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.app.state.gapcast.refitter.stop()  # type: ignore[attr-defined]
    body = {
        "model": {"name": "m", "family": "qwen3"},
        "task": "livecodebench-v6",
        "context": {"kind": "feedback"},
        "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
    }
    client.post("/v1/predictions", json=body)
    client.post("/v1/observations", json={"observations": [run()]})
    monkeypatch.setattr(fits, "AT_ONCE", 0)
    late = client.post("/v1/predictions", json=body).json()
    assert late["law"]["n"] == 0
    assert [one["code"] for one in late["warnings"]] == ["prior_only", "fit_behind"]
    monkeypatch.setattr(fits, "AT_ONCE", 1)
    known = client.post("/v1/predictions", json=body).json()
    assert known["law"]["n"] == 1
    assert [one["code"] for one in known["warnings"]] == ["sparse"]


def test_refit_now_makes_a_version_where_something_changed(client: TestClient) -> None:
    client.app.state.gapcast.refitter.stop()  # type: ignore[attr-defined]
    assert client.post("/v1/fits", json={}).status_code == 200
    client.post("/v1/observations", json={"observations": [run()]})
    made = client.post("/v1/fits", json={"pool": "default"})
    assert (made.status_code, made.json()["n"]) == (201, 1)
    assert made.headers["location"] == f"/v1/fits/{made.json()['id']}"
    again = client.post("/v1/fits", json={"pool": "default"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert client.post("/v1/fits", json={"pool": "nothing"}).json()["code"] == "unknown_pool"
    listed = client.get("/v1/fits", params={"pool": "default"}).json()["data"]
    assert [one["n"] for one in listed] == [1, 0]


def test_the_server_refits_by_itself(client: TestClient) -> None:
    client.post("/v1/observations", json={"observations": [run()]})
    from tests.support.product import eventually

    def fitted() -> bool:
        events = client.get("/v1/events", params={"type": "fit.created"}).json()["data"]
        return any(event["data"] == {"pool": "default", "n": 1, "changes": 1} for event in events)

    assert eventually(fitted, 10)


@pytest.mark.parametrize("ask", ["prediction", "refit", "size", "get"])
def test_nobody_waits_for_a_fit_that_is_computed(client: TestClient, monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    """Whoever asks for it, others write meanwhile."""
    client.post("/v1/observations", json={"observations": [run()]})
    drafted, begun, go = fits.draft, Event(), Event()

    def slow(given: fits.Input) -> fits.Draft:
        begun.set()
        assert go.wait(60)
        return drafted(given)

    monkeypatch.setattr(fits, "draft", slow)
    client.post("/v1/observations", json={"observations": [run(baseline=0.3)]})
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ASKING[ask], client)
        assert begun.wait(60)
        stored = client.post("/v1/observations", json={"observations": [run(baseline=0.35)]})
        assert not asked.done()
        go.set()
        answer = asked.result()
    assert (stored.status_code, answer.status_code) == (201, 201 if ask == "refit" else 200), answer.text


BODY = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "livecodebench-v6",
    "context": {"kind": "feedback"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}
ASKING: dict[str, Callable[[TestClient], Any]] = {
    "prediction": lambda client: client.post("/v1/predictions", json=BODY),
    "refit": lambda client: client.post("/v1/fits", json={}),
    "size": lambda client: client.post(
        "/v1/probes/size", json={name: BODY[name] for name in ("model", "task")} | {"target_half_width": 0.5}
    ),
    "get": lambda client: client.get("/v1/fits/current"),
}
