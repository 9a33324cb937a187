"""A training run that holds its slot, and what must not wait for it."""

from typing import Any

from gapcast import Client
from tests.support.product import ask, ended, eventually

Body = dict[str, Any]

LONG_RUN: Body = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 20_000},
    "probe": {"rollouts": 2},
    "training": {"problems": 16, "evaluate_every": 20_000},
}
"""One that no test sees the end of."""


def starts(client: Client) -> Body:
    """Ask for the run, and wait until a worker has it."""
    run: Body = ask(client, "POST", "/v1/training_runs", json=LONG_RUN)
    eventually(lambda: client.training_runs.get(run["id"]).status == "running")
    return run


def not_held_up(client: Client, configuration: Body, run: Body) -> None:
    """Assert that a probe succeeds while the run goes on, undisturbed."""
    created = client.predictions.create(configuration)
    assert ended(client, created).status == "succeeded"
    assert client.training_runs.get(run["id"]).status == "running"
    events = ask(client, "GET", f"/v1/training_runs/{run['id']}/events", params={"limit": 500})["data"]
    assert sum(event["type"] == "job.started" for event in events) == 1
