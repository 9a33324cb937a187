"""Where a run is expected to end: of runs that are trained here, and of those that are trained elsewhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training_results import Evaluation, TrainingPartial
from service.fits import repository as fits
from service.fits.service import refit_one
from service.forecasts import repository, standing
from service.kit.database import Database
from service.observations import repository as observations
from tests.support.training_results import evaluation, training_partial, training_result
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]
Post = Callable[..., Body]

LAB = {"model": "lab/addition-qwen3-s", "task": "lab/addition", "context": {"kind": "hints", "options": {"level": 3}}}
RECIPE = {"steps": 150, "learning_rate": 5e-4}
GAP = Gap(value=0.3, se=0.03, student=0.25, self_teacher=0.55, problems=128, rollouts=4)


REFUSED: list[tuple[Body, str, str]] = [
    ({"looks": []}, "looks", "1"),
    (
        {"looks": [{"step": 30, "value": 0.3, "se": 0.02}, {"step": 15, "value": 0.3, "se": 0.02}]},
        "looks.1.step",
        "expected a step after 30, that of the look before, got 15. Sort the looks.",
    ),
    ({"looks": [{"step": 151, "value": 0.3, "se": 0.02}]}, "looks.0.step", "expected at most 150"),
    ({"looks": [{"step": 0, "value": 0.3, "se": 0.02}]}, "looks.0.step", "got 0."),
    (
        {"looks": [{"step": 15, "value": 1.2, "se": 0.02}]},
        "looks.0.value",
        "expected a number from 0 to 1, got 1.2.",
    ),
    (
        {"looks": [{"step": 15, "value": -0.1, "se": 0.02}]},
        "looks.0.value",
        "expected a number from 0 to 1, got -0.1.",
    ),
    ({"looks": [{"step": 15, "value": 0.3, "se": 0}]}, "looks.0.se", "above 0"),
    ({"baseline": {"accuracy": 25, "se": 0.02}}, "baseline.accuracy", "expected a number from 0 to 1, got 25."),
    ({"gap": {"value": 0.9, "se": 0.02}}, "gap.value", "the self-teacher's accuracy"),
    ({"task": None}, "task", "prediction_id"),
    ({"prediction_id": "pred_1"}, "model", "comes from the prediction"),
    ({"pool": "none-such"}, "pool", "expected a pool that something is stored in"),
    ({"model": "unlisted"}, "model.family", "family"),
]
"""changes of a request, and how each is refused"""


def looks(*gains: float, every: int = 15) -> list[Evaluation]:
    return [
        evaluation(step=every * place, accuracy=0.25 + gain, improvement=Difference(value=gain, se=0.025))
        for place, gain in enumerate(gains, start=1)
    ]


def begun(*gains: float) -> TrainingPartial:
    return training_partial(gap=GAP, baseline=0.25, evaluations=looks(*gains))


@pytest.fixture
def run(post: Post) -> Body:
    """A run like those of the lab's pool."""
    return post(recipe=RECIPE, training={"problems": 128}, context=LAB["context"])


@pytest.fixture
def sent() -> Body:
    """A run that is trained elsewhere."""
    return LAB | {
        "recipe": RECIPE,
        "training": {"problems": 128},
        "gap": {"value": 0.3, "se": 0.03},
        "baseline": {"accuracy": 0.25, "se": 0.018},
        "looks": [{"step": 15, "value": 0.36, "se": 0.018}, {"step": 30, "value": 0.42, "se": 0.018}],
    }


def forecast(client: TestClient, run: Body) -> Body:
    answer = client.get(f"/v1/training_runs/{run['id']}/forecast")
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def asked(client: TestClient, body: Body) -> Body:
    answer = client.post("/v1/forecasts", json=body)
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


