"""What the page draws of a training run, through the whole application; `worker` does what one would."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.probes import Difference
from service.events import repository as events
from tests.support.training_results import evaluation, training_metrics, training_partial, training_result
from tests.unit.training_runs.conftest import Worker

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
            events.add(session, "local", job_id, training_metrics(step, loss))


def losses(client: TestClient, run: Body) -> list[tuple[int, float]]:
    return [(one["step"], one["loss"]) for one in drawn(client, run)["loss"]["datasets"]["losses"]]


def accuracies(spec: Body, name: str) -> list[tuple[int, float]]:
    return [(one["step"], round(one["accuracy"], 6)) for one in spec["datasets"][name]]


def test_a_run_that_waits_has_nothing_to_draw(client: TestClient, run: Body) -> None:
    assert drawn(client, run) == {"accuracy": None, "loss": None}


def test_a_running_runs_curve_grows(client: TestClient, run: Body, worker: Worker) -> None:
    worker.claim(run["id"])
    worker.tell(run["id"], training_partial(evaluations=[], warnings=[]))
    begun = drawn(client, run)["accuracy"]
    assert accuracies(begun, "student") == [(0, 25)]
    [predicted] = begun["datasets"]["predicted"]
    value, intervals = run["predicted"]["value"], run["predicted"]["intervals"]
    assert (predicted["step"], predicted["accuracy"]) == (20, pytest.approx(25 + 100 * value))
    assert predicted["lower_0"] == pytest.approx(25 + 100 * min(one["lower"] for one in intervals))

    worker.tell(run["id"], training_partial())
    grown = drawn(client, run)["accuracy"]
    assert accuracies(grown, "student") == [(0, 25), (10, 56)]
    assert accuracies(grown, "held_out") == []


def test_an_ended_run_has_its_held_out_problems(client: TestClient, run: Body, worker: Worker) -> None:
    worker.claim(run["id"])
    seen = evaluation(held_out=Difference(value=0.1, se=0.06))
    worker.end(run["id"], result=training_result(evaluations=[seen]))
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


def test_a_running_run_is_drawn_with_what_is_expected_of_it(client: TestClient, run: Body, worker: Worker) -> None:
    worker.claim(run["id"])
    worker.tell(run["id"], training_partial(evaluations=[evaluation()]))
    _, end = drawn(client, run)["accuracy"]["datasets"]["fan"]
    now = client.get(f"/v1/training_runs/{run['id']}/forecast").json()["now"]
    expected = {level["level"]: (level["lower"], level["upper"]) for level in now["intervals"]}
    assert end["step"] == 20
    assert (end["lower_0"], end["upper_0"]) == pytest.approx([25 + 100 * value for value in expected[0.95]])
    assert (end["lower_1"], end["upper_1"]) == pytest.approx([25 + 100 * value for value in expected[0.8]])
    worker.end(run["id"])
    assert drawn(client, run)["accuracy"]["datasets"]["fan"] == []
