import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from gapcast.contract.events import (
    EventData,
    TrainingCheckpoint,
    TrainingEvaluated,
    TrainingGap,
    TrainingMetrics,
    TrainingPartialMessage,
    TrainingProgress,
    TrainingResumed,
    TrainingWarning,
)
from gapcast.contract.probes import Difference
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import Predicted, PredictedInterval
from tests.support.training import Told, told_of
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError, Paused
from workers.opsd import run_training
from workers.opsd.checkpoint import write_checkpoint
from workers.opsd.configuration import own_seed
from workers.opsd.evaluation import Evaluator, warn_of_no_learning
from workers.opsd.parts import Job, load_parts
from workers.opsd.warnings import Warnings
from workers.opsd.world import ALONE
from workers.resources import Resources
from workers.sampling.drawn import draw_problems
from workers.tasks import load_task

pytestmark = pytest.mark.slow

Configure = Callable[..., TrainingConfiguration]
Run = Callable[..., Told]


@pytest.fixture(scope="module")
def taught(configured: Configure, run: Run) -> Told:
    """One run that is long enough to learn."""
    return run(configured(recipe={"steps": 50, "problems_per_step": 16}, problems=24, rollouts=4, held_out_problems=24))


class TestRunTraining:
    def test_a_full_solution_is_learned(self, taught: Told) -> None:
        result = taught.result
        assert result.gap.value > 0.3
        assert result.improvement.value > 4 * result.improvement.se
        assert result.improvement.value == pytest.approx(result.gap.value, abs=0.25)
        assert (result.collapsed, result.stopped_by, result.steps) == (False, "steps", 50)
        assert result.warnings == []

    def test_errors_share_the_baseline_and_the_problems(self, taught: Told) -> None:
        result = taught.result
        assert 0 < result.cov <= result.gap.se * result.improvement.se * (1 + 1e-9)

    def test_the_way_is_told(self, taught: Told) -> None:
        assert [one.step for one in taught.of(TrainingEvaluated)] == list(range(5, 51, 5))
        seen = [one.model_dump(mode="json") for one in taught.result.evaluations or []]
        assert [one.written() for one in taught.of(TrainingEvaluated)] == seen
        assert [one.step for one in taught.of(TrainingMetrics)] == list(range(1, 51))
        phases = list(dict.fromkeys(one.phase for one in taught.of(TrainingProgress)))
        assert phases == ["baseline", "training", "evaluation"]
        assert TrainingProgress(done=17, total=50, phase="training") in taught.of(TrainingProgress)
        (gap,) = taught.of(TrainingGap)
        assert gap.gap == taught.result.gap
        assert taught.of(TrainingPartialMessage)[-1].evaluations == taught.result.evaluations

    def test_the_last_and_the_best_step_are_told_apart(self, taught: Told) -> None:
        evaluations = taught.result.evaluations
        assert taught.result.improvement == evaluations[-1].improvement
        best = max(evaluations, key=lambda one: one.improvement.value)
        assert taught.result.best.model_dump() == best.model_dump(include={"step", "improvement", "held_out"})
        assert taught.result.held_out.improvement == evaluations[-1].held_out

    def test_a_look_says_how_it_was_measured(self, taught: Told) -> None:
        result = taught.result
        for look in result.evaluations or []:
            assert (look.problems, look.rollouts) == (24, 4)
            assert 0 < (look.accuracy_se or 0) < 0.15
            assert abs(look.cov or 0) <= result.gap.se * look.improvement.se * (1 + 1e-9)
            assert look.accuracy == pytest.approx(result.baseline + look.improvement.value)
        assert (result.evaluations or [])[-1].cov == result.cov

    def test_counts_and_costs(self, taught: Told) -> None:
        result = taught.result
        assert sum(result.counts.before) / 96 == result.baseline
        assert len(result.problem_ids) == 24
        # baseline, gap and held-out; ten looks; the steps
        assert result.cost.rollouts == 3 * 96 + 10 * 2 * 96 + 50 * 32
        assert result.cost.tokens > 3 * result.cost.rollouts
        assert result.cost.gpu_hours == 0

    def test_the_end_is_measured_with_samples_of_its_own(self, configured: Configure, run: Run) -> None:
        """Without a context nothing is learned: the same samples again would give differences of exactly zero."""
        configuration = configured({"kind": "none"}, {"steps": 1}, problems=48, held_out_problems=48, rollouts=4)
        result = run(configuration).result
        for measured in (result.gap, result.improvement, result.held_out.improvement):
            assert measured.se > 0.02
            assert abs(measured.value) < 4 * measured.se
        assert [one.code for one in result.warnings] == ["no_context"]

    def test_a_task_without_held_out_problems(self, configured: Configure, run: Run) -> None:
        found = run(configured(recipe={"steps": 2}, held_out_problems=0))
        assert found.result.held_out is None
        assert {one.held_out for one in found.of(TrainingEvaluated)} == {None}