class TestOfRuns:
    def test_it_says_where_the_run_ends_after_each_look(self, client: TestClient, run: Body, worker: Worker) -> None:
        worker.tell(run["id"], begun(0.11, 0.17, 0.2))
        found = forecast(client, run)
        assert (found["run_id"], found["steps"], found["baseline"]) == (run["id"], 150, 0.25)
        assert [(each["step"], each["share"]) for each in found["looks"]] == [(15, 0.1), (30, 0.2), (45, 0.3)]
        assert found["looks"][-1] == found["now"]
        assert found["now"]["improvement"]["value"] == pytest.approx(0.2)
        assert found["now"]["improvement"]["se"] == pytest.approx(0.025)
        narrow, wide = found["now"]["intervals"]
        assert (narrow["level"], wide["level"]) == (0.8, 0.95)
        assert wide["lower"] < narrow["lower"] < found["now"]["expected"] < narrow["upper"] < wide["upper"]
        assert found["now"]["expected"] > 0.2  # such runs go on
        first, last = (each["intervals"][1] for each in (found["looks"][0], found["now"]))
        assert last["upper"] - last["lower"] < first["upper"] - first["lower"]
        assert found["now"]["p_above_min_gain"] > 0.99
        # the lab's 36 curves are of this cell; the law speaks as the run has no prediction
        assert found["curves"] == {"runs": 36, "cold": False}
        assert (found["pool"], found["before"]["prediction_id"]) == ("lab", None)
        assert found["before"]["value"] == pytest.approx(0.3, abs=0.1)

    def test_a_run_that_stands_still_is_off_its_way(self, client: TestClient, run: Body, worker: Worker) -> None:
        worker.tell(run["id"], begun(0.0, -0.01, 0.01, 0.0, -0.01, 0.0, 0.0, 0.01))
        found = forecast(client, run)
        assert found["now"]["expected"] < 0.08
        assert found["before"]["value"] > 0.2
        assert found["looks"][0]["p_above_min_gain"] > found["now"]["p_above_min_gain"]
        assert abs(found["now"]["without_law"]["value"]) < 0.04

    def test_a_prediction_says_what_was_expected_and_what_is_worth_it(
        self, client: TestClient, configuration: Body, worker: Worker
    ) -> None:
        del configuration["probe"]
        body = configuration | {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}, "pool": "lab", "min_gain": 0.1}
        made = client.post("/v1/predictions", json=body | {"recipe": RECIPE}).json()
        run = client.post("/v1/training_runs", json={"prediction_id": made["id"], "seeds": [1]}).json()
        worker.tell(run["id"], begun(0.1))
        found = forecast(client, run)
        assert found["before"] == {
            "prediction_id": made["id"],
            "value": made["improvement"]["value"],
            "intervals": made["improvement"]["intervals"],
        }
        assert (found["min_gain"], found["pool"], found["fit_id"]) == (0.1, "lab", made["law"]["fit_id"])
        lower = found["now"]["p_above_min_gain"]
        assert lower < 0.995

    def test_other_lengths_and_tunings_are_cold(self, client: TestClient, post: Post, worker: Worker) -> None:
        for change in ({"steps": 300}, {"learning_rate": 5e-5}, {"schedule": "cosine"}, {"divergence": "js"}):
            run = post(recipe=RECIPE | change, training={"problems": 128}, context=LAB["context"])
            worker.tell(run["id"], begun(0.11))
            assert forecast(client, run)["curves"] == {"runs": 0, "cold": True}, change

    def test_lengths_within_a_factor_of_1_25_are_alike(self, client: TestClient, post: Post, worker: Worker) -> None:
        run = post(recipe=RECIPE | {"steps": 180}, training={"problems": 128}, context=LAB["context"])
        worker.tell(run["id"], begun(0.11))
        assert forecast(client, run)["curves"]["runs"] == 36

    def test_a_run_that_has_ended_is_forecast_as_if_its_end_were_unknown(
        self, client: TestClient, post: Post, worker: Worker
    ) -> None:
        runs = [
            post(seeds=[seed], pool="mine", recipe=RECIPE, training={"problems": 128}, context=LAB["context"])
            for seed in range(4)
        ]
        for run in runs:
            worker.claim(run["id"])
            worker.tell(run["id"], begun(0.05, 0.04))
        for place, run in enumerate(runs[:3]):
            ended = looks(0.05, 0.04 - place / 100, *[0.0] * 8)
            worker.end(run["id"], result=training_result(gap=GAP, evaluations=ended, steps=150))
        first = forecast(client, runs[0])
        assert (first["fit_id"], first["curves"]) == (None, {"runs": 0, "cold": True})  # before it the pool had nothing
        live = forecast(client, runs[3])  # has the curves of the other three
        assert (live["pool"], live["curves"]) == ("mine", {"runs": 3, "cold": False})
        worker.end(runs[3]["id"], result=training_result(gap=GAP, evaluations=looks(0.05, 0.04), steps=150))
        after = forecast(client, runs[3])
        assert after == live

    def test_without_a_look_it_says_when_to_ask_again(self, client: TestClient, run: Body, worker: Worker) -> None:
        path = f"/v1/training_runs/{run['id']}/forecast"
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_looks")
        assert "baseline is not measured yet" in answer.json()["detail"]
        worker.tell(run["id"], begun())
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_looks")
        says = "is queued and has not been evaluated yet. Ask again after step 15, where its first evaluation is"
        assert answer.json()["detail"] == f"{run['id']} {says} (training.evaluate_every)."
        assert client.get("/v1/training_runs/run_none/forecast").status_code == 404


