"""A probe that stops by its own width still says how sure it is: coverage of the 95 % interval of the gap.

The interval is the one that is shown, 1.96 standard errors; with Student's t, which is wider, coverage is higher still.
"""

import numpy as np
import pytest

from gapcast.contract.probes import Z95
from service.scores import guarded
from workers.sampling.schedule import portions

pytestmark = pytest.mark.slow

PROBES = 1000
PROBLEMS = 600
POPULATION = 200_000


def population(baseline: float, gap: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Problems' accuracies without and with the context; most gains are of few problems, as real ones are."""
    rng = np.random.default_rng(7)
    student = rng.beta(baseline * spread, (1 - baseline) * spread, POPULATION)
    gain = rng.beta(1, 3, POPULATION) * gap / ((1 - baseline) * 0.25)
    return student, np.clip(student + (1 - student) * gain, 0, 1)


def scores(rng: np.random.Generator, accuracy: np.ndarray, rollouts: int) -> np.ndarray:
    """Scores of 0 and 1, shape (problems, rollouts)."""
    return (rng.uniform(size=(len(accuracy), rollouts)) < accuracy[:, None]).astype(float)


def stopped(taught: np.ndarray, plain: np.ndarray, target: float) -> int:
    """Problems after which a probe with these scores stops."""
    for _, end in portions(len(plain), True, 0):
        if guarded(taught[:end], plain[:end]).se <= target:
            return end
    return len(plain)


@pytest.mark.parametrize("rollouts", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", [pytest.param(0.08, marks=pytest.mark.slow), 0.04])
@pytest.mark.parametrize(
    ("baseline", "gap", "spread"),
    [
        (0.03, 0.0, 1),
        (0.03, 0.05, 1),
        (0.03, 0.1, 1),
        (0.03, 0.05, 20),
        (0.25, 0.1, 1),
        (0.8, 0.15, 2),
        (0.5, 0.2, 0.7),
    ],
)
def test_coverage(baseline: float, gap: float, spread: float, target: float, rollouts: int) -> None:
    student, teacher = population(baseline, gap, spread)
    truth = float((teacher - student).mean())
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(PROBES):
        chosen = rng.integers(0, POPULATION, PROBLEMS)
        taught, plain = (scores(rng, accuracy[chosen], rollouts) for accuracy in (teacher, student))
        end = stopped(taught, plain, target)
        found = guarded(taught[:end], plain[:end])
        covered += abs(found.value - truth) <= Z95 * found.se
    assert covered / PROBES >= 0.93


def test_a_wider_target_stops_earlier_and_none_stops_before_the_pilot() -> None:
    student, teacher = population(0.25, 0.2, 1)
    rng = np.random.default_rng(2)
    taught, plain = (scores(rng, accuracy[:PROBLEMS], 4) for accuracy in (teacher, student))
    ends = [stopped(taught, plain, target) for target in (1.0, 0.05, 0.03, 0.02)]
    assert ends[0] == 32
    assert ends == sorted(ends)
    assert 32 < ends[1] < ends[3] < PROBLEMS
