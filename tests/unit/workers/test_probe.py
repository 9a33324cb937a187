import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.catalog.contexts import Context, ContextKind
from service.catalog.schemas import Decoding, ProbeConfiguration
from workers.engines import Sample, Sampling
from workers.failures import JobError
from workers.probe import run_probe
from workers.probe.arms import ArmRunner
from workers.probe.run import draw_problems
from workers.tasks import Split, Task

Configure = Callable[..., ProbeConfiguration]


def quiet(event: str, data: dict[str, Any]) -> None:
    pass


@pytest.fixture(scope="module")
def result(configure: Configure) -> dict[str, Any]:
    return run_probe(configure({"kind": "hints", "options": {"level": 3}}, controls=["placebo"]), quiet)


class TestResult:
    def test_gap_follows_from_the_counts(self, result: dict[str, Any]) -> None:
        student, teacher = (np.array(result["arms"][name]["counts"]) / 2 for name in ("student", "context"))
        d = teacher - student
        assert result["gap"]["value"] == pytest.approx(d.mean())
        assert result["gap"]["se"] == pytest.approx((d.var(ddof=1) / 40) ** 0.5)
        assert result["gap"]["self_teacher"] - result["gap"]["student"] == pytest.approx(d.mean())
        assert (result["gap"]["problems"], result["gap"]["rollouts"]) == (40, 2)

    def test_controls_follow_from_the_counts(self, result: dict[str, Any]) -> None:
        for control in ("none", "placebo"):
            d = (np.array(result["arms"][control]["counts"]) - np.array(result["arms"]["student"]["counts"])) / 2
            assert result["controls"][control]["value"] == pytest.approx(d.mean())

    def test_hints_help_and_another_problems_solution_does_not(self, result: dict[str, Any]) -> None:
        assert result["gap"]["value"] > 0.15
        assert result["controls"]["placebo"]["value"] < 0.05

    def test_is_plain_json(self, result: dict[str, Any]) -> None:
        assert json.loads(json.dumps(result, allow_nan=False)) == result

    def test_names_its_problems(self, result: dict[str, Any], task: Task) -> None:
        assert len(set(result["problem_ids"])) == 40
        assert set(result["problem_ids"]) <= {problem.id for problem in task.problems(Split.train)}


class TestDeterminism:
    def test_same_seed_same_counts_other_seed_other_counts(self, configure: Configure, result: dict[str, Any]) -> None:
        context = {"kind": "hints", "options": {"level": 3}}
        again = run_probe(configure(context, controls=["placebo"]), quiet)
        same = ("arms", "gap", "controls", "problem_ids", "variance")
        assert {key: again[key] for key in same} == {key: result[key] for key in same}
        other = run_probe(configure(context, seed=1), quiet)
        assert other["arms"]["student"]["counts"] != result["arms"]["student"]["counts"]

    def test_a_placebo_arm_does_not_change_the_others(self, configure: Configure, result: dict[str, Any]) -> None:
        without = run_probe(configure({"kind": "hints", "options": {"level": 3}}), quiet)
        assert without["controls"]["placebo"] is None
        assert "placebo" not in without["arms"]
        assert without["arms"]["context"] == result["arms"]["context"]


class TestFreshSamples:
    def test_kind_none_draws_three_different_samples_of_one_prompt(self, configure: Configure) -> None:
        found = run_probe(configure({"kind": "none"}), quiet)
        counts = [tuple(found["arms"][name]["counts"]) for name in ("student", "none", "context")]
        assert len(set(counts)) == 3
        assert found["contexts_missing"] == 1.0
        assert found["controls"]["leak"] == {"copied": 0.0, "contains_answer": 0.0}

    def test_every_rollout_of_every_arm_is_drawn_once_and_never_again(self, task: Task) -> None:
        """The engine sees every prompt of every arm, successes included, and never one arm's seed twice."""
        calls: list[tuple[list[str], int, int]] = []

        class Recorder:
            context_length = 256

            def count_tokens(self, prompt: str) -> int:
                return len(prompt)

            def generate(self, prompts: list[str], n: int, sampling: Sampling, seed: int) -> list[list[Sample]]:
                calls.append((prompts, n, seed))
                return [[Sample((0,), "0000", False)] * n for _ in prompts]

            def fingerprint(self) -> dict[str, str]:
                return {}

        problems = draw_problems(task, 40, 0)
        runner = ArmRunner(Recorder(), task, problems, 3, Sampling(1.0, 1.0, 16), 0)
        student = runner.plain("student")
        runner.plain("none")
        runner.with_context("context", Context(kind=ContextKind.reference_solution), student)
        assert [len(prompts) * n for prompts, n, _ in calls] == [96, 24] * 3
        assert len({seed for _, _, seed in calls}) == 6
        plain = [problem.prompt for problem in problems for _ in range(3)]
        assert calls[0][0] + calls[1][0] == calls[2][0] + calls[3][0] == plain
        assert all(prompt.startswith("Solution: ") for prompt in calls[4][0] + calls[5][0])


class TestContexts:
    def test_uncovered_problems_count_as_none(self, configure: Configure) -> None:
        found = run_probe(
            configure({"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}}), quiet
        )
        assert 0.2 < found["contexts_missing"] < 0.8
        assert found["controls"]["leak"]["contains_answer"] == 1.0

    def test_a_right_answer_under_the_full_solution_counts_as_copied(self, configure: Configure) -> None:
        found = run_probe(configure({"kind": "reference_solution"}), quiet)
        copied, right = found["controls"]["leak"]["copied"], found["gap"]["self_teacher"]
        assert right <= copied <= right + 0.05  # a few truncated ones may be part of the solution too

    def test_feedback_is_on_the_students_own_rollouts(self, configure: Configure) -> None:
        found = run_probe(configure({"kind": "feedback"}), quiet)
        # Feedback on a right attempt repeats it: the contexts that contain the answer are the student's successes.
        assert found["controls"]["leak"]["contains_answer"] == pytest.approx(found["gap"]["student"])


class TestProgress:
    def test_the_total_is_known_from_the_first_event_and_reached(self, configure: Configure) -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        run_probe(configure(controls=["placebo"]), lambda name, data: events.append((name, data)))
        assert {name for name, _ in events} == {"probe.progress"}
        done = [data["done"] for _, data in events]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] == events[0][1]["total"] == 4 * 40 * 2
        assert [data["arm"] for _, data in events] == ["student"] * 3 + ["none"] * 2 + ["context"] * 2 + ["placebo"] * 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"problems": 513}, "not_enough_problems"),
            ({"model": "lab/none-such"}, "model_not_found"),
            ({"model_revision": "sha256:0"}, "model_revision_mismatch"),
            ({"task": "none-such"}, "task_not_found"),
            ({"task_revision": "sha256:0"}, "task_revision_mismatch"),
            ({"template_version": "0"}, "template_version_mismatch"),
            ({"decoding": Decoding(max_tokens=250)}, "context_too_long"),
        ],
    )
    def test_the_reason_has_a_name(self, configure: Configure, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(JobError) as failure:
            run_probe(configure(**changes), quiet)
        assert failure.value.code == code
        assert json.dumps(failure.value.as_dict())

    def test_a_context_that_does_not_fit_names_the_problem(self, configure: Configure) -> None:
        with pytest.raises(JobError) as failure:
            run_probe(configure({"kind": "static", "options": {"text": "word " * 60}}), quiet)
        assert failure.value.code == "context_too_long"
        assert "train-" in failure.value.message
