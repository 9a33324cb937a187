from typing import Any

import numpy as np
import pytest
import torch

from service.catalog.contexts import TEMPLATE_VERSION, Context, ContextKind
from service.catalog.schemas import Decoding, Recipe
from workers.engines import Sampling, folder_revision, model_folder
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.opsd import TrainingConfiguration, run_training
from workers.opsd.run import collapsed
from workers.opsd.trainer import StepMetrics, train
from workers.probe.run import draw_problems
from workers.probe.statistics import Estimate
from workers.resources import Resources
from workers.tasks import Task

MODEL = "lab/addition-qwen3-s"
LAB = Resources.read(MODEL, {})


def steps_of(task: Task, context: dict[str, Any], **recipe: Any) -> tuple[list[StepMetrics], TransformersEngine]:
    engine = TransformersEngine.load(model_folder(MODEL))
    chosen = Recipe(**{"steps": 3, "problems_per_step": 8, "group_size": 2, **recipe})
    metrics: list[StepMetrics] = []
    train(
        engine,
        task,
        draw_problems(task, 16, 0),
        Context.model_validate(context),
        chosen,
        "forward_kl",
        Sampling(1.0, 1.0, 8),
        0,
        metrics.append,
    )
    return metrics, engine


class TestTrain:
    def test_same_seed_same_losses(self, task: Task) -> None:
        first, _ = steps_of(task, {"kind": "reference_solution"})
        again, _ = steps_of(task, {"kind": "reference_solution"})
        assert [m.loss for m in first] == [m.loss for m in again]
        assert all(m.loss is not None and m.loss > 0 for m in first)

    def test_rollouts_without_context_carry_no_loss(self, task: Task, engine: TransformersEngine) -> None:
        metrics, trained = steps_of(task, {"kind": "none"})
        assert [m.loss for m in metrics] == [None] * 3
        before, after = engine.model.state_dict(), trained.model.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_coverage_is_the_share_of_rollouts_that_teach(self, task: Task) -> None:
        metrics, _ = steps_of(task, {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}})
        share = np.mean([m.with_context for m in metrics])
        assert 0 < share < 1


def configuration_of(task: Task, kind: str, **changes: Any) -> TrainingConfiguration:
    fields: dict[str, Any] = {
        "model": MODEL,
        "model_revision": folder_revision(model_folder(MODEL)),
        "task": task.name,
        "task_revision": task.revision,
        "context": Context(kind=ContextKind(kind)),
        "template_version": TEMPLATE_VERSION,
        "recipe": Recipe(steps=50, problems_per_step=16, group_size=2, learning_rate=1e-3),
        "decoding": Decoding(),
        "problems": 24,
        "rollouts": 4,
        "held_out_problems": 24,
    }
    return TrainingConfiguration(**{**fields, **changes})


@pytest.fixture(scope="module")
def found(task: Task) -> tuple[dict[str, Any], list[str]]:
    events: list[str] = []
    return run_training(
        configuration_of(task, "reference_solution"), LAB, lambda name, data: events.append(name)
    ), events


class TestRunTraining:
    def test_a_full_solution_is_learned(self, found: tuple[dict[str, Any], list[str]]) -> None:
        result = found[0]
        assert result["gap"]["value"] > 0.3
        assert result["improvement"]["value"] > 4 * result["improvement"]["se"]
        assert result["improvement"]["value"] == pytest.approx(result["gap"]["value"], abs=0.25)
        assert result["collapsed"] is False

    def test_errors_share_the_baseline_and_the_problems(self, found: tuple[dict[str, Any], list[str]]) -> None:
        result = found[0]
        assert result["cov"] > 0
        assert result["cov"] <= result["gap"]["se"] * result["improvement"]["se"] * (1 + 1e-9)

    def test_the_end_is_measured_with_samples_of_its_own(self, task: Task) -> None:
        """Without a context nothing is learned: the same samples again would give differences of exactly zero."""
        recipe = Recipe(steps=1, problems_per_step=2, group_size=1)
        result = run_training(configuration_of(task, "none", recipe=recipe), LAB, lambda name, data: None)
        for measured in (result["gap"], result["improvement"], result["held_out"]["improvement"]):
            assert measured["se"] > 0.02
            assert abs(measured["value"]) < 4 * measured["se"]

    def test_runs_that_differ_in_anything_share_no_seed(self, task: Task) -> None:
        runs = [configuration_of(task, kind, seed=seed) for kind in ("none", "static") for seed in (0, 1)]
        assert len({run.own_seed for run in runs}) == 4
        assert configuration_of(task, "none").own_seed == runs[0].own_seed

    def test_progress_is_told(self, found: tuple[dict[str, Any], list[str]]) -> None:
        assert found[1].count("training.progress") == found[1].count("training.metrics") == 5


class TestRefusals:
    @pytest.mark.parametrize(
        ("recipe", "param"),
        [
            ({"teacher": "ema"}, "recipe.teacher"),
            ({"teacher": "trust_region"}, "recipe.teacher"),
            ({"divergence": "js"}, "recipe.divergence"),
            ({"top_k": 20}, "recipe.top_k"),
            ({"lora_rank": 8}, "recipe.lora_rank"),
        ],
    )
    def test_what_cannot_be_trained_yet_is_said(self, task: Task, recipe: dict[str, Any], param: str) -> None:
        configuration = configuration_of(task, "none", recipe=Recipe(**recipe))
        with pytest.raises(JobError) as failure:
            run_training(configuration, LAB, lambda name, data: None)
        assert (failure.value.code, failure.value.param) == ("recipe_not_supported", param)


class TestCollapse:
    @pytest.mark.parametrize(
        ("improvement", "se", "expected"),
        [(-0.2, 0.02, True), (-0.1, 0.02, False), (-0.2, 0.15, False), (0.3, 0.02, False)],
    )
    def test_half_of_the_baseline_beyond_noise(self, improvement: float, se: float, expected: bool) -> None:
        assert collapsed(0.3, Estimate(improvement, se)) is expected
