"""One training run from its configuration to its observation."""

import time
from collections.abc import Callable
from typing import Any

from workers.engines import Sampling, checked_folder
from workers.engines.transformers import TransformersEngine
from workers.opsd.configuration import TrainingConfiguration, require_supported
from workers.opsd.trainer import StepMetrics, train
from workers.probe.arms import Arm, ArmRunner
from workers.probe.run import draw_problems, require_template_version
from workers.probe.statistics import Estimate, differences, estimate, sampling_covariance
from workers.tasks import Split, load_task

Emit = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its data, both JSON-able."""

REPORT_EVERY = 10
"""Steps between two events: some 15 for the default recipe."""


def run_training(configuration: TrainingConfiguration, emit: Emit) -> dict[str, Any]:
    """Measures baseline and gap, trains, measures again; returns the observation.

    Every evaluation draws fresh samples, and no two runs share any (`TrainingConfiguration.own_seed`). The gap and the
    improvement share the student's baseline rollouts and the problems; `cov` is the covariance of their sampling errors
    (LAW.md, Model). Emits `training.progress` and `training.metrics`.

    Raises:
        JobError: the configuration cannot be trained on this worker.
    """
    started = time.monotonic()
    require_template_version(configuration.template_version)
    divergence = require_supported(configuration.recipe)
    seed = configuration.own_seed
    task = load_task(configuration.task, configuration.task_revision)
    problems = draw_problems(task, configuration.problems, seed)
    held_out = draw_problems(task, configuration.held_out_problems, seed, Split.held_out)
    engine = TransformersEngine.load(checked_folder(configuration.model, configuration.model_revision))
    decoding = configuration.decoding
    sampling = Sampling(decoding.temperature, decoding.top_p, decoding.max_tokens or task.max_tokens)
    runner = ArmRunner(engine, task, problems, configuration.rollouts, sampling, seed)
    held_out_runner = ArmRunner(engine, task, held_out, configuration.rollouts, sampling, seed)

    before = runner.plain("train-before")
    self_teacher = runner.with_context("train-context", configuration.context, before)
    held_out_before = held_out_runner.plain("held-out-before")

    steps = configuration.recipe.steps

    def report(metrics: StepMetrics) -> None:
        if metrics.step % REPORT_EVERY == 0 or metrics.step == steps:
            emit("training.progress", {"done": metrics.step, "total": steps, "unit": "steps"})
            emit("training.metrics", vars(metrics).copy())

    train(
        engine,
        task,
        problems,
        configuration.context,
        configuration.recipe,
        divergence,
        sampling,
        seed,
        report,
    )
    after = runner.plain("train-after")
    held_out_after = held_out_runner.plain("held-out-after")
    return {
        **observation(before, self_teacher, after),
        "held_out": {
            "baseline": float(held_out_before.scores.mean()),
            "improvement": estimate(differences(held_out_after.scores, held_out_before.scores)).as_dict(),
            "problems": len(held_out),
        },
        "cost": {"seconds": time.monotonic() - started, "steps": steps},
        "versions": engine.fingerprint(),
    }


def observation(before: Arm, self_teacher: Arm, after: Arm) -> dict[str, Any]:
    """Gap, improvement and their errors from three arms on the same problems."""
    gaps, improvements = differences(self_teacher.scores, before.scores), differences(after.scores, before.scores)
    baseline, improvement = float(before.scores.mean()), estimate(improvements)
    return {
        "baseline": baseline,
        "gap": estimate(gaps).as_dict(),
        "improvement": improvement.as_dict(),
        "cov": sampling_covariance(gaps, improvements),
        "collapsed": collapsed(baseline, improvement),
    }


def collapsed(baseline: float, improvement: Estimate) -> bool:
    """More than half of the baseline is lost, and the loss is larger than two standard errors of noise."""
    return improvement.value < -baseline / 2 and improvement.value < -2 * improvement.se
