"""The gap measurement: student, A/A control, self-teacher and controls on the same problems with the same decoding."""

import time
from collections.abc import Sequence

from gapcast.contract.contexts import TEMPLATE_VERSION
from gapcast.contract.events import Emit, ProbePartial, ProbeProgress
from gapcast.contract.measured import ModelOptions
from gapcast.contract.probes import (
    Difference,
    ProbeConfiguration,
    ProbeCost,
    ProbeResult,
    ProbeSeconds,
    StoppedBy,
)
from workers.contexts import prompt_shape
from workers.contexts.templates import require_template_version
from workers.engines import load_engine
from workers.probe.measurement import Measurement
from workers.probe.samples import SampleLog
from workers.resources import Resources
from workers.sampling.arms import Sampler, sampling_of
from workers.sampling.drawn import DrawnProblems
from workers.sampling.rollouts import RememberingEngine, RolloutStore
from workers.sampling.schedule import LOOK, portions
from workers.tasks import Problem, Task, load_task, require_scoring_version

AT_ONCE = 1024
"""Rollouts of one arm that are drawn together: enough to keep a GPU's batch full, few enough that a probe of thousands
of problems shows how it goes."""
PARTIAL_SECONDS = 5.0
"""Between two partial results: one of 100,000 problems is 2.6 MB of JSON."""


def run_probe(configuration: ProbeConfiguration, resources: Resources, emit: Emit) -> ProbeResult:
    """Measure the gap of one model, task and context; the same configuration gives the same counts.

    Emits `ProbeProgress` as rollouts come, `ProbeSamples` with those that are kept to be read, and `ProbePartial` with
    the result so far after every portion of problems but the last. A sequential probe (`target_se`) ends after the
    first portion whose standard error is small enough.
    Rules and result: OPSD.md, Probe.

    Raises:
        JobError: the configuration cannot be measured on this worker.
    """
    started = time.monotonic()
    require_template_version(configuration.template_version)
    require_scoring_version(configuration.scoring_version)
    task = load_task(configuration.task, configuration.task_revision, resources.task_folder)
    problems = DrawnProblems(task, configuration.problems, configuration.seed)
    loaded = load_engine(
        configuration.engine, resources.source, configuration.model_revision, configuration.model_options
    )
    ready = time.monotonic()
    fingerprint, shape = loaded.fingerprint(), prompt_shape(loaded)
    model = {"model": configuration.model, "revision": configuration.model_revision}
    engine = RememberingEngine(loaded, RolloutStore(resources.rollouts), model)
    try:
        result = _measure(configuration, task, problems, engine, emit, SampleLog(resources.samples, emit))
    finally:
        engine.close()
    ended = time.monotonic()
    result.seconds = ProbeSeconds(load=ready - started, probe=ended - ready)
    result.cost = ProbeCost(
        rollouts_drawn=engine.drawn,
        rollouts_reused=engine.reused,
        prompt_tokens=engine.prompt_tokens,
        completion_tokens=engine.completion_tokens,
        gpu_hours=gpus_of(configuration.model_options, fingerprint) * (ended - started) / 3600,
    )
    result.engine, result.template = fingerprint, f"{shape}/{TEMPLATE_VERSION}"
    return result


def gpus_of(options: ModelOptions, fingerprint: dict[str, str]) -> int:
    """GPUs of this machine that an engine holds; those of a server are not ours to count."""
    held = fingerprint["engine"] != "vllm-server" and fingerprint["device"] != "cpu"
    return options.tensor_parallel if held else 0


def _measure(
    configuration: ProbeConfiguration,
    task: Task,
    problems: Sequence[Problem],
    engine: RememberingEngine,
    emit: Emit,
    samples: SampleLog,
) -> ProbeResult:
    """Return what was measured, and why no more was."""
    done = scored = known = 0
    gap: Difference | None = None

    def report(samples: int, verdicts: int = 0) -> None:
        nonlocal done, scored
        done += samples
        scored += verdicts
        total = measurement.rollouts_a_problem * len(problems)
        progress = ProbeProgress(done=min(done, total), total=total, unit="rollouts", problems=known, gap=gap)
        if scored:
            progress.scored = scored
        emit(progress)

    decoding = configuration.decoding.of("student")
    sampler = Sampler(
        engine,
        task,
        sampling_of(decoding, task),
        configuration.seed,
        decoding.thinking,
        report,
        lambda verdicts: report(0, verdicts),
    )
    measurement = Measurement(configuration, sampler, samples)
    report(0)
    target, told = configuration.target_se, -PARTIAL_SECONDS
    stopped: StoppedBy = "size" if target is None else "most_problems"
    most = max(LOOK, AT_ONCE // measurement.plain_rollouts)
    for start, end in portions(len(problems), target is not None, most):
        measurement.add(problems[start:end])
        if end < 2:
            continue
        known, gap = end, Difference(**measurement.gap.as_dict())
        if target is not None and measurement.stopping_se <= target:
            stopped = "width"
            break
        if end < len(problems) and time.monotonic() - told >= PARTIAL_SECONDS:
            told = time.monotonic()
            emit(ProbePartial(result=measurement.result()))
    report(0)
    result = measurement.result()
    result.stopped_by = stopped
    return result
