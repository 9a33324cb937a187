import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gapcast.contract.events import EventData, ProbePartial, ProbeProgress, ProbeSamples
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import Leak, ProbeConfiguration, ProbeResult
from gapcast.contract.samples import SampleLimits
from workers.engines import Request, Sample, Sampling
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError, out_of_memory
from workers.probe import run, run_probe
from workers.probe.measurement import Measurement
from workers.probe.samples import ROLLOUTS
from workers.resources import Resources
from workers.sampling.arms import Sampler
from workers.sampling.drawn import draw_problems
from workers.sampling.rollouts import RememberingEngine, RolloutStore
from workers.tasks import Split, Task, load_task

pytestmark = pytest.mark.slow

Configure = Callable[..., ProbeConfiguration]


def ignore(event: EventData) -> None:
    pass


Measure = Callable[..., ProbeResult]


@pytest.fixture(scope="session")
def measure(configure: Configure) -> Measure:
    """Runs a small probe; its events are dropped."""

    def measured(context: dict[str, Any] | None = None, **changes: Any) -> ProbeResult:
        configuration = configure(context, **changes)
        return run_probe(configuration, Resources.read(configuration.model, {}), ignore)

    return measured


@pytest.fixture(scope="module")
def result(measure: Measure) -> ProbeResult:
    return measure({"kind": "hints", "options": {"level": 3}}, controls=["placebo"])