class TestCurves:
    def test_they_are_those_of_the_cell_and_length_that_a_fit_knew(self, database: Database) -> None:
        cell = "lab-qwen3|lab/addition|frozen-forward_kl"
        with database.read() as session:
            pool = observations.pool(session, "local", "lab")
            assert pool is not None
            known = repository.curves(session, "local", "lab", pool.changes, cell, 120, 187.5)
            assert len(known) == 36
            assert all(len(row.curve) == 10 for row in known)
            assert not repository.curves(session, "local", "lab", pool.changes, cell, 151, 200)
            assert not repository.curves(session, "local", "lab", 0, cell, 120, 187.5)
            assert not repository.curves(session, "local", "lab", pool.changes, "another", 120, 187.5)

    def test_a_fit_from_before_a_time_is_the_newest_of_those(self, database: Database) -> None:
        while refit_one(database):
            pass
        with database.read() as session:
            pool = observations.pool(session, "local", "lab")
            assert pool is not None
            assert pool.fit_id is not None
            fit = fits.get(session, "local", pool.fit_id)
            assert fit is not None
            later = fits.newest_before(session, "local", "lab", fit.created_at + timedelta(seconds=1))
            assert later is not None
            assert later.id == fit.id
            assert fits.newest_before(session, "local", "lab", fit.created_at - timedelta(seconds=1)) is None


class TestOfOthers:
    def test_it_is_the_same_answer_as_of_a_run_here(
        self, client: TestClient, run: Body, worker: Worker, sent: Body
    ) -> None:
        se = 0.025 / 2**0.5
        sent |= {"baseline": {"accuracy": 0.25, "se": se}}
        sent["looks"] = [{"step": 15, "value": 0.36, "se": se}, {"step": 30, "value": 0.42, "se": se}]
        partial = begun(0.11, 0.17)
        assert partial.evaluations is not None
        for look in partial.evaluations:
            look.cov = None
        worker.tell(run["id"], partial)
        here, there = forecast(client, run), asked(client, sent)
        assert there["run_id"] is None
        assert there["curves"] == here["curves"]
        assert there["now"]["expected"] == pytest.approx(here["now"]["expected"], abs=0.01)
        assert there["now"]["intervals"][0]["lower"] == pytest.approx(here["now"]["intervals"][0]["lower"], abs=0.01)

    def test_the_same_request_has_the_same_answer_whatever_is_remembered(self, client: TestClient, sent: Body) -> None:
        first = asked(client, sent)
        assert asked(client, sent) == first
        standing.cell_of.cache_clear()
        assert asked(client, sent) == first

    def test_a_cell_is_read_once_a_fit(self, client: TestClient, sent: Body, monkeypatch: pytest.MonkeyPatch) -> None:
        standing.cell_of.cache_clear()
        first = asked(client, sent)
        monkeypatch.setattr(repository, "curves", None)
        other = sent | {"looks": sent["looks"][:1]}
        assert asked(client, other)["curves"] == first["curves"] == {"runs": 36, "cold": False}

    def test_a_prediction_stands_for_its_configuration(
        self, client: TestClient, configuration: Body, sent: Body
    ) -> None:
        del configuration["probe"]
        gap = {"value": 0.3, "se": 0.03, "student": 0.25}
        body = configuration | {"gap": gap, "pool": "lab", "recipe": RECIPE, "min_gain": 0.2}
        made = client.post("/v1/predictions", json=body).json()
        short = {name: sent[name] for name in ("baseline", "looks")}
        found = asked(client, short | {"prediction_id": made["id"]})
        assert (found["before"]["prediction_id"], found["before"]["value"]) == (
            made["id"],
            made["improvement"]["value"],
        )
        assert found["min_gain"] == 0.2
        late = short | {"prediction_id": made["id"], "looks": [{"step": 151, "value": 0.4, "se": 0.02}]}
        answer = client.post("/v1/forecasts", json=late)
        assert (answer.status_code, answer.json()["param"]) == (422, "looks.0.step")

    def test_without_a_gap_the_pool_speaks_of_what_runs_usually_gain(self, client: TestClient, sent: Body) -> None:
        del sent["gap"]
        found = asked(client, sent)
        assert (found["before"]["value"], found["before"]["intervals"]) == (None, [])
        assert 0.1 < found["now"]["expected"] < 0.35

    @pytest.mark.parametrize("accuracy", [0, 1])
    @pytest.mark.parametrize("se", [1e-12, 1])
    def test_the_ends_of_what_may_be_sent_have_an_answer(
        self, client: TestClient, sent: Body, accuracy: int, se: float
    ) -> None:
        del sent["gap"]
        looks = [{"step": step, "value": step % 2, "se": se} for step in range(1, 151)]
        found = asked(client, sent | {"baseline": {"accuracy": accuracy, "se": se}, "looks": looks})
        assert len(found["looks"]) == 64
        assert (found["looks"][0]["step"], found["now"]["step"]) == (1, 150)
        for interval in found["now"]["intervals"]:
            assert -accuracy <= interval["lower"] <= interval["upper"] <= 1 - accuracy

    def test_what_does_not_fit_is_refused_by_name(self, client: TestClient, sent: Body) -> None:
        for change, param, says in REFUSED:
            answer = client.post("/v1/forecasts", json=sent | change)
            assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text
            assert says in answer.json()["detail"]
