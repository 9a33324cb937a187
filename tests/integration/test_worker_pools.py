"""Two real workers with different labels, models and memory: each takes the jobs that it has everything for."""

import json
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from gapcast.words import waits
from tests.support.product import ask, ended, eventually, serving, working
from tests.support.queues import LONG_RUN

pytestmark = pytest.mark.slow

Body = dict[str, Any]


def worker_of(client: Client, path: str) -> str:
    """Return the name of the worker that has started a job."""
    events = ask(client, "GET", f"{path}/events", params={"limit": 100})["data"]
    (name,) = {event["data"]["worker"] for event in events if event["type"] == "job.started"}
    return str(name)


def ended_run(client: Client, run: Body) -> Body:
    def look() -> Body | None:
        found: Body = ask(client, "GET", f"/v1/training_runs/{run['id']}")
        return found if found["status"] not in {"queued", "running"} else None

    return eventually(look)


def test_a_job_waits_for_a_worker_that_has_its_label_and_its_model(tmp_path: Path, configuration: Body) -> None:
    served = {"name": "served", "family": "qwen3", "url": "http://127.0.0.1:9/v1", "revision": "v1"}
    settings = {"GAPCAST_DATA_DIR": str(tmp_path / "data"), "GAPCAST_WORKER": "off"}
    server = settings | {"GAPCAST_MODELS": json.dumps([served])}
    short = LONG_RUN | {"recipe": {"steps": 2}}
    with serving(tmp_path, server) as (client, _), working(tmp_path, settings, "cpu") as cpu:
        run = ask(client, "POST", "/v1/training_runs", json=short | {"training": {"needs": {"labels": ["gpu"]}}})
        probe = client.predictions.create(configuration)
        remote = client.predictions.create(configuration | {"model": "served", "task": "lab/addition"})
        assert ended(client, probe).status == "succeeded"
        here = f":{cpu.process.pid}"
        assert worker_of(client, f"/v1/predictions/{probe.id}").endswith(here)
        waiting = client.training_runs.get(run["id"]).waiting
        assert waiting is not None
        assert waits(waiting) == (
            "no worker for training runs has the label gpu (1 other seen): start one with `gapcast worker --label gpu`"
        )
        assert "the model served" in waits(client.predictions.get(remote.id).waiting)
        more = server | {"GAPCAST_WORKER_LABELS": "gpu"}
        with working(tmp_path, more, "gpu") as gpu:
            assert ended_run(client, run)["status"] == "succeeded"
            assert worker_of(client, f"/v1/training_runs/{run['id']}").endswith(f":{gpu.process.pid}")
            # its server does not answer, which only a worker that has the model finds out
            assert ended(client, remote).status == "failed"
            assert worker_of(client, f"/v1/predictions/{remote.id}").endswith(f":{gpu.process.pid}")
            workers = {one.name.rpartition(":")[2]: one for one in client.workers.list().data}
            assert workers[str(cpu.process.pid)].labels == []
            labelled = workers[str(gpu.process.pid)]
            assert (labelled.labels, labelled.models) == (["gpu"], ["served"])


def test_small_jobs_run_at_once_and_never_more_than_fits(tmp_path: Path) -> None:
    settings = {
        "GAPCAST_DATA_DIR": str(tmp_path / "data"),
        "GAPCAST_WORKER": "off",
        "GAPCAST_WORKER_MEMORY_GB": "80",
        "GAPCAST_WORKER_CONCURRENCY": "3",
    }
    with serving(tmp_path, settings) as (client, _), working(tmp_path, settings, "worker"):
        runs = []
        for seed, gigabytes in enumerate((40, 30, 20)):
            needs = {"memory_gb": gigabytes}
            body = LONG_RUN | {"seeds": [seed], "training": LONG_RUN["training"] | {"needs": needs}}
            runs.append(ask(client, "POST", "/v1/training_runs", json=body))
        first, second, third = runs
        eventually(lambda: all(client.training_runs.get(run["id"]).status == "running" for run in (first, second)))
        waiting = client.training_runs.get(third["id"]).waiting
        assert waiting is not None
        assert waiting.running is not None, "a slot is idle, and the memory is not there"
        ask(client, "POST", f"/v1/training_runs/{second['id']}/cancel")
        eventually(lambda: client.training_runs.get(third["id"]).status == "running")
        assert client.training_runs.get(first["id"]).status == "running"
