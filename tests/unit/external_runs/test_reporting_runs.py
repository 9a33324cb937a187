"""Runs that are trained elsewhere: begun, looked at, forecast, ended."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.external_runs import ExternalRunOut
from gapcast.words import on_track, points, sentence
from service.web.rendering import typeset
from tests.support.markup import Elements

Body = dict[str, Any]

PATH = "/v1/external_runs"


@pytest.fixture
def sent() -> Body:
    """A run like those of the lab's pool, with the errors of its looks assumed."""
    return {
        "model": "lab/addition-qwen3-s",
        "task": "lab/addition",
        "context": {"kind": "hints", "options": {"level": 3}},
        "recipe": {"steps": 150, "learning_rate": 5e-4},
        "training": {"problems": 128},
        "gap": {"value": 0.3, "se": 0.03},
        "baseline": {"accuracy": 0.25},
        "evaluation": {"problems": 128, "rollouts": 4, "fingerprint": "first-128"},
    }


def begin(client: TestClient, body: Body) -> Body:
    answer = client.post(PATH, json=body)
    assert answer.status_code in {200, 201}, answer.text
    found: Body = answer.json()
    return found


def look(client: TestClient, run: Body, *looks: Body) -> Body:
    answer = client.post(f"{PATH}/{run['id']}/looks", json={"looks": list(looks)})
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def curve(*gains: float) -> list[Body]:
    return [{"step": 15 * place, "value": round(0.25 + gain, 6)} for place, gain in enumerate(gains, start=1)]


class TestPage:
    def test_it_shows_each_look_with_the_end_that_was_expected_and_can_be_cancelled(
        self, client: TestClient, sent: Body
    ) -> None:
        run = begin(client, sent | {"name": "mine", "external_id": "<b>7</b>"})
        address = f"/external_runs/{run['id']}"
        found = Elements(client.get(address).text)
        assert found.text_of("[data-slot=headline]") == "No look yet"
        assert "data-events" not in found.attributes_of("main"), "it has none: the browser looks every few seconds"
        looked = look(client, run, *curve(0.11, 0.17))
        found = Elements(client.get(address).text)
        forecast = ExternalRunOut.model_validate(looked).forecast
        assert forecast is not None
        assert found.text_of("[data-slot=headline]") == typeset(sentence(on_track(forecast)))
        first, second = found.rows("#looks")
        assert first[:3] == ["15", "36.0 %", "+11.0"]
        assert second[3].startswith(typeset(points(forecast.now.expected)))
        assert found.facts()["Your id"] == "<b>7</b>"
        assert client.post(address, data={"do": "cancel"}).url.path == address
        assert Elements(client.get(address).text).text_of("[data-slot=headline]") == "Cancelled"
        refused = client.post(address, data={"do": "cancel"})
        assert refused.status_code == 409
        assert run["id"] in Elements(refused.text).text_of("#refused")