class TestEvaluationProblems:
    def test_are_the_first_of_the_training_problems_and_the_only_ones_measured(
        self, configured: Configure, run: Run
    ) -> None:
        evaluated = run(configured(evaluation_problems=4, recipe={"steps": 2}, options={"evaluate_every": 1})).result
        assert len(evaluated.problem_ids or []) == 4
        assert evaluated.gap.problems == 4
        assert evaluated.counts is not None
        assert len(evaluated.counts.before) == len(evaluated.counts.after) == 4
        assert {one.problems for one in evaluated.evaluations or []} == {4}

    def test_what_is_trained_is_all_of_them(self, configured: Configure, here: Resources) -> None:
        parts = load_parts(Job(configured(evaluation_problems=4), here, lambda event: None, lambda: False, ALONE))
        first = parts.evaluator.problems
        drawn = draw_problems(load_task("lab/addition"), 8, own_seed(configured(evaluation_problems=4)))
        assert [one.id for one in first] == [one.id for one in drawn[:4]]
        assert [one.id for one in parts.trainer._problems] == [one.id for one in drawn]

    def test_all_of_them_is_the_run_that_it_was_before_there_was_a_choice(self, configured: Configure) -> None:
        assert own_seed(configured(evaluation_problems=8)) == own_seed(configured())
        assert own_seed(configured(evaluation_problems=4)) != own_seed(configured())
        assert "evaluation_problems" not in json.loads(configured(evaluation_problems=8).content)

    def test_are_some_of_those_that_are_trained_on(self, configured: Configure) -> None:
        with pytest.raises(ValidationError, match="at most 8"):
            configured(evaluation_problems=9)


class TestSeeds:
    def test_runs_that_differ_in_anything_share_no_seed(self, configured: Configure) -> None:
        runs = [configured({"kind": kind}, seed=seed) for kind in ("none", "static") for seed in (0, 1)]
        assert len({own_seed(one) for one in runs}) == 4
        assert own_seed(configured({"kind": "none"})) == own_seed(runs[0])

    def test_how_a_run_is_computed_does_not_change_what_it_draws(self, configured: Configure) -> None:
        assert own_seed(configured(options={"micro_batch": 1, "export": "none"})) == own_seed(configured())

    @pytest.mark.parametrize(
        "recipe", [{"token_clip": 1.0}, {"skip_tokens": 1}, {"schedule": "linear"}, {"weight_decay": 0.1}]
    )
    def test_a_recipe_with_a_newer_field_is_another_one(self, configured: Configure, recipe: dict[str, Any]) -> None:
        assert own_seed(configured(recipe=recipe)) != own_seed(configured())

    def test_the_lab_pool_keeps_its_draws(self) -> None:
        """`own_seed` of the pool's first run as it was before recipes had the newer fields."""
        from workers.lab import measure

        (first, *_) = json.loads(Path("service/observations/lab_pool.json").read_text())
        names = TrainingConfiguration.model_fields.keys() & first.keys() - {"options"}
        configuration = TrainingConfiguration.model_validate({name: first[name] for name in names})
        old = {name: first[name] for name in names}
        assert measure.runs()[0].external_id == first["external_id"]
        assert json.loads(configuration.content) == old


