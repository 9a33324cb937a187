import numpy as np
import pytest

from service.deciding import Configuration, Known
from service.law import GapLaw, Observations


def stored(sigma, n=30):
    """Runs of one family on a line of slope 1."""
    rng = np.random.default_rng(3)
    gap = rng.uniform(0.0, 0.4, n)
    return Observations(
        gap=gap,
        gap_var=np.full(n, 1e-5),
        improvement=gap + sigma * rng.standard_normal(n),
        improvement_var=np.full(n, 1e-5),
        family=["f"] * n,
        cell=["c"] * n,
        baseline=np.full(n, 0.3),
    )


@pytest.fixture(scope="session")
def sharp():
    """A law whose runs end 1 point from its line."""
    return GapLaw(candidate_links=("linear",)).fit(stored(0.01))


@pytest.fixture(scope="session")
def blunt():
    """A law whose runs end 10 points from its line."""
    return GapLaw(candidate_links=("linear",)).fit(stored(0.1))


def configurations(count, *, law=0, paired="one", student="one", rollouts=4, most=1024):
    question = {"family": "f", "cell": "c"}
    return [
        Configuration(law, question, paired, student, teacher=f"{paired} {place}", rollouts=rollouts, most=most)
        for place in range(count)
    ]


def known(gaps, problems, *, seed=0, noise=0.3, student=0.3):
    """Measurements with exactly these means; problems that differ alike for all, and on their own."""
    rng, most = np.random.default_rng(seed), int(np.max(problems))
    shared, found = rng.standard_normal(most), []
    for gap, n in zip(gaps, np.broadcast_to(problems, len(gaps)), strict=True):
        d = noise * (0.7 * shared + 0.7 * rng.standard_normal(most))[:n]
        d += gap - d.mean()
        found.append(Known(d, max(float(np.var(d, ddof=1)), 1e-4) / n, student, None))
    return found
