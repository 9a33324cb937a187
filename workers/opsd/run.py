"""One training run from its configuration to its observation."""

import time
from collections.abc import Callable
from typing import Any

from service.catalog.training import TrainingConfiguration
from workers.engines import checked_folder
from workers.engines.transformers import TransformersEngine
from workers.opsd.configuration import own_seed
from workers.opsd.trainer import StepMetrics, train
from workers.probe.arms import Arm, Draw, Sampler, arm_of
from workers.probe.run import draw_problems, require_template_version, sampling_of
from workers.probe.self_teacher import SelfTeacher
from workers.probe.statistics import Estimate, differences, estimate, sampling_covariance
from workers.resources import Resources
from workers.tasks import Split, load_task

Emit = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its data, both JSON-able."""

REPORT_EVERY = 10
"""Steps between two events: some 15 for the default recipe."""


def run_training(configuration: TrainingConfiguration, resources: Resources, emit: Emit) -> dict[str, Any]:
    """Measures baseline and gap, trains, measures again; returns the observation.

    Every evaluation draws fresh samples, and no two runs share any (`TrainingConfiguration.own_seed`). The gap and the
    improvement share the student's baseline rollouts and the problems; `cov` is the covariance of their sampling errors
    (LAW.md, Model). Emits `training.progress` and `training.metrics`.

    Raises:
        JobError: the configuration cannot be trained on this worker.
    """
    started = time.monotonic()
    require_template_version(configuration.template_version)
    divergence = configuration.recipe.divergence
    assert divergence != "js"
    seed, rollouts = own_seed(configuration), configuration.rollouts
    task = load_task(configuration.task, configuration.task_revision, resources.task_folder)
    problems = draw_problems(task, configuration.problems, seed)
    held_out = draw_problems(task, configuration.held_out_problems, seed, Split.held_out)
    folder = checked_folder(resources.source, configuration.model_revision)
    engine = TransformersEngine.load(folder, configuration.model_options)
    sampling = sampling_of(configuration, task)
    sampler = Sampler(engine, task, sampling, seed, configuration.decoding.thinking)
    contexts = {"train-context": configuration.context}
    teacher = SelfTeacher(sampler, contexts, rollouts, configuration.group_size)

    plain = [Draw.plain("train-before", problems, rollouts), Draw.plain("held-out-before", held_out, rollouts)]
    before_rows, held_out_rows, *peers = sampler.draw([*plain, *teacher.peers("train-peers", problems)])
    before, held_out_before = arm_of("train-before", before_rows), arm_of("held-out-before", held_out_rows)
    self_teacher = arm_of("train-context", teacher.draw(problems, before_rows, peers)["train-context"].rows)

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
    rows = sampler.draw(
        [Draw.plain("train-after", problems, rollouts), Draw.plain("held-out-after", held_out, rollouts)]
    )
    after, held_out_after = (arm_of(name, table) for name, table in zip(("after", "held-out-after"), rows, strict=True))
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
