"""Recommendations on the page, through the whole application; `end` does what a worker would with a run."""

from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

from gapcast import recommendation_words
from gapcast.contract.probes import Difference
from gapcast.contract.recommendations import Action, Bottleneck, RecommendationOut, Unit
from gapcast.words import duration, listed, points
from service.jobs.models import JobState
from service.web.gains_plot import gains_plot
from service.web.rendering import typeset
from tests.support.markup import Elements
from tests.support.recommendations import DEAR, HOURS, Body, created, end, read

NASTY = '</text><script>alert("name")</script> & "more"'
VARY: Body = {"context": {"hinted": {"kind": "hints"}, NASTY: {"kind": "feedback"}, "low": {"kind": "peer_solution"}}}
BASE: Body = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}


def asked_for(client: TestClient, status: int = 201, base: Body | None = None, **more: Any) -> RecommendationOut:
    return RecommendationOut.model_validate(created(client, status, base=BASE | (base or {}), vary=VARY, **more))


def shown(client: TestClient, plan: RecommendationOut) -> Elements:
    response = client.get(f"/recommendations/{plan.id}")
    assert response.status_code == 200, response.text
    return Elements(response.text)


class TestPlan:
    def test_the_sentence_says_what_to_do_first_and_what_it_brings(self, client: TestClient) -> None:
        plan = asked_for(client, name="which", budget={"runs": 2})
        found = shown(client, plan)
        probe, train = plan.plan
        names = listed([plan.space[place].name for place in probe.configurations])
        lasts = duration(3600 * probe.hours)
        assert found.text_of("[data-slot=headline]") == (
            f"Probe {names}: {probe.problems} problems each, at most {lasts}"
        )
        brings = f"The best run of the plan is expected to gain {points(plan.expected_gain)} accuracy points, in "
        assert found.text_of("[data-slot=reason]") == typeset(f"{brings}{duration(3600 * plan.hours)}. {probe.why}")
        facts = found.facts()
        assert facts["Bottleneck"] == "The gaps: probes buy most"
        assert facts["Budget"] == "2 runs"
        assert found.attributes_of("#recommendation-now")["data-status"] == "ended"
        assert "hidden" in found.attributes_of("#recommendation-progress")
        first, second = found.rows("#recommendation-steps")
        assert first[0] == "Probe"
        assert first[2:4] == [f"{probe.problems:,}", ""]
        assert first[5] == typeset(probe.why)
        assert second[0] == "Train"
        assert second[2:4] == ["", str(train.runs)]
        assert "State" not in found.text_of("#recommendation-steps"), "nothing is started"

    def test_every_configuration_and_every_plan_has_a_line(self, client: TestClient) -> None:
        plan = asked_for(client)
        found = shown(client, plan)
        rows = found.rows("#recommendation-space")
        best = max(plan.space, key=lambda one: one.p_best)
        assert len(rows) == 3
        assert rows[0][:3] == ["not known", "0", points(best.value)]
        others = found.rows("#recommendation-others")
        assert [row[0] for row in others] == [typeset(points(one.expected_gain)) for one in plan.alternatives]
        heads = [one for one in found.named("th") if one.get("scope") == "row"]
        assert len(heads) == len(plan.plan) + 3 + len(plan.alternatives)
        assert all(one.get("scope") for one in found.named("th"))

    def test_the_plot_says_what_it_draws(self, client: TestClient) -> None:
        plan = asked_for(client)
        found = shown(client, plan)
        attributes = found.attributes_of("[role=img]")
        assert attributes["aria-label"] == typeset(recommendation_words.worth(plan))
        assert f"Training the first by the law alone: {points(plan.expected_gain_without)}." in (
            attributes["aria-label"] or ""
        )
        widths = [float((one["width"] or "").rstrip("%")) for one in found.named("rect")]
        gains = (plan.expected_gain, plan.expected_gain_naive, plan.expected_gain_without)
        assert [width / widths[0] for width in widths] == pytest.approx([gain / gains[0] for gain in gains], abs=0.001)

    def test_nothing_worth_training_is_said_first(self, client: TestClient) -> None:
        plan = asked_for(client, base={"min_gain": 0.9})
        found = shown(client, plan)
        assert found.text_of("[data-slot=headline]") == "Stop"
        assert found.text_of("[data-slot=reason]").startswith("None is worth training: the best plan is expected to")
        assert found.attributes_of("#recommendation-now")["data-verdict"] == "skip"

    def test_text_of_people_is_escaped(self, client: TestClient) -> None:
        plan = asked_for(client, name=NASTY)
        for path in (f"/recommendations/{plan.id}", "/recommendations", "/"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text
            assert "style=" not in text, "no inline style: the page's policy would drop it"

    def test_losses_are_drawn_to_the_left_of_zero(self, client: TestClient) -> None:
        plan = asked_for(client)
        change = {"expected_gain": 0.1, "expected_gain_naive": -0.1, "expected_gain_without": 0.0}
        plot = gains_plot(plan.model_copy(update=change))
        assert plot is not None
        up, down, none = plot.bars
        assert (plot.zero, up.start, down.start + down.width, none.width) == (50.0, 50.0, 50.0, 0.0)
        assert gains_plot(plan.model_copy(update=dict.fromkeys(change, 0.0))) is None


@pytest.mark.slow
class TestExecuted:
    def test_a_probe_is_followed_and_cancelled(self, client: TestClient) -> None:
        plan = asked_for(client, 202, execute=True)
        found = shown(client, plan)
        assert found.text_of("[data-slot=headline]").startswith(f"Step 1 of {len(plan.plan)}: Probe ")
        assert found.text_of("[data-slot=progress]").startswith("No worker for probes has been seen")
        assert found.attributes_of("#recommendation-now")["data-status"] == "running"
        links = [one["href"] for one in found.named("a")]
        assert f"/comparisons/{plan.plan[0].comparison_id}" in links
        assert found.rows("#recommendation-steps")[0][6] == "Running comparison"
        client.post(f"/v1/recommendations/{plan.id}/cancel")
        found = shown(client, plan)
        assert found.text_of("[data-slot=headline]") == "Cancelled"
        assert found.attributes_of("#recommendation-now")["data-status"] == "ended"

    def test_runs_show_how_far_they_are_and_what_they_gained(self, client: TestClient) -> None:
        plan = asked_for(client, 202, execute=True, base={"pool": "default"}, budget={"runs": 2} | HOURS, **DEAR)
        (step,) = plan.plan
        total = 2 * plan.request.asked[0].recipe.steps
        found = shown(client, plan)
        spoken = found.attributes_of("#recommendation-live")["data-step"]
        assert found.text_of("[data-slot=progress]") == f"0 of 2 runs ended; step 0 of {total}"
        assert found.attributes_of("progress") == {"aria-label": "Step under way", "max": str(total), "value": "0"}
        end(client, step.training_run_ids[0], improvement=Difference(value=0.1, se=0.04))
        found = shown(client, plan)
        assert found.text_of("[data-slot=progress]") == f"1 of 2 runs ended; step {total // 2} of {total}"
        assert found.attributes_of("#recommendation-live")["data-step"] != spoken
        name = plan.space[step.configurations[0]].name
        assert f"Best run: {name}, +10.0 ± 4.0 points." in found.text_of("[data-slot=reason]")
        end(client, step.training_run_ids[1], improvement=Difference(value=-0.05, se=0.04))
        found = shown(client, plan)
        assert found.text_of("[data-slot=headline]") == "Succeeded"
        assert found.text_of("[data-slot=reason]") == f"Best run: {name}, +10.0 ± 4.0 points."
        assert found.attributes_of("#recommendation-now")["data-verdict"] == "train"
        second = plan.space[step.configurations[1]].name
        state = f"Succeeded run of {name}, +10.0 ± 4.0 run of {second}, {typeset('-5.0')} ± 4.0"
        assert found.rows("#recommendation-steps")[0][6] == state

    def test_a_failed_one_says_why(self, client: TestClient) -> None:
        plan = asked_for(client, 202, execute=True, budget=HOURS, **DEAR)
        end(client, plan.plan[0].training_run_ids[0], JobState.failed)
        assert read(client, plan.model_dump())["status"] == "failed"
        found = shown(client, plan)
        assert (found.text_of("[data-slot=headline]"), found.text_of("[data-slot=reason]")) == ("Failed", "m")
        assert found.attributes_of("#recommendation-now")["data-verdict"] == "refused"


class TestPilots:
    def test_the_step_says_how_far_and_how_many_go_on(self, client: TestClient) -> None:
        cost = {"seconds_per_rollout": 1e5, "hours_per_run": 1.0}
        base = {"recipe": {"steps": 150, "learning_rate": 5e-4}, "training": {"problems": 128}}
        plan = asked_for(client, base=base, budget={"runs": 2, "gpu_hours": 1.4}, cost=cost)
        found = shown(client, plan)
        names = listed([plan.space[place].name for place in plan.plan[0].configurations])
        said = f"Pilot {names} at 20 %, finish the best: about {duration(3600 * 1.4)}"
        assert found.text_of("[data-slot=headline]") == typeset(said)
        assert found.facts()["Bottleneck"] == typeset("The runs' own scatter: the first part of several buys most")
        (row,) = found.rows("#recommendation-steps")
        assert (row[0], row[3]) == ("Pilot", "3, finish 1")


def test_what_is_not_there_is_the_apis_problem(client: TestClient) -> None:
    response, api = client.get("/recommendations/rec_1"), client.get("/v1/recommendations/rec_1")
    assert (response.status_code, response.json()["detail"]) == (404, api.json()["detail"])


def test_every_action_bottleneck_and_unit_has_words() -> None:
    assert set(recommendation_words.ACTIONS) == set(get_args(Action))
    assert set(recommendation_words.BOTTLENECKS) == set(get_args(Bottleneck))
    assert set(recommendation_words.UNITS) == set(get_args(Unit))