class TestLooks:
    def test_each_is_answered_with_the_forecast_that_the_stateless_one_gives(
        self, client: TestClient, sent: Body
    ) -> None:
        run = begin(client, sent | {"name": "mine", "tags": ["sweep"]})
        assert (run["object"], run["status"], run["steps"], run["pool"]) == ("external_run", "running", 150, "default")
        assert (run["forecast"], run["looks"], run["ruling"]) == (None, [], None)
        first = look(client, run, *curve(0.11))
        assert first["forecast"]["run_id"] == run["id"]
        assert first["forecast"]["curves"] == {"runs": 36, "cold": False}
        second = look(client, run, {"step": 30, "value": 0.42})
        stateless = client.post("/v1/forecasts", json=sent | {"looks": curve(0.11, 0.17)}).json()
        assert second["forecast"] == stateless | {"run_id": run["id"]}
        assert client.get(f"{PATH}/{run['id']}").json() == second
        assert second["ruling"] is None  # nobody asked for a rule

    def test_one_look_may_be_sent_by_itself(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent)
        answer = client.post(f"{PATH}/{run['id']}/looks", json={"step": 15, "value": 0.36})
        assert [each["step"] for each in answer.json()["looks"]] == [15]
        answer = client.post(f"{PATH}/{run['id']}/looks", json=[{"step": 30, "value": 0.36}])
        assert [each["step"] for each in answer.json()["looks"]] == [15, 30]

    def test_an_error_is_assumed_from_problems_and_rollouts(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent)
        found = look(client, run, *curve(0.11))["forecast"]["now"]["improvement"]
        # as many independent rollouts of one difficulty would give .0285: problems that differ vary less about theirs
        assert 0.02 < found["se"] < 0.0285
        precise = begin(client, sent | {"evaluation": {"problems": 512, "rollouts": 4}})
        assert look(client, precise, *curve(0.11))["forecast"]["now"]["improvement"]["se"] == pytest.approx(
            found["se"] / 2
        )

    def test_the_same_look_again_changes_nothing(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent)
        once = look(client, run, *curve(0.11, 0.17))
        assert look(client, run, *curve(0.11, 0.17)) == once
        assert look(client, run, {"step": 30, "value": 0.42}) == once
        more = look(client, run, *curve(0.11, 0.17, 0.2))
        assert [each["step"] for each in more["looks"]] == [15, 30, 45]

    @pytest.mark.parametrize(
        ("looks", "status", "param", "says"),
        [
            ([{"step": 14, "value": 0.4}], 422, "looks.0.step", "expected a step after 30, that of the look before"),
            (
                [*curve(0.11, 0.17), {"step": 60, "value": 0.4}, {"step": 45, "value": 0.4}],
                *(422, "looks.3.step", "expected a step after 60"),
            ),
            ([{"step": 151, "value": 0.4}], 422, "looks.0.step", "expected at most 150, the steps of the run"),
            ([{"step": 45, "value": 42}], 422, "looks.0.value", "expected a number from 0 to 1, got 42."),
            ([{"step": 45, "value": -0.1}], 422, "looks.0.value", "expected a number from 0 to 1, got -0.1."),
            (
                [{"step": 45, "value": 0.4, "problems": 64}],
                *(422, "looks.0.problems", "expected 128, as before, got 64. A curve is of one set of problems"),
            ),
            (
                [{"step": 45, "value": 0.4, "fingerprint": "last-128"}],
                *(422, "looks.0.fingerprint", "expected 'first-128', as before, got 'last-128'"),
            ),
            (
                [{"step": 30, "value": 0.43}],
                *(409, "looks.0.value", "expected 0.42, which is stored for step 30"),
            ),
        ],
    )
    def test_what_does_not_fit_is_refused_and_nothing_is_stored(
        self, client: TestClient, sent: Body, looks: list[Body], status: int, param: str, says: str
    ) -> None:
        run = begin(client, sent)
        before = look(client, run, *curve(0.11, 0.17))
        answer = client.post(f"{PATH}/{run['id']}/looks", json={"looks": looks})
        assert (answer.status_code, answer.json()["param"]) == (status, param), answer.text
        assert says in answer.json()["detail"]
        assert client.get(f"{PATH}/{run['id']}").json() == before

    def test_problems_that_only_looks_name_may_not_change_either(self, client: TestClient, sent: Body) -> None:
        sent |= {"evaluation": {}, "baseline": {"accuracy": 0.25, "se": 0.02}}
        run = begin(client, sent)
        look(client, run, {"step": 15, "value": 0.3, "se": 0.02, "fingerprint": "a"})
        later = {"step": 30, "value": 0.3, "se": 0.02}
        answer = client.post(f"{PATH}/{run['id']}/looks", json=later | {"fingerprint": "b"})
        assert (answer.status_code, answer.json()["param"]) == (422, "looks.0.fingerprint")
        answer = client.post(f"{PATH}/{run['id']}/looks", json={"step": 30, "value": 0.3})
        assert (answer.status_code, answer.json()["param"]) == (422, "looks.0.se")
        assert "evaluation.problems" in answer.json()["detail"]
        look(client, run, later)


