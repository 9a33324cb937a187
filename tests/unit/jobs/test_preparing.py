"""A worker whose settings or files are not those of the server says so by name, and does not try again."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from service.jobs import repository as jobs
from service.jobs.models import Job
from service.kit.database import Database
from service.listed_models import ModelEntry
from service.probes import repository as probes
from service.settings import Settings
from service.tasks import uploads
from service.tasks.task_files import scratch
from workers.host.child_process import Failed
from workers.host.preparing import places
from workers.host.supervisor import Supervisor

SERVED = ModelEntry(name="olmo", family="olmo-3", url="http://gpu-box:8000/v1", api_key="k", revision="new")  # type: ignore[arg-type]
FOLDER = ModelEntry(name="tiny", family="tiny", path="/models/tiny", revision="sha256:" + "a" * 64)
LAB = {"model": "lab/addition-qwen3-s", "model_revision": "any", "task": "lab/addition", "task_revision": "any"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", log_level="error", models=[SERVED, FOLDER])


def failure(database: Database, settings: Settings, change: dict[str, str]) -> dict[str, Any]:
    with database.read() as session, pytest.raises(Failed) as raised:
        places(session, "local", LAB | change, settings, "box:7")
    assert raised.value.error["category"] == "server"
    return raised.value.error


def task(database: Database, folder: Path) -> str:
    header = uploads.header("mine", "numeric", None, {})
    with scratch(folder) as raw, scratch(folder) as unpacked, scratch(folder) as out:
        raw.write(json.dumps({"prompt": "6 x 7", "answer": 42}).encode())
        prepared = uploads.prepare(raw, "ndjson", header, unpacked, out, 1 << 20)
        with database.write() as session:
            return uploads.store(session, "local", prepared)[0].revision


@pytest.mark.parametrize("model", ["olmo", "tiny"])
def test_another_revision_of_a_model(database: Database, settings: Settings, model: str) -> None:
    error = failure(database, settings, {"model": model, "model_revision": "old"})
    assert error["code"] == "model_revision_mismatch"
    for told in ("box:7", "settings", "not old", model):
        assert told in error["message"]


def test_a_model_that_this_worker_does_not_know(database: Database, settings: Settings) -> None:
    error = failure(database, settings, {"model": "mine/other"})
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    for told in ("box:7", "'mine/other'", "gapcast.toml", "GAPCAST_MODELS"):
        assert told in error["message"]


def test_a_task_that_is_not_there_or_damaged(database: Database, settings: Settings, tmp_path: Path) -> None:
    revision = task(database, tmp_path)
    assert failure(database, settings, {"task": "mine", "task_revision": "sha256:0"})["code"] == "task_not_found"
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE problems SET body = '{}'")
    error = failure(database, settings, {"task": "mine", "task_revision": revision})
    assert (error["code"], error["param"]) == ("task_file_broken", "task")


def test_what_is_there_is_handed_to_the_child(database: Database, settings: Settings, tmp_path: Path) -> None:
    revision = task(database, tmp_path)
    with database.read() as session:
        lab = places(session, "local", LAB, settings, "box:7")
        asked = {"model": "olmo", "model_revision": "new", "task": "mine", "task_revision": revision}
        own = places(session, "local", asked, settings, "box:7")
    assert (lab["source"], lab["task_folder"]) == (None, None)
    assert own["source"]["url"] == "http://gpu-box:8000/v1"
    assert (Path(own["task_folder"]) / "problems.jsonl").exists()


def test_the_job_fails_at_once_and_with_the_reason(database: Database, settings: Settings) -> None:
    with database.write() as session:
        job = jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id="probe_1")
        values = {"id": "probe_1", "tenant": "local", "key": "k", "configuration": LAB | {"model": "mine/other"}}
        probes.add(session, values | {"job_id": job.id})
    Supervisor(settings, database, threading.Event()).run(job.id)
    with database.read() as session:
        ended = session.get(Job, job.id)
    assert ended is not None
    assert (ended.state, ended.failures, (ended.error or {})["code"]) == ("failed", 0, "model_not_found")