FIRST_STATE: dict[str, Any] = {
    "before": {"student": [[0.0, 0.0], [1.0, 0.0]] * 4, "self_teacher": [[1.0, 1.0]] * 8, "held_out": [[0.0, 1.0]] * 4},
    "evaluations": [
        {
            "step": 0,
            "accuracy": 0.5,
            "improvement": {"value": 0.25, "se": 0.1},
            "held_out": {"value": 0.0, "se": 0.1},
        }
    ],
    "warnings": [{"code": "checkpoint_passed_over", "message": "Broken."}],
    "best_path": None,
    "taught": True,
    "moved": True,
    "spent": {"seconds": 1000.5, "rollouts": 40, "tokens": 200},
}
"""What `state.json` held before results had classes."""


@pytest.mark.slow
class TestStopped:
    RECIPES: tuple[dict[str, Any], ...] = ({}, {"teacher": "ema", "divergence": "reverse_kl", "lora_rank": 4})

    @pytest.mark.parametrize("recipe", RECIPES)
    def test_a_paused_run_ends_as_one_that_was_not(
        self, configured: Configure, run: Run, here: Resources, tmp_path: Path, recipe: dict[str, Any]
    ) -> None:
        configuration = configured(recipe=recipe, options={"checkpoint_every": 4, "evaluate_every": 2})
        expected = run(configuration, tmp_path / "whole")
        folder = tmp_path / "stopped"
        places = replace(here, checkpoint_folder=folder / "checkpoints", export_folder=folder / "model")
        stopped = Told()
        calls = iter([False, False, True])
        with pytest.raises(Paused) as paused:
            run_training(configuration, places, stopped.events.append, lambda: next(calls))
        assert paused.value.step == 3
        checkpoints = [Path(one.path) for one in stopped.of(TrainingCheckpoint)]
        assert checkpoints[-1].name == "step_3"
        again = run(configuration, folder, checkpoints=tuple(reversed(checkpoints)))
        assert again.of(TrainingResumed) == [TrainingResumed(step=3)]
        assert told_of(again.result) == told_of(expected.result)
        losses = {one.step: one.loss for one in expected.of(TrainingMetrics)}
        assert {one.step: one.loss for one in again.of(TrainingMetrics)} == {s: losses[s] for s in (4, 5, 6)}
        weights = [load_file(next((at / "model").glob("*.safetensors"))) for at in (tmp_path / "whole", folder)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_a_broken_checkpoint_is_passed_over_and_said(self, configured: Configure, run: Run, tmp_path: Path) -> None:
        configuration = configured(options={"checkpoint_every": 2, "evaluate_every": 6})
        expected = run(configuration, tmp_path)
        kept = sorted((tmp_path / "checkpoints").iterdir())
        assert [path.name for path in kept] == ["step_0", "step_4", "step_6"]
        (kept[2] / "optimizer.safetensors").write_bytes(b"")
        again = run(configuration, tmp_path / "again", checkpoints=tuple(reversed(kept)))
        assert again.of(TrainingResumed) == [TrainingResumed(step=4)]
        warning, *others = again.result.warnings
        assert warning.code == "checkpoint_passed_over"
        assert "step_6: optimizer.safetensors is damaged or cut off" in warning.message
        assert others == expected.result.warnings
        assert told_of(again.result) == told_of(expected.result) | {"warnings": told_of(again.result)["warnings"]}

    def test_without_any_good_one_it_begins_again_and_says_so(
        self, configured: Configure, run: Run, tmp_path: Path
    ) -> None:
        found = run(configured(recipe={"steps": 1}), checkpoints=(tmp_path / "step_4", tmp_path / "step_2"))
        warning = found.result.warnings[0]
        assert warning.code == "restarted"
        assert "step_4: manifest.json is missing; step_2: manifest.json is missing" in warning.message

    def test_one_that_the_first_version_wrote_is_gone_on_from(
        self, configured: Configure, run: Run, tmp_path: Path
    ) -> None:
        written = write_checkpoint(tmp_path / "1", 0, FIRST_STATE, {}).path
        found = run(configured(recipe={"steps": 1}), tmp_path / "2", checkpoints=(written,))
        assert found.of(TrainingResumed) == [TrainingResumed(step=0)]
        result = found.result
        assert result.baseline == 0.25
        assert [one.model_dump(exclude_none=True) for one in result.evaluations or []][:1] == FIRST_STATE["evaluations"]
        assert [one.model_dump(exclude_defaults=True) for one in result.warnings][:1] == FIRST_STATE["warnings"]
        assert result.cost.seconds > 1000
        state = json.loads((tmp_path / "2" / "checkpoints" / "step_1" / "state.json").read_text())
        assert state.keys() == FIRST_STATE.keys() | {"step", "passes", "output", "stop"}
        assert state["spent"].keys() == FIRST_STATE["spent"].keys() | {"evaluation_seconds"}
        assert (result.cost.evaluation_seconds, result.rollout_looks) == (None, None), "nobody knows of what was before"
        assert state["evaluations"] == FIRST_STATE["evaluations"]
        assert state["before"] == FIRST_STATE["before"] | {"asked": None}

    def test_the_newest_two_and_the_best_are_kept(self, configured: Configure, run: Run, tmp_path: Path) -> None:
        found = run(configured(recipe={"steps": 8}, options={"checkpoint_every": 1, "evaluate_every": 3}), tmp_path)
        names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
        assert {"step_7", "step_8"} <= names
        assert len(names) <= 3
        assert [one.step for one in found.of(TrainingCheckpoint)] == list(range(9))


RUINOUS = {"steps": 40, "learning_rate": 0.05, "problems_per_step": 8}
"""A learning rate at which the student forgets to add within a few steps."""


class TestWhatCannotBeWritten:
    """A file stands where a folder would be made: what is trained and measured is not lost over it."""

    @pytest.fixture
    def taken(self, tmp_path: Path) -> Path:
        (tmp_path / "taken").write_text("no folder")
        return tmp_path / "taken" / "1"

    def test_a_run_without_an_export_is_a_run(self, configured: Configure, run: Run, taken: Path) -> None:
        result = run(configured(recipe={"steps": 2}), export_folder=taken).result
        assert result.artifact is None
        assert "nothing_exported" in [one.code for one in result.warnings]
        assert result.improvement.se > 0

    def test_so_is_one_without_checkpoints(self, configured: Configure, run: Run, taken: Path) -> None:
        found = run(configured(recipe={"steps": 2}), checkpoint_folder=taken)
        assert "checkpoint_not_written" in [one.code for one in found.result.warnings]
        assert found.of(TrainingCheckpoint) == []
        assert found.result.steps == 2


@pytest.mark.slow
class TestCollapse:
    def test_a_ruined_student_ends_its_run_and_is_not_exported(
        self, configured: Configure, run: Run, tmp_path: Path
    ) -> None:
        configuration = configured(recipe=RUINOUS, problems=32, rollouts=4, options={"evaluate_every": 4})
        result = run(configuration, tmp_path).result
        assert (result.collapsed, result.stopped_by) == (True, "collapse")
        assert result.steps < 40
        assert result.steps == result.evaluations[-1].step
        assert result.artifact is None or result.artifact.step == result.best.step < result.steps
        assert "collapsed" in [one.code for one in result.warnings]

    def test_it_goes_on_where_that_is_asked_for(self, configured: Configure, run: Run) -> None:
        configuration = configured(
            recipe={**RUINOUS, "steps": 8},
            problems=32,
            rollouts=4,
            options={"evaluate_every": 4, "stop_on_collapse": False},
        )
        result = run(configuration).result
        assert (result.collapsed, result.stopped_by, result.steps) == (True, "steps", 8)
        assert "collapsed" in [one.code for one in result.warnings]

    def test_one_look_that_is_low_by_chance_stops_nothing(self, configured: Configure, here: Resources) -> None:
        """Every first look finds a ruined student, every second one the real one."""
        drawn = Evaluator.after

        def unlucky(self: Evaluator, name: str) -> Any:
            scores, held_out = drawn(self, name)
            return (scores if name.endswith("again") or name == "after" else scores * 0, held_out)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evaluator, "after", unlucky)
            configuration = configured({"kind": "none"}, problems=32, rollouts=4, options={"evaluate_every": 2})
            result = run_training(configuration, here, lambda _event: None)
        assert result.evaluations[0].accuracy == 0
        assert (result.stopped_by, result.steps) == ("steps", 6)
        assert "collapsed" not in [one.code for one in result.warnings]


