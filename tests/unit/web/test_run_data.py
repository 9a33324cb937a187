"""What the page draws of a training run, through the whole application; `worker` does what one would."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.events import repository as events
from tests.unit.training_runs.conftest import RESULT, Worker

Body = dict[str, Any]


@pytest.fixture
def worker(client: TestClient) -> Worker:
    return Worker(client.app.state.gapcast.database)  # type: ignore[attr-defined]


@pytest.fixture
def run(client: TestClient, configuration: Body) -> Body:
    """A run of a prediction."""
    del configuration["probe"]
    gap = {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}}
    prediction = client.post("/v1/predictions", json=configuration | gap | {"recipe": {"steps": 20}}).json()
    made = client.post("/v1/training_runs", json={"prediction_id": prediction["id"]})
    assert made.status_code == 202, made.text
    found: Body = made.json()
    return found


def drawn(client: TestClient, run: Body) -> Body:
    response = client.get("/web/run.json", params={"run": run["id"]})
    assert response.status_code == 200, response.text
    content: Body = response.json()
    return content


def tell_losses(worker: Worker, run: Body, *told: tuple[int, float | None]) -> None:
    job_id = worker.job_of(run["id"])
    with worker.database.write() as session:
        for step, loss in told:
            events.write(session, "local", job_id, "training.metrics", {"step": step, "loss": loss})


def losses(client: TestClient, run: Body) -> list[tuple[int, float]]:
    return [(one["step"], one["loss"]) for one in drawn(client, run)["loss"]["datasets"]["losses"]]


def accuracies(spec: Body, name: str) -> list[tuple[int, float]]:
    return [(one["step"], round(one["accuracy"], 6)) for one in spec["datasets"][name]]


def test_a_run_that_waits_has_nothing_to_draw(client: TestClient, run: Body) -> None:
    assert drawn(client, run) == {"accuracy": None, "loss": None}


def test_a_running_runs_curve_grows(client: TestClient, run: Body, worker: Worker) -> None:
    worker.claim(run["id"])
    partial = {"baseline": 0.25, "gap": RESULT["gap"], "evaluations": [], "warnings": []}
    worker.tell(run["id"], partial)
    begun = drawn(client, run)["accuracy"]
    assert accuracies(begun, "student") == [(0, 25)]
    [predicted] = begun["datasets"]["predicted"]
    value, intervals = run["predicted"]["value"], run["predicted"]["intervals"]
    assert (predicted["step"], predicted["accuracy"]) == (20, pytest.approx(25 + 100 * value))
    assert predicted["lower_0"] == pytest.approx(25 + 100 * min(one["lower"] for one in intervals))

    worker.tell(run["id"], partial | {"evaluations": RESULT["evaluations"]})
    grown = drawn(client, run)["accuracy"]
    assert accuracies(grown, "student") == [(0, 25), (10, 56)]
    assert accuracies(grown, "held_out") == []


def test_an_ended_run_has_its_held_out_problems(client: TestClient, run: Body, worker: Worker) -> None:
    worker.claim(run["id"])
    held_out = {"held_out": {"value": 0.1, "se": 0.06}}
    worker.end(run["id"], result={"evaluations": [RESULT["evaluations"][0] | held_out]})
    assert accuracies(drawn(client, run)["accuracy"], "held_out") == [(0, 20), (10, 30)]


def test_losses_are_those_of_the_attempt_that_went_on(client: TestClient, run: Body, worker: Worker) -> None:
    tell_losses(worker, run, (1, 0.5), (2, 0.4), (3, None), (4, 0.3), (5, 0.2))
    assert losses(client, run) == [(1, 0.5), (2, 0.4), (4, 0.3), (5, 0.2)]
    tell_losses(worker, run, (3, 0.35), (4, 0.31))  # from the checkpoint of step 2
    assert losses(client, run) == [(1, 0.5), (2, 0.4), (3, 0.35), (4, 0.31)]
    tell_losses(worker, run, (1, 0.6))  # from the start
    assert losses(client, run) == [(1, 0.6)]


def test_steps_without_any_loss_are_no_plot(client: TestClient, run: Body, worker: Worker) -> None:
    tell_losses(worker, run, (1, None), (2, None))
    assert drawn(client, run)["loss"] is None


def test_a_run_that_is_not_there_is_a_problem(client: TestClient) -> None:
    response = client.get("/web/run.json", params={"run": "run_1"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