def test_first_problems_are_kept_to_be_read_whole_and_within_bounds(configure: Configure) -> None:
    configuration, told = configure({"kind": "hints"}, rollouts=6, problems=40), list[EventData]()
    limits = SampleLimits(count=300, bytes=1 << 20, characters=200)
    run_probe(configuration, replace(Resources.read(configuration.model, {}), samples=limits), told.append)
    first, *rest = [one for one in told if isinstance(one, ProbeSamples)]
    assert first.first
    assert not any(one.first for one in rest)
    samples = [one for event in (first, *rest) for one in event.samples]
    each = 3 * ROLLOUTS  # of student, none and context
    assert len(samples) == limits.count // each * each
    drawn = [problem.id for problem in draw_problems(load_task(configuration.task), 40, 0)]
    assert [one.problem_id for one in samples[::each]] == drawn[: limits.count // each]
    assert [one.rollout for one in samples[:each:3]] == list(range(ROLLOUTS))


class TestResult:
    def test_gap_follows_from_the_counts(self, result: ProbeResult) -> None:
        student, teacher = (np.array(result.arms[name].counts) / 2 for name in ("student", "context"))
        d = teacher - student
        assert result.gap.value == pytest.approx(d.mean())
        within = sum((p * (1 - p)).mean() * 2 for p in (student, teacher))
        assert within / 80 > d.var(ddof=1) / 40, "as it happens: the problems differ less than their rollouts explain"
        assert result.gap.se == pytest.approx((within / 80) ** 0.5)
        assert result.gap.self_teacher - result.gap.student == pytest.approx(d.mean())
        assert (result.gap.problems, result.gap.rollouts) == (40, 2)

    def test_controls_follow_from_the_counts(self, result: ProbeResult) -> None:
        for control in ("none", "placebo"):
            d = (np.array(result.arms[control].counts) - np.array(result.arms["student"].counts)) / 2
            assert getattr(result.controls, control).value == pytest.approx(d.mean())

    def test_hints_help_and_another_problems_solution_does_not(self, result: ProbeResult) -> None:
        assert result.gap.value > 0.15
        assert result.controls.placebo.value < 0.05

    def test_is_plain_json(self, result: ProbeResult) -> None:
        shown = json.loads(json.dumps(result.model_dump(mode="json"), allow_nan=False))
        assert ProbeResult.model_validate(shown) == result
        assert all(value is not None for name, value in shown.items()), "a whole result lacks nothing"

    def test_names_its_problems(self, result: ProbeResult, task: Task) -> None:
        assert len(set(result.problem_ids)) == 40
        assert set(result.problem_ids) <= {problem.id for problem in task.problems(Split.train)}


class TestDeterminism:
    def test_same_seed_same_counts_other_seed_other_counts(self, measure: Measure, result: ProbeResult) -> None:
        context = {"kind": "hints", "options": {"level": 3}}
        again = measure(context, controls=["placebo"])
        same = ("arms", "gap", "controls", "problem_ids", "variance")
        assert [getattr(again, name) for name in same] == [getattr(result, name) for name in same]
        other = measure(context, seed=1)
        assert other.arms["student"].counts != result.arms["student"].counts

    def test_a_placebo_arm_does_not_change_the_others(self, measure: Measure, result: ProbeResult) -> None:
        without = measure({"kind": "hints", "options": {"level": 3}})
        assert without.controls.placebo is None
        assert "placebo" not in without.arms
        assert without.arms["context"] == result.arms["context"]


class TestFreshSamples:
    def test_kind_none_draws_three_different_samples_of_one_prompt(self, measure: Measure) -> None:
        found = measure({"kind": "none"})
        counts = [tuple(found.arms[name].counts) for name in ("student", "none", "context")]
        assert len(set(counts)) == 3
        assert found.contexts_missing == 1.0
        assert found.controls.leak == Leak(copied=0.0, contains_answer=0.0)

    def test_every_rollout_of_every_arm_is_drawn_once_and_never_again(
        self, task: Task, engine: TransformersEngine, configure: Configure
    ) -> None:
        """No success of the student is kept and no failure drawn again: the gap's oldest artefact (OPSD.md)."""
        calls: list[list[Request]] = []

        class Recorder(RememberingEngine):
            def generate(self, requests: Sequence[Request], *rest: Any, **named: Any) -> list[list[Sample]]:
                calls.append(list(requests))
                return super().generate(requests, *rest, **named)

        recorder = Recorder(engine, RolloutStore(None), {})
        configuration = configure({"kind": "reference_solution"}, rollouts=3, controls=["placebo"])
        measurement = Measurement(configuration, Sampler(recorder, task, Sampling(1.0, 1.0, 8), 0))
        problems = draw_problems(task, 20, 0)
        measurement.add(problems)
        plain, shown = calls
        prompts = [engine.encode(problem.prompt) for problem in problems]
        assert [request.tokens for request in plain] == prompts * 2
        assert [request.n for request in plain] == [3] * 40
        assert sum(request.n for request in shown) == 2 * 3 * 20
        assert not {request.tokens for request in shown} & set(prompts)
        assert len({request.seed for request in [*plain, *shown]}) == len(plain) + len(shown)

    def test_a_rollout_without_a_context_is_a_fresh_sample_of_the_students_prompt(self, measure: Measure) -> None:
        found = measure({"kind": "column"}, controls=["placebo"])  # the lab's problems have none
        assert found.arms["context"].contexts_missing == {"no_column_text": 80}
        assert found.arms["placebo"].contexts_missing == {"no_column_text": 80}
        assert found.arms["context"].counts != found.arms["student"].counts


class TestReuse:
    @pytest.mark.slow
    def test_six_contexts_sample_the_student_once(
        self, configure: Configure, here: Resources, tmp_path: Path, measure: Measure
    ) -> None:
        remembering = replace(here, rollouts=tmp_path / "rollouts.sqlite")
        contexts = [
            *({"kind": "hints", "options": {"level": level}} for level in (1, 2, 3)),
            *({"kind": kind} for kind in ("reference_solution", "feedback", "peer_solution")),
        ]
        found = [
            run_probe(configure(one, group_size=4 if one["kind"] == "peer_solution" else None), remembering, ignore)
            for one in contexts
        ]
        costs = [one.cost for one in found]
        assert [cost.rollouts_reused for cost in costs[:5]] == [0] + [160] * 4
        assert [cost.rollouts_drawn for cost in costs[:5]] == [240] + [80] * 4
        # two more attempts a problem fill the groups; a peer's right sum reads as the reference solution does
        assert costs[5].rollouts_reused >= 160
        assert costs[5].rollouts_drawn + costs[5].rollouts_reused == 320
        assert all(one.arms["student"] == found[0].arms["student"] for one in found)
        assert found[0].arms == measure(contexts[0]).arms  # the memory changes nothing

    def test_a_larger_probe_begins_with_the_smaller_ones_problems(
        self, configure: Configure, here: Resources, tmp_path: Path
    ) -> None:
        remembering = replace(here, rollouts=tmp_path / "rollouts.sqlite")
        context = {"kind": "hints", "options": {"level": 3, "corruption": {"rate": 0.5}}}
        small = run_probe(configure(context, controls=["placebo"]), remembering, ignore)
        larger = {"size": {"problems": 60}, "width": {"problems": 60, "target_se": 0.001}}
        for change in larger.values():
            large = run_probe(configure(context, controls=["placebo"], **change), remembering, ignore)
            assert large.problem_ids[:40] == small.problem_ids
            for arm, found in small.arms.items():
                assert large.arms[arm].counts[:40] == found.counts
        assert large.cost.rollouts_reused == 4 * 60 * 2


class TestGroups:
    def test_a_peers_solution_is_a_success_of_the_recipes_group(self, measure: Measure) -> None:
        found = measure({"kind": "peer_solution"}, group_size=4, controls=["placebo"])
        assert found.controls.leak.contains_answer == 1.0
        assert found.gap.value > 0.1
        assert found.net_gap.value > 0.1
        alone = measure({"kind": "peer_solution"}, group_size=1)
        assert alone.arms["context"].contexts_missing == {"no_success_in_group": 80}

    def test_hints_can_be_extracted_by_the_model(self, measure: Measure) -> None:
        found = measure({"kind": "hints", "options": {"source": "model"}}, group_size=4)
        missing = found.arms["context"].contexts_missing
        assert set(missing) == {"no_hints"}
        assert 0 < missing["no_hints"] < 80


class TestSequential:
    def test_stops_at_the_width_it_was_asked_for(self, measure: Measure) -> None:
        found = measure({"kind": "hints", "options": {"level": 3}}, problems=400, target_se=0.06)
        assert found.stopped_by == "width"
        assert 32 <= found.gap.problems < 200
        assert found.gap.se <= 0.06
        wider = measure({"kind": "hints", "options": {"level": 3}}, problems=400, target_se=0.1)
        assert wider.gap.problems < found.gap.problems

    def test_says_when_its_problems_were_not_enough(self, measure: Measure) -> None:
        found = measure(problems=24, target_se=0.001)
        assert (found.stopped_by, found.gap.problems) == ("most_problems", 24)

    def test_partial_results_come_as_it_goes(
        self, configure: Configure, here: Resources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run, "PARTIAL_SECONDS", 0.0)
        events: list[EventData] = []
        run_probe(configure(problems=56, target_se=0.001), here, events.append)
        partial = [event.result for event in events if isinstance(event, ProbePartial)]
        assert [one.gap.problems for one in partial] == [32, 40, 48]
        assert all(len(one.arms["context"].counts) == one.gap.problems for one in partial)
        shown = [event.gap for event in events if isinstance(event, ProbeProgress)]
        assert shown[0] is None
        assert shown[-1] is not None
        assert shown[-1].se > 0


class TestCovariates:
    def test_they_follow_from_the_counts(self, result: ProbeResult) -> None:
        right = np.array(result.arms["student"].counts)
        covariates = result.covariates
        assert covariates.headroom == pytest.approx(1 - right.mean() / 2)
        assert covariates.pass_at_k == pytest.approx({"1": right.mean() / 2, "2": (right > 0).mean()})
        assert covariates.mean_sd == pytest.approx((right == 1).mean() / 2)
        assert result.net_gap.value == pytest.approx(result.gap.self_teacher - result.arms["placebo"].accuracy)

    def test_the_teacher_finds_the_students_tokens_less_likely(self, result: ProbeResult) -> None:
        ratio = result.covariates.log_ratio
        assert ratio.mean < 0  # minus an estimate of KL(student | self-teacher)
        assert 0.1 < ratio.top_tenth <= 1
        assert ratio.tokens >= 32


class TestContexts:
    def test_uncovered_problems_count_as_none(self, measure: Measure) -> None:
        found = measure({"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}})
        assert 0.2 < found.contexts_missing < 0.8
        assert found.controls.leak.contains_answer == 1.0

    def test_a_right_answer_under_the_full_solution_counts_as_copied(self, measure: Measure) -> None:
        found = measure({"kind": "reference_solution"})
        copied, right = found.controls.leak.copied, found.gap.self_teacher
        assert right <= copied <= right + 0.05  # a few truncated ones may be part of the solution too

    def test_feedback_is_on_the_students_own_rollouts(self, measure: Measure) -> None:
        found = measure({"kind": "feedback"})
        # Feedback on a right attempt repeats it: the contexts that contain the answer are the student's successes.
        assert found.controls.leak.contains_answer == pytest.approx(found.gap.student)


class TestProgress:
    def test_the_total_is_known_from_the_first_event_and_reached(self, configure: Configure, here: Resources) -> None:
        events: list[EventData] = []
        run_probe(configure(controls=["placebo"]), here, events.append)
        shown = [event for event in events if isinstance(event, ProbeProgress)]
        done = [event.done for event in shown]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] == shown[0].total == 4 * 40 * 2


class TestCovariateThatDoesNotFit:
    def test_costs_no_rollout(self, task: Task, engine: TransformersEngine, configure: Configure) -> None:
        class Small(RememberingEngine):
            def score(self, pairs: Any) -> Any:
                raise out_of_memory("The GPU is full")

        configuration = configure({"kind": "hints"})
        small = Small(engine, RolloutStore(None), {})
        measurement = Measurement(configuration, Sampler(small, task, Sampling(1.0, 1.0, 8), 0))
        measurement.add(draw_problems(task, 8, 0))
        result = measurement.result()
        assert result.covariates.log_ratio is None
        assert result.gap.problems == 8


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
            ({"scoring_version": "0"}, "scoring_version_mismatch"),
            ({"decoding": Decoding(max_tokens=250)}, "context_too_long"),
        ],
    )
    def test_the_reason_has_a_name(self, measure: Measure, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(JobError) as failure:
            measure(**changes)
        assert failure.value.code == code
        assert json.dumps(failure.value.as_dict())

    def test_a_context_that_does_not_fit_names_the_problem(self, measure: Measure) -> None:
        with pytest.raises(JobError) as failure:
            measure({"kind": "static", "options": {"text": "word " * 60}})
        assert failure.value.code == "context_too_long"
        assert "train-" in failure.value.message
