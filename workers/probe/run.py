"""The gap measurement: student, A/A control, self-teacher and placebo on the same problems with the same decoding."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from service.catalog.contexts import TEMPLATE_VERSION, Context, ContextKind
from service.catalog.schemas import ProbeConfiguration
from workers.engines import Sampling, checked_folder
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.probe.arms import Arm, ArmRunner, contexts_missing, leak
from workers.probe.statistics import differences, estimate, variance_components
from workers.tasks import Problem, Split, Task, derive_seed, load_task

Emit = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its data, both JSON-able."""


def run_probe(configuration: ProbeConfiguration, emit: Emit) -> dict[str, Any]:
    """Measures the gap of one model, task and context; the same configuration gives the same counts.

    Emits `probe.progress` after every chunk of problems. Rules and result: OPSD.md, Probe.

    Raises:
        JobError: the configuration cannot be measured on this worker.
    """
    started = time.monotonic()
    require_template_version(configuration.template_version)
    task = load_task(configuration.task, configuration.task_revision)
    problems = draw_problems(task, configuration.problems, configuration.seed)
    engine = TransformersEngine.load(checked_folder(configuration.model, configuration.model_revision))
    loaded = time.monotonic()
    total = (3 + len(configuration.controls)) * configuration.problems * configuration.rollouts
    done = 0

    def report(arm: str, rollouts: int) -> None:
        nonlocal done
        done += rollouts
        emit("probe.progress", {"done": done, "total": total, "unit": "rollouts", "arm": arm})

    report("student", 0)
    runner = ArmRunner(
        engine,
        task,
        problems,
        configuration.rollouts,
        sampling_of(configuration, task),
        configuration.seed,
        report,
    )
    student = runner.plain("student")
    none = runner.plain("none")
    teacher = runner.with_context("context", configuration.context, student)
    placebo = None
    if "placebo" in configuration.controls:
        placebo = runner.with_context("placebo", Context(kind=ContextKind.placebo), student)
    result = _result(problems, student, none, teacher, placebo)
    seconds = {"load": loaded - started, "probe": time.monotonic() - loaded}
    return {**result, "seconds": seconds, "engine": engine.fingerprint()}


def draw_problems(task: Task, count: int, seed: int, split: Split = Split.train) -> list[Problem]:
    """`count` problems of a split, drawn without replacement and then in the split's own order.

    Raises:
        JobError: `not_enough_problems`.
    """
    available = task.problems(split)
    if count > len(available):
        raise JobError(
            "not_enough_problems",
            f"Task {task.name!r} has {len(available)} {split} problems; {count} were asked for.",
            "probe.problems",
        )
    chosen = random.Random(derive_seed("problems", split, seed)).sample(range(len(available)), count)  # noqa: S311
    return [available[index] for index in sorted(chosen)]


def sampling_of(configuration: ProbeConfiguration, task: Task) -> Sampling:
    """The decoding with the task's own token limit filled in."""
    decoding = configuration.decoding
    return Sampling(decoding.temperature, decoding.top_p, decoding.max_tokens or task.max_tokens)


def require_template_version(version: str) -> None:
    """Refuses a configuration that was made for other templates than this worker has."""
    if version != TEMPLATE_VERSION:
        raise JobError(
            "template_version_mismatch",
            f"This worker's context templates have version {TEMPLATE_VERSION!r}, not {version!r}.",
            "template_version",
            "server",
        )


def _result(problems: Sequence[Problem], student: Arm, none: Arm, teacher: Arm, placebo: Arm | None) -> dict[str, Any]:
    gap = estimate(differences(teacher.scores, student.scores))
    arms = [student, none, teacher] if placebo is None else [student, none, teacher, placebo]
    return {
        "gap": {
            **gap.as_dict(),
            "student": float(student.scores.mean()),
            "self_teacher": float(teacher.scores.mean()),
            "problems": len(problems),
            "rollouts": int(student.scores.shape[1]),
        },
        "arms": {arm.name: arm.summary() for arm in arms},
        "problem_ids": [problem.id for problem in problems],
        "controls": {
            "none": estimate(differences(none.scores, student.scores)).as_dict(),
            "placebo": placebo and estimate(differences(placebo.scores, student.scores)).as_dict(),
            "leak": leak(teacher, problems),
        },
        "contexts_missing": contexts_missing(teacher),
        "variance": variance_components(student.scores, teacher.scores),
    }
