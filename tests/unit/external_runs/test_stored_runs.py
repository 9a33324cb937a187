"""External runs on both databases: one run a name, looks that are appended once, filters, ends that are kept."""

from typing import Any

import pytest

from gapcast.contract.external_runs import ExternalRunRequest, RunEnd
from gapcast.contract.forecasts import GivenLook
from gapcast.contract.lists import ExternalRunQuery
from service.external_runs import repository, service
from service.external_runs.models import ExternalRun
from service.kit.database import Database
from service.kit.errors import Conflict
from service.settings import Settings

TENANT = "local"
RUN: dict[str, Any] = {
    "model": {"name": "m", "family": "f"},
    "task": "mine/t",
    "context": {"kind": "feedback"},
    "recipe": {"steps": 20},
    "gap": {"value": 0.2, "se": 0.02},
    "baseline": {"accuracy": 0.4},
    "evaluation": {"problems": 128, "rollouts": 4},
    "external_id": "mine/1",
    "tags": ["a"],
}


def create(database: Database, settings: Settings, **change: Any) -> tuple[str, bool]:
    with database.write() as session:
        return service.create(session, TENANT, ExternalRunRequest.model_validate(RUN | change), settings)


def append(database: Database, run_id: str, *looks: tuple[int, float]) -> ExternalRun:
    with database.write() as session:
        service.append(session, TENANT, run_id, [GivenLook(step=step, value=value) for step, value in looks])
    with database.read() as session:
        return service.found(session, TENANT, run_id)


def test_a_name_is_one_run(database: Database, settings: Settings) -> None:
    first, is_new = create(database, settings)
    assert is_new
    assert create(database, settings) == (first, False)
    with pytest.raises(Conflict, match="was begun with another recipe"):
        create(database, settings, recipe={"steps": 30})
    nameless = {create(database, settings, external_id=None)[0] for _ in range(2)}
    assert len(nameless) == 2
    wanted = ExternalRunQuery(tag=["a"], task="mine/t", status="running")
    with database.read() as session:
        assert {row.id for row in service.page(session, TENANT, wanted)} == {first, *nameless}
        assert not service.page(session, "another", wanted)
        assert repository.get(session, "another", first) is None


def test_looks_and_ends_are_kept(database: Database, settings: Settings) -> None:
    run_id, _ = create(database, settings)
    append(database, run_id, (10, 0.5))
    row = append(database, run_id, (10, 0.5), (20, 0.6))
    assert row.looks == [{"step": 10, "value": 0.5}, {"step": 20, "value": 0.6}]
    with database.write() as session:
        service.end(session, TENANT, run_id, RunEnd(), None, settings)
    with database.read() as session:
        ended = service.found(session, TENANT, run_id)
    assert (ended.status, ended.observation_id is not None, ended.finished_at is not None) == ("succeeded", True, True)
    assert append(database, run_id, (20, 0.6)).looks == row.looks  # what is known may be sent again
    with database.write() as session:
        service.remove(session, TENANT, run_id)
    with database.read() as session:
        assert repository.get(session, TENANT, run_id) is None
