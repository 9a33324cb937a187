"""A gap is no artefact: what is nothing measures as nothing, and what would not is not what we do (OPSD.md)."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration
from service.scores import estimate
from tests.acceptance.probe.conftest import MODEL
from workers.engines import Sampling
from workers.engines.transformers import TransformersEngine
from workers.probe.measurement import Measurement
from workers.sampling.arms import Draw, Sampler, arm_of
from workers.sampling.drawn import draw_problems
from workers.tasks import Task

pytestmark = pytest.mark.slow

SEEDS = 200
PROBLEMS, ROLLOUTS = 64, 2


def configuration(task: Task, context: dict[str, Any], **changes: Any) -> ProbeConfiguration:
    fields: dict[str, Any] = {
        "model": MODEL,
        "model_revision": "of the engine's",
        "task": task.name,
        "task_revision": task.revision,
        "context": context_of(context),
        "template_version": TEMPLATE_VERSION,
        "decoding": Decoding(),
        "problems": PROBLEMS,
        "rollouts": ROLLOUTS,
        "seed": 0,
        "controls": [],
    }
    return ProbeConfiguration(**{**fields, **changes})


@pytest.mark.slow
def test_the_none_arm_is_zero_within_its_standard_error(task: Task, engine: TransformersEngine) -> None:
    """z inside 1 in .68 of the seeds, inside 1.96 in .95."""
    found = []
    for seed in range(SEEDS):
        sampler = Sampler(engine, task, Sampling(1.0, 1.0, 8), seed=seed)
        problems = draw_problems(task, PROBLEMS, seed)
        student, none = sampler.draw([Draw.plain(arm, problems, ROLLOUTS) for arm in ("student", "none")])
        gap = estimate(arm_of("none", none).scores, arm_of("student", student).scores)
        found.append(gap.value / gap.se)
    z = np.abs(found)
    assert (z < 1).mean() == pytest.approx(0.68, abs=0.10)
    assert (z < 1.96).mean() == pytest.approx(0.95, abs=0.05)
    assert abs(np.mean(found)) < 3 / SEEDS**0.5


@pytest.mark.parametrize(
    "context",
    [
        {"kind": "reference_solution"},
        {"kind": "hints", "options": {"level": 3}},
        {"kind": "feedback"},
        {"kind": "static"},
    ],
    ids=lambda context: context["kind"],
)
def test_another_problems_context_does_not_help(task: Task, sampler: Sampler, context: dict[str, Any]) -> None:
    """It may hurt: a wrong hint misleads. But it is not above zero by more than 3 standard errors."""
    controls = ["placebo", "shuffled_feedback"] if context["kind"] == "feedback" else ["placebo"]
    measurement = Measurement(configuration(task, context, controls=controls), sampler)
    measurement.add(draw_problems(task, 256, 3))
    result = measurement.result()
    for control in controls:
        found = getattr(result.controls, control)
        assert found.value < 3 * found.se


def test_regenerating_failures_only_makes_a_gap_out_of_nothing(task: Task, sampler: Sampler) -> None:
    """GSM8K's trap: successes kept, failures drawn again from the very same prompt."""
    problems = draw_problems(task, 256, 5)
    student, none = sampler.draw([Draw.plain(arm, problems, 2) for arm in ("student", "none")])
    first, second = (arm_of(name, rows).scores for name, rows in (("student", student), ("none", none)))
    kept = np.where(first == 1, first, second)
    artefact = estimate(kept, first)
    assert artefact.value > 0.05
    assert artefact.value > 6 * artefact.se
    honest = estimate(second, first)
    assert abs(honest.value) < 3 * honest.se
    # and our probe's arm of a context that tells nothing is the honest one
    measurement = Measurement(configuration(task, {"kind": "none"}), replace(sampler, seed=5))
    measurement.add(problems)
    gap = measurement.result().gap
    assert abs(gap.value) < 3 * gap.se
