"""What training runs tell and end with, made of the contract's classes; any field can be overridden."""

from typing import Any

from gapcast.contract.base import Warned
from gapcast.contract.contexts import TEMPLATE_VERSION
from gapcast.contract.events import TrainingMetrics
from gapcast.contract.forecasts import ForecastAt
from gapcast.contract.measured import Decoding
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import (
    ArmCounts,
    Artifact,
    Evaluation,
    HeldOutResult,
    StepImprovement,
    TrainingPartial,
    TrainingResult,
    TrainingRunOut,
    WorkerCost,
)

GAP = Gap(value=0.3, se=0.03, student=0.25, self_teacher=0.55, problems=16, rollouts=2)
BEST = StepImprovement(step=10, improvement=Difference(value=0.31, se=0.04), held_out=Difference(value=0.1, se=0.06))


def evaluation(**change: Any) -> Evaluation:
    """The look at step 10."""
    fields = {"step": 10, "accuracy": 0.56, "improvement": BEST.improvement, "held_out": None, "cov": 0.0004}
    return Evaluation(**(fields | change))


def training_result(**change: Any) -> TrainingResult:
    """The end of a run of 20 steps that became 28 points better."""
    fields = {
        "baseline": GAP.student,
        "gap": GAP,
        "improvement": Difference(value=0.28, se=0.04),
        "best": BEST,
        "held_out": HeldOutResult(baseline=0.2, improvement=Difference(value=0.05, se=0.06), problems=8),
        "cov": 0.0004,
        "collapsed": False,
        "stopped_by": "steps",
        "steps": 20,
        "evaluations": [evaluation()],
        "warnings": [Warned(code="slow", message="It was slow.")],
        "cost": WorkerCost(seconds=12.5, steps=20, gpu_hours=0.0, rollouts=2560, tokens=20480),
        "versions": {"engine": "transformers"},
        "artifact": Artifact(path="/models/run", kind="full", step=20, revision="sha256:" + "a" * 64, bytes=7),
        "counts": ArmCounts(before=[1] * 16, context=[1] * 16, after=[1] * 16),
        "problem_ids": [f"train-{number}" for number in range(16)],
    }
    return TrainingResult(**(fields | change))


def training_partial(**change: Any) -> TrainingPartial:
    """What was known of the same run before its end."""
    end = training_result()
    fields = {"baseline": end.baseline, "gap": end.gap, "evaluations": end.evaluations, "warnings": end.warnings}
    return TrainingPartial(**(fields | change))


def forecast_at(step: int, expected: float) -> ForecastAt:
    """What is expected after a look, of a run of 150 steps."""
    intervals = [
        Interval(level=level, lower=expected - half, upper=expected + half)
        for level, half in ((0.8, 0.06), (0.95, 0.1))
    ]
    gain = Difference(value=0.1, se=0.03)
    return ForecastAt(
        step=step,
        share=step / 150,
        improvement=gain,
        expected=expected,
        intervals=intervals,
        p_above_min_gain=0.99,
        without_law=gain,
    )


def training_metrics(step: int, loss: float | None = 0.25, **change: Any) -> TrainingMetrics:
    """What a step saw."""
    fields = {
        "score": 0.3,
        "with_context": 1.0,
        "agreement": 0.9,
        "gradient_norm": 0.5,
        "learning_rate": 5e-4,
        "mean_tokens": 5.0,
        "truncated": 0.0,
        "tokens": 640,
        "tokens_per_second": 1280.0,
        "missing": {},
    }
    return TrainingMetrics(step=step, loss=loss, **(fields | change))


def training_configuration(**change: Any) -> TrainingConfiguration:
    """What the run was asked."""
    fields = {
        "model": "lab/addition-qwen3-s",
        "model_revision": "sha256:" + "b" * 64,
        "task": "lab/addition",
        "task_revision": "sha256:" + "c" * 64,
        "context": {"kind": "hints"},
        "template_version": TEMPLATE_VERSION,
        "recipe": Recipe(steps=20),
        "decoding": Decoding(),
    }
    return TrainingConfiguration.model_validate(fields | change)


def training_run(**change: Any) -> TrainingRunOut:
    """A run as the server answers before anything of it is measured."""
    fields = {
        "id": "run_1",
        "status": "queued",
        "group_id": None,
        "prediction_id": None,
        "seed": 0,
        "pool": "lab",
        "family": "lab-qwen3",
        "configuration": training_configuration(),
        "training": training_configuration().trained_on,
        "created_at": "2026-11-25T09:00:00Z",
    }
    return TrainingRunOut(**(fields | change))