class TestNoLearning:
    @pytest.mark.parametrize(
        ("gap", "improvement", "taught", "moved", "expected"),
        [
            (0.2, 0.2, True, True, []),
            (0.2, 0.03, True, True, ["no_learning"]),
            (0.02, 0.0, True, True, []),
            (0.2, 0.2, False, False, ["no_context"]),
            (0.2, 0.2, True, False, ["no_gradient"]),
        ],
    )
    def test_is_said(self, gap: float, improvement: float, taught: bool, moved: bool, expected: list[str]) -> None:
        warnings = Warnings(lambda event: None)
        measured = (Difference(value=value, se=0.02) for value in (gap, improvement))
        warn_of_no_learning(*measured, taught, moved, warnings)
        assert [one.code for one in warnings.all] == expected

    def test_a_warning_is_told_once(self) -> None:
        events: list[EventData] = []
        warnings = Warnings(events.append)
        warnings.add("a", "first")
        warnings.add("a", "second")
        assert events == [TrainingWarning(code="a", message="first")]


@pytest.mark.slow
class TestExport:
    def test_the_trained_model_loads_like_any_other(self, configured: Configure, run: Run, tmp_path: Path) -> None:
        configuration = configured(recipe={"steps": 20, "problems_per_step": 16}, problems=24, rollouts=4)
        interval = PredictedInterval(level=0.8, lower=0.2, upper=0.3)
        predicted = Predicted(prediction_id="pred_1", value=0.25, intervals=[interval], verdict="train")
        found = run(configuration, tmp_path, card={"run_id": "run_1", "predicted": predicted.model_dump()})
        artifact = found.result.artifact
        assert artifact is not None
        assert (artifact.kind, artifact.step, artifact.path) == ("full", 20, str(tmp_path / "model"))
        engine = TransformersEngine.load(tmp_path / "model")
        untrained = TransformersEngine.load(Path("workers/lab/models/addition-qwen3-s"))
        pairs = [(engine.encode("123+456="), engine.encode("0579"))]
        assert engine.score(pairs) != untrained.score(pairs)
        card = (tmp_path / "model" / "README.md").read_text()
        for text in ("run_1", "+25.0 points (80 % interval +20.0 to +30.0)", f"{100 * found.result.baseline:.1f} %"):
            assert text in card
        assert all(file.stat().st_mode & 0o004 for file in (tmp_path / "model").iterdir())

    def test_a_lora_adapter_loads_with_peft_upon_its_model(
        self, configured: Configure, run: Run, tmp_path: Path
    ) -> None:
        from peft import PeftModel

        recipe = {"steps": 4, "lora_rank": 4, "learning_rate": 1e-2}
        found = run(configured(recipe=recipe, options={"checkpoint_every": 3}), tmp_path)
        assert found.result.artifact.kind == "lora"
        base = TransformersEngine.load(Path("workers/lab/models/addition-qwen3-s"))
        tokens = torch.tensor([base.encode("123+456=")])
        with torch.no_grad():
            plain = base.model(tokens).logits
            adapted = PeftModel.from_pretrained(base.model, tmp_path / "model")(tokens).logits
        assert not torch.allclose(plain, adapted, atol=1e-2)
        assert json.loads((tmp_path / "model" / "adapter_config.json").read_text())["r"] == 4

    def test_the_best_step_can_be_asked_for(self, configured: Configure, run: Run, tmp_path: Path) -> None:
        options = {"export": "best", "evaluate_every": 1, "checkpoint_every": 50}
        configuration = configured(recipe={"steps": 12, "problems_per_step": 8}, problems=24, options=options)
        result = run(configuration, tmp_path).result
        assert result.best.step == result.artifact.step
        weights = load_file(tmp_path / "model" / "model.safetensors")
        kept = tmp_path / "checkpoints" / f"step_{result.best.step}" / "student.safetensors"
        if result.best.step < 12:
            assert torch.equal(weights["model.norm.weight"], load_file(kept)["model.norm.weight"].bfloat16())


class TestProcesses:
    def test_several_draw_with_transformers(self, configured: Configure, run: Run) -> None:
        with pytest.raises(JobError, match=r"training\.processes: 2 processes draw their rollouts") as failure:
            run(configured(engine="vllm", options={"processes": 2}))
        assert failure.value.param == "training.processes"

    def test_one_process_is_not_two(self, configured: Configure, run: Run) -> None:
        with pytest.raises(ValueError, match="2 in a world of 1"):
            run(configured(options={"processes": 2}))