class TestBeginning:
    def test_an_external_id_is_one_run(self, client: TestClient, sent: Body) -> None:
        first = client.post(PATH, json=sent | {"external_id": "mine/1"})
        again = client.post(PATH, json=sent | {"external_id": "mine/1"})
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        other = client.post(PATH, json=sent | {"external_id": "mine/1", "baseline": {"accuracy": 0.3}})
        assert (other.status_code, other.json()["param"]) == (409, "external_id")
        assert "was begun with another baseline" in other.json()["detail"]

    def test_a_key_makes_one_run(self, client: TestClient, sent: Body) -> None:
        headers = {"Idempotency-Key": "once"}
        first, again = (client.post(PATH, json=sent, headers=headers).json() for _ in range(2))
        assert first["id"] == again["id"]
        assert len(client.get(PATH).json()["data"]) == 1

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"baseline": {"accuracy": 25}}, "baseline.accuracy"),
            ({"baseline": {"accuracy": 0.25}, "evaluation": {"problems": 128}}, "baseline.se"),
            ({"gap": {"value": 0.9, "se": 0.02}}, "gap.value"),
            ({"task": None}, "task"),
            ({"model": "unlisted"}, "model.family"),
            ({"prediction_id": "pred_1"}, "model"),
            ({"stop": {"error": 0.05, "alpha": 0.1}}, "stop.alpha"),
            ({"stop": {"min_gain": 5}}, "stop.min_gain"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, client: TestClient, sent: Body, change: Body, param: str) -> None:
        answer = client.post(PATH, json=sent | change)
        assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text

    def test_lists_are_narrowed(self, client: TestClient, sent: Body) -> None:
        runs = [begin(client, sent | {"name": name, "tags": [name]}) for name in ("a", "b")]
        for wanted in ({"name": "a"}, {"tag": "a"}, {"id_prefix": runs[0]["id"]}):
            assert [one["id"] for one in client.get(PATH, params=wanted).json()["data"]] == [runs[0]["id"]]
        same = {"model": "lab/addition-qwen3-s", "task": "lab/addition", "pool": "default", "status": "running"}
        assert [one["id"] for one in client.get(PATH, params=same).json()["data"]] == [runs[1]["id"], runs[0]["id"]]
        assert client.get(PATH, params={"model": "other"}).json()["data"] == []


