"""The end of a training run: one observation, in the transaction that ends the job."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from gapcast.contract.observations import Look
from gapcast.contract.probes import Difference
from gapcast.contract.training_results import Evaluation, TrainingResult
from service.observations.service import row_of_run, shipped
from tests.support.training_results import evaluation, training_result
from tests.unit.training_runs.conftest import RESULT, Worker

Body = dict[str, Any]
Post = Callable[..., Body]


def done(client: TestClient, worker: Worker, run: Body, result: TrainingResult | None = None) -> Body:
    worker.claim(run["id"])
    worker.end(run["id"], result=result)
    found: Body = client.get(f"/v1/training_runs/{run['id']}").json()
    return found


def observation(client: TestClient, run: Body) -> Body:
    found: Body = client.get(f"/v1/observations/{run['observation_id']}").json()
    return found


def test_its_observation_says_what_was_measured(client: TestClient, post: Post, worker: Worker) -> None:
    run = done(client, worker, post(pool="mine", model={"name": "lab/addition-qwen3-s", "family": "own"}))
    row = observation(client, run)
    measured = {"problems": 16, "rollouts": 2, "variance": "counts", "thinking": False}
    assert row["gap"] == {"value": 0.3, "se": 0.03} | measured
    assert row["improvement"] == {"value": 0.28, "se": 0.04} | measured
    assert (row["baseline"], row["cov"], row["collapsed"]) == (0.25, 0.0004, False)
    assert (row["external_id"], row["source"], row["pool"], row["family"]) == (run["id"], "training", "mine", "own")
    assert row["cell"] == "own|lab/addition|frozen-forward_kl"
    assert (row["context_kind"], row["context"]) == ("hints", run["configuration"]["context"])
    assert row["parameters"] > 1e4
    for name in ("held_out", "best", "cost", "versions", "steps", "stopped_by"):
        assert row["provenance"][name] == RESULT[name], name
    for name in ("model_revision", "task_revision", "template_version", "decoding", "seed", "options"):
        assert row["provenance"][name] == run["configuration"][name], name
    assert not {"counts", "problem_ids", "evaluations", "warnings", "artifact"} & row["provenance"].keys()


def test_its_observation_has_the_runs_name_and_tags(client: TestClient, post: Post, worker: Worker) -> None:
    row = observation(client, done(client, worker, post(name="long run", tags=["sweep"])))
    assert (row["name"], row["tags"]) == ("long run", ["sweep"])


def test_every_part_of_the_recipe_is_kept(client: TestClient, post: Post, worker: Worker) -> None:
    recipe = {"teacher": "trust_region", "trust_rate": 0.1, "divergence": "js", "schedule": "cosine", "steps": 20}
    run = done(client, worker, post(recipe=recipe))
    row = observation(client, run)
    assert (row["recipe"]["teacher"], row["recipe"]["divergence"]) == ("trust_region", "js")
    assert row["recipe"] | row["provenance"]["recipe_options"] == run["configuration"]["recipe"]


class TestCurve:
    def curve(self, *evaluations: Evaluation) -> list[Look] | None:
        (lab, *_) = shipped()
        outcome = training_result(evaluations=list(evaluations))
        return row_of_run(lab.model_copy(update={"outcome": outcome})).curve

    def test_is_every_evaluation_with_its_held_out_problems_beside_it(self) -> None:
        held_out = Difference(value=0.1, se=0.06)
        found = self.curve(evaluation(), evaluation(step=20, held_out=held_out, cov=-0.0002))
        assert found == [
            Look(step=10, improvement=0.31, se=0.04, cov=0.0004),
            Look(step=20, improvement=0.31, se=0.04, cov=-0.0002, held_out=0.1, held_out_se=0.06),
        ]

    def test_leaves_out_looks_of_an_older_version_which_recorded_no_covariances(self) -> None:
        assert self.curve(evaluation(cov=None), evaluation(step=20)) == self.curve(evaluation(step=20))
        assert self.curve(evaluation(cov=None)) is None
        assert self.curve() is None


def test_an_equal_run_of_the_lab_is_an_equal_row() -> None:
    ours = {"pool": "lab", "family": "lab-qwen3", "external_id": "run_1", "source": "training", "prediction_id": None}
    for lab in shipped():
        named = {"external_id", "source"}
        own, theirs = (row_of_run(run).model_dump(exclude=named) for run in (lab.model_copy(update=ours), lab))
        assert own == theirs


def test_it_counts_in_the_next_fit_of_the_users_pool(client: TestClient, post: Post, worker: Worker) -> None:
    """Shipped pools are read-only."""
    before = client.get("/v1/fits/current?pool=lab").json()["n"]
    done(client, worker, post(pool="lab"))
    assert client.get("/v1/fits/current?pool=default").json()["n"] == 1
    assert client.get("/v1/fits/current?pool=lab").json()["n"] == before


def test_it_closes_its_predictions_calibration(client: TestClient, prediction: Body, worker: Worker) -> None:
    made = client.post("/v1/training_runs", json={"prediction_id": prediction["id"], "seeds": [0, 1]}).json()["data"]
    for run in made:
        assert observation(client, done(client, worker, run))["prediction_id"] == prediction["id"]
    fit = client.get("/v1/fits/current?pool=default").json()["id"]
    outcomes = client.get(f"/v1/fits/{fit}/calibration").json()["outcomes"]
    assert [one["prediction_id"] for one in outcomes] == [prediction["id"]] * 2


def test_numbers_that_are_no_observation_do_not_cost_the_run(client: TestClient, post: Post, worker: Worker) -> None:
    run = done(client, worker, post(), training_result(cov=0.9))
    assert (run["status"], run["observation_id"]) == ("succeeded", None)
    assert run["improvement"]["value"] == 0.28
    assert [one["code"] for one in run["warnings"]] == ["slow", "observation_not_stored"]
    assert "cov" in run["warnings"][1]["message"]
