"""`client.recommendations` and the commands about plans, against a server without a worker; and a plan for people."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from gapcast import Client, GapcastError, InvalidRequest, Recommendation, recommendation_words
from gapcast.cli.printing.recommendations import print_recommendation
from gapcast.contract.base import Failure
from gapcast.contract.events import EventPage
from gapcast.contract.recommendations import RecommendationOut
from gapcast.models import Considered, Step, Trained
from tests.support.keys import unknown_keys
from tests.support.product import ask

Run = Callable[..., Result]

BASE = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
VARY = {"context": {"all": {"kind": "hints"}, "talk": {"kind": "feedback"}}}
SPACE = """\
base: {model: lab/addition-qwen3-s, task: lab/addition}
vary:
  context: {all: {kind: hints}, talk: {kind: feedback}}
"""


@pytest.mark.slow
class TestClient:
    def test_a_plan_is_there_at_once(self, connected: Client, pool: str) -> None:
        plan = connected.recommendations.create(base=BASE, vary=VARY, name=pool, budget={"gpu_hours": 5, "runs": 1})
        assert (plan.status, plan.ended, plan.trained, plan.best) == ("succeeded", True, [], None)
        assert plan.names([1, 0]) == ["talk", "all"]
        assert plan.request.budget.gpu_hours == 5
        assert connected.recommendations.wait(plan.id) == plan
        assert [one.id for one in connected.recommendations.list(name=pool, status="succeeded")] == [plan.id]
        again = connected.recommendations.create(plan.request, name=pool)
        assert again.expected_gain == plan.expected_gain

    def test_every_key_of_an_answer_is_a_field(self, connected: Client) -> None:
        path = f"/v1/recommendations/{connected.recommendations.create(base=BASE, vary=VARY).id}"
        assert unknown_keys(RecommendationOut, ask(connected, "GET", path)) == []
        assert unknown_keys(EventPage, ask(connected, "GET", f"{path}/events", params={"after": ""})) == []

    def test_an_executed_plan_is_followed_and_cancelled(self, connected: Client) -> None:
        plan = connected.recommendations.create(base=BASE, vary=VARY, execute=True)
        assert plan.status == "running"
        assert connected.recommendations.cancel(plan.id).status == "cancelled"
        types = [event.type for event in connected.recommendations.events(plan.id)]
        assert types[0] == "recommendation.created"
        assert {"recommendation.step", "comparison.created", "comparison.cancelled"} <= set(types)
        assert types[-1] == "recommendation.cancelled"
        with pytest.raises(GapcastError) as refused:
            connected.recommendations.cancel(plan.id)
        assert refused.value.code == "conflict"

    def test_what_does_not_fit_is_named(self, connected: Client) -> None:
        with pytest.raises(InvalidRequest) as refused:
            connected.recommendations.create(base=BASE, vary=VARY, budget={"runs": 0})
        assert refused.value.param == "budget.runs"


@pytest.mark.slow
class TestCommand:
    @pytest.fixture
    def space(self, tmp_path: Path) -> Path:
        file = tmp_path / "space.yaml"
        file.write_text(SPACE)
        return file

    def test_a_plan_is_printed_and_found_again(self, gapcast: Run, connected: Client, space: Path, pool: str) -> None:
        done = gapcast("recommend", space, "--gpu-hours", "50", "--name", pool, "--tag", "sweep")
        assert done.exit_code == 0, done.output
        (plan,) = connected.recommendations.list(name=pool, tag="sweep").data
        lines = done.stdout.splitlines()
        assert lines[0] == f"{pool}  #sweep"
        assert lines[1].startswith("1. Probe ")
        assert f"Expected gain of the best run: {100 * plan.expected_gain:+.1f} points, in " in done.stdout
        assert lines[-1].startswith(f"{plan.id}: ")
        assert gapcast("recommendations", "show", plan.id[:-4]).stdout == done.stdout
        listed = gapcast("recommendations", "list", "--name", pool).stdout
        assert listed.splitlines()[1].split()[0] == plan.id
        assert connected.training_runs.list(name=pool).data == []

    def test_json_has_the_options(self, gapcast: Run, space: Path) -> None:
        options = ["--runs", "2", "--hours-per-run", "3", "--seconds-per-rollout", "0.5", "--json"]
        plan = Recommendation.model_validate(json.loads(gapcast("recommend", space, *options).stdout))
        assert plan.request.budget.runs == 2
        assert (plan.request.cost.hours_per_run, plan.request.cost.seconds_per_rollout) == (3, 0.5)
        assert [one.run_hours for one in plan.space] == [3, 3]

    def test_one_that_is_executed_can_be_left_and_cancelled(self, gapcast: Run, space: Path) -> None:
        done = gapcast("recommend", space, "--execute", "--detach")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("running\n")
        recommendation_id = done.stderr.split()[-1]
        assert done.stderr == f"To follow: gapcast recommendations follow {recommendation_id}\n"
        cancelled = gapcast("recommendations", "cancel", recommendation_id)
        assert cancelled.stdout == f"{recommendation_id}: cancelled\n"
        assert gapcast("recommendations", "follow", recommendation_id).exit_code == 1

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--gpu-hours", "0.0001"], "--gpu-hours: expected at least 0.0"),
            (["--gpu-hours", "-1"], "--gpu-hours: expected a number above 0"),
            (["--runs", "51"], "--runs: expected a whole number from 1 to 50, got 51."),
            (["--hours-per-run", "0"], "--hours-per-run: expected a number above 0"),
            (["--vary", "recipe.stepz=1,2"], "--vary recipe.stepz: is not a field of recipe. Did you mean steps?"),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_option(
        self, gapcast: Run, space: Path, options: list[str], said: str
    ) -> None:
        done = gapcast("recommend", space, *options)
        assert done.exit_code == 2, done.output
        assert said in done.stderr


def plan(**change: Any) -> Recommendation:
    """A plan that trains first, as the API answers it."""
    candidate = {"model": "m", "family": "f", "problems": 0, "value": 0.2, "p_best": 0.5, "run_hours": 2.0}
    interval = {"level": 0.8, "lower": 0.1, "upper": 0.3}
    space = [candidate | {"place": place, "name": name, "interval": interval} for place, name in enumerate(("a", "b"))]
    configurations = [BASE | {"context": {"kind": kind}} for kind in ("hints", "feedback")]
    considered = {"runs_first": 1, "probed": 1, "problems": 64, "runs_in_turn": 0, "runs": 2}
    steps = [
        Step(action="train", configurations=[1], runs=1, hours=2.0, why="Because."),
        Step(action="probe", configurations=[0, 1], choice=True, problems=64, rollouts=500, hours=0.5, why="So."),
        Step(action="train", configurations=[0, 1], choice=True, runs=1, hours=2.0, why="Then."),
    ]
    fields: dict[str, Any] = {
        "id": "rec_1",
        "status": "succeeded",
        "request": {"configurations": configurations},
        "fit_id": "fit_1",
        "pool": "mine",
        "unit": "gpu_hours",
        "plan": steps,
        "expected_gain": 0.31,
        "expected_gain_naive": 0.29,
        "expected_gain_without": 0.25,
        "hours": 4.5,
        "bottleneck": "law",
        "law_share": 0.8,
        "alternatives": [considered | {"hours": 4.5, "expected_gain": 0.31}],
        "space": space,
        "created_at": "2026-11-29T12:00:00Z",
        "finished_at": None,
    }
    return Recommendation.model_validate(fields | change)


def printed(found: Recommendation) -> str:
    out = io.StringIO()
    print_recommendation(Console(file=out, width=200), found)
    return out.getvalue()


class TestPrinting:
    def test_the_steps_come_first(self) -> None:
        assert printed(plan()).splitlines()[:8] == [
            "1. Train b: about 2.0 h",
            "   Because.",
            "2. Probe 2 of them, chosen then, such as a and b: 64 problems each, at most 30 min",
            "   So.",
            "3. Train 1 run of a and b: about 2.0 h",
            "   Then.",
            "Expected gain of the best run: +31.0 points, in 4.5 h. Probing all alike and training the first: +29.0. "
            "Training the first by the law alone: +25.0.",
            "The bottleneck is the law: runs that teach it buy most.",
        ]

    def test_many_configurations_are_not_all_named(self) -> None:
        many = [plan().space[0].model_copy(update={"place": place, "name": f"c{place}"}) for place in range(6)]
        step = Step(action="probe", configurations=[5, 0, 1, 2, 3], problems=64, hours=0.5, why="So.")
        lines = printed(plan(space=many, plan=[step])).splitlines()
        assert lines[0] == "1. Probe c5, c0, c1, c2 and 1 more: 64 problems each, at most 30 min"
        everyone = step.model_copy(update={"configurations": [5, 0, 1, 2, 3, 4]})
        assert printed(plan(space=many, plan=[everyone])).startswith("1. Probe all 6: 64 problems each")

    def test_two_seeds_of_one_are_said(self) -> None:
        step = Step(action="train", configurations=[1, 1, 0], runs=3, hours=6.0, why="So.")
        assert printed(plan(plan=[step])).startswith("1. Train b, with two seeds and a: about 6.0 h")

    def test_a_pilot_says_how_far_and_how_many_go_on(self) -> None:
        step = Step(action="pilot", configurations=[1, 0], runs=2, share=0.2, finish=1, hours=2.4, why="So.")
        assert printed(plan(plan=[step])).startswith("1. Pilot b and a at 20 %, finish the best: about 2.4 h")
        several = step.model_copy(update={"choice": True, "runs": 3, "finish": 2})
        assert printed(plan(plan=[several])).startswith("1. Pilot 3 runs of b and a at 20 %, finish the best 2: about")

    def test_an_executed_one_says_how_far_it_is(self) -> None:
        best = Trained(place=1, training_run_id="run_1", status="succeeded", improvement=None)
        best = Trained.model_validate(best.model_dump() | {"improvement": {"value": 0.28, "se": 0.03}})
        request = plan().request.model_copy(update={"execute": True})
        said = printed(plan(request=request, trained=[best], best=best)).splitlines()
        assert said[0] == "succeeded"
        assert said[1] == "1. Train b: about 2.0 h [planned]"
        assert "Best run: b, +28.0 ± 3.0 points (run_1)" in said
        error = Failure(code="e", message="No [space] left.", category="server")
        assert printed(plan(request=request, status="failed", error=error)).startswith("failed: No [space] left.\n")

    def test_a_frame_has_a_row_a_step_or_what_is_asked_for(self) -> None:
        frame = plan().to_dataframe()
        assert list(frame["action"]) == ["train", "probe", "train"]
        assert frame["configurations"][1] == ["a", "b"]
        assert (frame["problems"][1], frame["hours"][2]) == (64, 2.0)
        promising = [one.model_copy(update={"p_best": one.place / 2}) for one in plan().space]
        space = plan(space=promising).to_dataframe("space")
        assert list(space["name"]) == ["b", "a"]
        assert (space["gap"][0], space["predicted"][0], space["upper"][0]) == (None, 0.2, 0.3)
        others = plan().to_dataframe("alternatives")
        assert (others["runs_first"][0], others["expected_gain"][0]) == (1, 0.31)
        with pytest.raises(ValueError, match=r"of: expected plan, space, alternatives, got 'steps'\."):
            plan().to_dataframe("steps")  # type: ignore[arg-type]

    def test_a_chart_has_the_gains_in_points(self) -> None:
        spec = plan().chart().to_dict()
        rows = spec["data"]["values"] if "data" in spec else next(iter(spec["datasets"].values()))
        assert [row["plan"] for row in rows] == [
            "This plan",
            "Probing all alike and training the first",
            "Training the first by the law alone",
        ]
        assert [row["gain"] for row in rows] == pytest.approx([31.0, 29.0, 25.0])
        assert "accuracy points" in str(spec)

    def test_a_notebook_shows_its_steps(self) -> None:
        html = plan(space=[one.model_copy(update={"name": "<b>"}) for one in plan().space])._repr_html_()
        assert html.count("<tr>") == 4
        assert "Train &lt;b&gt;: about 2.0 h" in html
        assert "rec_1: Expected gain of the best run: +31.0 points, in 4.5 h." in html

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({}, "train 1 first, then probe 1 with 64 problems each, then train the best by what those have shown"),
            ({"runs_first": 0, "problems": 0}, "train the best 2"),
            ({"runs_first": 0, "runs": 1}, "probe 1 with 64 problems each, then train the best"),
            (
                {"runs_first": 0, "problems": 0, "runs": 1, "pilots": 3, "pilot_share": 0.2},
                "pilot 3 at 20 %, finish the best",
            ),
            (
                {"runs_first": 0, "runs": 2, "pilots": 3, "pilot_share": 0.2},
                "probe 1 with 64 problems each, then pilot 3 at 20 %, finish the best 2",
            ),
            (
                {"runs_first": 0, "runs_in_turn": 1, "runs": 3},
                "probe 1 with 64 problems each, then train 1 of them, then train the best 2 by what those have shown",
            ),
        ],
    )
    def test_other_plans_are_said_in_a_line(self, change: dict[str, float], said: str) -> None:
        considered = plan().alternatives[0]
        assert recommendation_words.considered(Considered.model_validate(considered.model_dump() | change)) == said
