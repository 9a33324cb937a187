"""How much of a probe is read: a large one holds megabytes of counts, and many look at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from gapcast.contract.lists import ProbeQuery
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.database import Database
from service.probes import repository as probes
from service.probes import service
from tests.unit.probes.test_probes import RESULT, claim, database_of

SHORT = {name: value for name, value in RESULT.items() if name != "problem_ids"} | {
    "arms": {name: {key: arm[key] for key in arm if key != "counts"} for name, arm in RESULT["arms"].items()}
}


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of a database meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def stored(database: Database, column: str | None) -> str:
    """A probe that holds a result in a column, or in none."""
    with database.write() as session:
        job = jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id="probe_1")
        values = {"id": "probe_1", "tenant": "local", "key": "k", "configuration": {}, "job_id": job.id}
        probes.add(session, values)
        if column == "result":
            probes.store_result(session, "probe_1", RESULT)
        elif column == "partial":
            probes.store_partial(session, "probe_1", RESULT)
    return "probe_1"


@pytest.mark.parametrize("column", ["result", "partial", None])
def test_a_list_leaves_what_grows_in_the_database(database: Database, column: str | None) -> None:
    stored(database, column)
    with statements(database) as asked, database.read() as session:
        ((_, _, result, partial),) = probes.page(session, "local", ProbeQuery())
    assert (result, partial) == (SHORT if column == "result" else None, SHORT if column == "partial" else None)
    assert len(asked) == 1
    for name in ("probes.result", "probes.partial"):
        assert f"json_remove({name}" in asked[0] or f"({name} #-" in asked[0]
        assert asked[0].count(name) == 1


@pytest.mark.parametrize(("column", "ended"), [("result", True), ("partial", False), (None, False)])
def test_a_state_is_read_without_what_was_measured(database: Database, column: str | None, ended: bool) -> None:
    probe_id = stored(database, column)
    with statements(database) as asked, database.read() as session:
        assert service.state_of(session, "local", probe_id).ended is ended
    assert "partial" not in asked[0]
    assert "probes.result," not in asked[0]


def test_who_waits_reads_the_measurement_once(client: TestClient, configuration: dict[str, Any]) -> None:
    probe = client.post("/v1/probes", json=configuration).json()
    claim(client, probe["id"])
    for look in (
        lambda: client.get(f"/v1/probes/{probe['id']}", headers={"Prefer": "wait=1"}),
        lambda: client.post("/v1/probes", json=configuration, headers={"Prefer": "wait=1"}),
    ):
        with statements(database_of(client)) as asked:
            assert look().json()["status"] == JobState.running
        looks = [one for one in asked if "IS NOT NULL" in one and "probes" in one]
        assert len(looks) > 2
        whole = [one for one in asked if "probes.partial" in one]
        assert len(whole) == (1 if look().request.method == "GET" else 2)  # POST finds it before it waits
