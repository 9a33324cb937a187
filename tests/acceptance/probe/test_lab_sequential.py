"""Sequential probes of a lab model, resampled from 20,480 rollouts that are taken as the truth."""

import numpy as np
import pytest

from gapcast.contract.contexts import context_of
from gapcast.contract.probes import Z95
from service.scores import guarded
from tests.acceptance.probe.test_sequential import stopped
from workers.sampling.arms import Draw, Sampler, arm_of
from workers.sampling.drawn import draw_problems
from workers.sampling.self_teacher import SelfTeacher
from workers.tasks import Task

PROBES = 1000
PROBLEMS, ROLLOUTS = 512, 20


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.06, 0.03])
def test_coverage_on_the_lab(task: Task, sampler: Sampler, target: float) -> None:
    problems = draw_problems(task, PROBLEMS, 0)
    (student,) = sampler.draw([Draw.plain("student", problems, ROLLOUTS)])
    teacher = SelfTeacher(sampler, {"context": context_of({"kind": "hints", "options": {"level": 2}})}, ROLLOUTS, None)
    taught = arm_of("context", teacher.draw(problems, student, [])["context"].rows).scores
    plain = arm_of("student", student).scores
    truth = float((taught - plain).mean())
    rng = np.random.default_rng(4)
    for rollouts in (1, 4):
        covered = []
        for _ in range(PROBES):
            chosen = rng.integers(0, PROBLEMS, 600)
            columns = [rng.permuted(np.tile(np.arange(ROLLOUTS), (600, 1)), axis=1)[:, :rollouts] for _ in range(2)]
            arms = [table[chosen[:, None], picked] for table, picked in zip((taught, plain), columns, strict=True)]
            end = stopped(*arms, target)
            found = guarded(*(arm[:end] for arm in arms))
            covered.append(abs(found.value - truth) <= Z95 * found.se)
        assert np.mean(covered) >= 0.93