class TestEnding:
    def test_a_run_becomes_an_observation_with_its_curve(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent | {"external_id": "mine/1", "pool": "mine", "tags": ["sweep"]})
        looked = look(client, run, *curve(*[0.1 + place / 50 for place in range(10)]))
        answer = client.post(f"{PATH}/{run['id']}/end", json={"provenance": {"host": "mine"}})
        assert answer.status_code == 200, answer.text
        ended = answer.json()
        assert ended["status"] == "succeeded"
        stored = client.get(f"/v1/observations/{ended['observation_id']}").json()
        assert (stored["pool"], stored["source"], stored["external_id"]) == ("mine", "external", "mine/1")
        assert stored["cell"] == "lab-qwen3|lab/addition|frozen-forward_kl"
        assert (stored["context"]["options"]["level"], stored["tags"]) == (3, ["sweep"])
        assert stored["improvement"]["value"] == pytest.approx(0.28)
        assert (stored["improvement"]["problems"], stored["improvement"]["variance"]) == (128, "assumed")
        assert [each["step"] for each in stored["curve"]] == list(range(15, 151, 15))
        assert stored["provenance"]["host"] == "mine"
        assert stored["provenance"]["external_run_id"] == run["id"]
        # it is forecast as if its end were unknown: nothing else is in that pool, so the law did not know of it
        assert ended["forecast"]["fit_id"] is None
        assert looked["forecast"]["now"]["step"] == 150
        assert client.post(f"{PATH}/{run['id']}/end", json={}).status_code == 409
        late = client.post(f"{PATH}/{run['id']}/looks", json={"step": 1, "value": 0.1})
        assert late.status_code == 409
        assert "has ended" in late.json()["detail"]

    @pytest.mark.slow
    def test_finished_runs_teach_the_next_ones_cell(self, client: TestClient, sent: Body) -> None:
        sent |= {"pool": "mine", "model": {"name": "mine/m", "family": "mine"}, "task": "mine/t"}
        for place in range(3):
            run = begin(client, sent)
            look(client, run, *curve(0.1, 0.15 + place / 100, *[0.2] * 8))
            client.post(f"{PATH}/{run['id']}/end", json={})
        found = look(client, begin(client, sent), *curve(0.1))
        assert found["forecast"]["curves"] == {"runs": 3, "cold": False}

    @pytest.mark.parametrize(
        ("change", "looks", "end", "status", "param", "says"),
        [
            ({}, [], {}, 409, None, "has no look yet"),
            ({}, curve(0.1), {}, 409, None, "Append a look at step 150"),
            ({"gap": None}, [{"step": 150, "value": 0.4}], {}, 422, "gap", "send it, or cancel the run"),
            (
                {"evaluation": {}, "baseline": {"accuracy": 0.25, "se": 0.02}},
                [{"step": 150, "value": 0.4, "se": 0.02}],
                *({}, 422, "improvement", "Send value and se"),
            ),
            ({}, [{"step": 150, "value": 0.4}], {"stopped": True}, 422, "stopped", "was trained to step 150"),
            ({}, [{"step": 150, "value": 0.4}], {"cov": 0.9}, 422, "cov", "expected at most gap.se x improvement.se"),
        ],
    )
    def test_what_no_observation_can_be_made_of_is_refused(
        self,
        client: TestClient,
        sent: Body,
        change: Body,
        looks: list[Body],
        end: Body,
        status: int,
        param: str | None,
        says: str,
    ) -> None:
        run = begin(client, sent | change)
        if looks:
            look(client, run, *looks)
        answer = client.post(f"{PATH}/{run['id']}/end", json=end)
        assert (answer.status_code, answer.json()["param"]) == (status, param), answer.text
        assert says in answer.json()["detail"]
        assert "observations" not in answer.json()["detail"]
        assert client.get(f"{PATH}/{run['id']}").json()["status"] == "running"

    def test_the_end_may_bring_what_was_missing(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent | {"gap": None, "evaluation": {}, "baseline": {"accuracy": 0.5, "se": 0.02}})
        look(client, run, {"step": 150, "value": 0.1, "se": 0.02})
        end = {"gap": {"value": 0.3, "se": 0.03}, "improvement": {"value": -0.4, "se": 0.04}}
        ended = client.post(f"{PATH}/{run['id']}/end", json=end).json()
        stored = client.get(f"/v1/observations/{ended['observation_id']}").json()
        assert (stored["improvement"]["se"], stored["gap"]["value"]) == (0.04, 0.3)
        assert stored["collapsed"] is True  # most of the baseline is lost

    def test_a_cancelled_run_leaves_nothing(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent)
        look(client, run, *curve(0.1))
        assert client.delete(f"{PATH}/{run['id']}").status_code == 409
        cancelled = client.post(f"{PATH}/{run['id']}/cancel").json()
        assert (cancelled["status"], cancelled["observation_id"]) == ("cancelled", None)
        assert client.post(f"{PATH}/{run['id']}/cancel").status_code == 409
        assert client.delete(f"{PATH}/{run['id']}").status_code == 204
        assert client.get(f"{PATH}/{run['id']}").status_code == 404


class TestStopping:
    def test_a_hopeless_run_is_told_to_stop(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent | {"stop": {"min_gain": 0.2, "alpha": 0.1}, "seed": 1})
        found = [look(client, run, one) for one in curve(0.2, 0.05, *[-0.02] * 5)]
        stops = [one["ruling"]["stop"] for one in found]
        assert (stops[0], stops[-1]) == (False, True)
        first = stops.index(True)
        assert found[-1]["announced"] == 15 * (first + 1)
        says = found[-1]["ruling"]
        assert (says["reason"], says["threshold"], says["learnt"]) == ("hopeless", 0.1, False)
        assert says["p_above_min_gain"] < 0.1
        assert says["message"].startswith("stop: ")
        assert "above +20.0" in says["message"]

    @pytest.mark.slow
    def test_a_good_run_goes_on(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent | {"stop": {"min_gain": 0.1}})
        found = look(client, run, *curve(0.11, 0.17, 0.2))
        assert (found["ruling"]["stop"], found["ruling"]["reason"], found["announced"]) == (False, "worth_it", None)

    def test_the_threshold_of_a_stated_error_is_learnt_from_finished_runs(self, client: TestClient, sent: Body) -> None:
        learnt = [
            look(client, begin(client, sent | {"stop": {"min_gain": 0.05, "error": error}, "seed": 1}), *curve(0.1))
            for error in (0.05, 0.2)
        ]
        assert all(one["ruling"]["learnt"] for one in learnt)  # the lab has 36 of them
        assert learnt[0]["ruling"]["threshold"] < learnt[1]["ruling"]["threshold"]
        usual = look(client, begin(client, sent | {"stop": {"min_gain": 0.05}, "seed": 1}), *curve(0.1))
        assert usual["ruling"] == learnt[0]["ruling"]
        few = look(client, begin(client, sent | {"stop": {"min_gain": 0.05, "error": 0.001}}), *curve(0.1))
        assert (few["ruling"]["learnt"], few["ruling"]["threshold"]) == (False, 0.1)

    def test_one_stop_in_ten_is_announced_and_not_carried_out(self, client: TestClient, sent: Body) -> None:
        reasons = []
        for seed in range(17, 20):
            run = begin(client, sent | {"stop": {"min_gain": 0.2, "alpha": 0.3}, "seed": seed})
            found = look(client, run, *curve(*[-0.05] * 6))
            assert found["announced"] is not None
            reasons.append(found["ruling"]["reason"])
        assert reasons == ["hopeless", "kept_going", "hopeless"]  # of SHA-256 of "17", "18" and "19", mod 10

    def test_nothing_is_stopped_too_early_too_late_or_cold(self, client: TestClient, sent: Body) -> None:
        rule = {"min_gain": 0.6, "alpha": 0.5}
        cold = sent | {"task": "mine/t", "seed": 1, "pool": "default"}
        for body, looks, reason in (
            (sent | {"stop": rule}, [{"step": 7, "value": 0.2}], "too_early"),
            (sent | {"stop": rule}, [{"step": 113, "value": 0.2}], "too_late"),
            (cold | {"stop": rule}, curve(-0.05, -0.05), "cold"),
            (cold | {"stop": rule | {"cold": True}}, curve(-0.05, -0.05), "hopeless"),
        ):
            found = look(client, begin(client, body), *looks)
            assert found["ruling"]["reason"] == reason
            assert found["ruling"]["stop"] is (reason == "hopeless")

    def test_a_stopped_run_is_stored_with_the_estimate_of_its_looks(self, client: TestClient, sent: Body) -> None:
        run = begin(client, sent | {"pool": "mine", "stop": {"min_gain": 0.2, "alpha": 0.3}, "seed": 1})
        looked = look(client, run, *curve(*[-0.05] * 4))
        assert looked["ruling"]["stop"]
        answer = client.post(f"{PATH}/{run['id']}/end", json={"stopped": True})
        assert answer.status_code == 200, answer.text
        ended = answer.json()
        assert (ended["status"], ended["announced"]) == ("stopped", looked["announced"])
        stored = client.get(f"/v1/observations/{ended['observation_id']}").json()
        estimate = looked["forecast"]["now"]["without_law"]
        assert (stored["stopped_at"], stored["recipe"]["steps"]) == (60, 150)
        assert stored["improvement"]["value"] == pytest.approx(estimate["value"])
        assert stored["improvement"]["se"] == pytest.approx(estimate["se"])
        assert stored["improvement"]["value"] != pytest.approx(-0.05, abs=1e-4)  # not its last value
        # and it teaches no curve: nobody saw its end
        nexts = look(client, begin(client, sent | {"pool": "mine"}), *curve(0.1))
        assert nexts["forecast"]["curves"]["runs"] == 0
