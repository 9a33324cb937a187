import numpy as np
import pytest

from service.law import GapLaw, Observations


def draw(seed=0, sizes=(6, 4, 9), *, cells=False, collapsed=False, sigma=0.02):
    """A store of families f0, f1, ... with slopes about 1.2."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(sizes)), sizes)
    n = len(family)
    slope, intercept = rng.normal(1.2, 0.4, len(sizes)), rng.normal(0, 0.01, len(sizes))
    gap = rng.uniform(-0.02, 0.35, n)
    improvement = intercept[family] + slope[family] * gap + rng.normal(0, sigma, n)
    gap_var, improvement_var = rng.uniform(1e-4, 2e-3, n), rng.uniform(1e-4, 1e-3, n)
    correlation = rng.uniform(-0.5, 0.5, n)
    gap_error, other_error = rng.normal(size=(2, n))
    improvement_error = correlation * gap_error + np.sqrt(1 - correlation**2) * other_error
    return Observations(
        gap=gap + gap_error * np.sqrt(gap_var),
        gap_var=gap_var,
        improvement=np.clip(improvement + improvement_error * np.sqrt(improvement_var), -1, 1),
        improvement_var=improvement_var,
        cov=correlation * np.sqrt(gap_var * improvement_var),
        family=[f"f{i}" for i in family],
        cell=[None if i % 4 == 3 else f"c{i % 4}" for i in range(n)] if cells else None,
        baseline=np.full(n, 0.3),
        collapsed=np.arange(n) == 1 if collapsed else None,
        ids=[f"obs_{i}" for i in range(n)],
    )


def take(observations, index):
    """The rows of a store that ``index`` names, in that order."""
    index = np.arange(len(observations))[index]
    return observations.take(index)


@pytest.fixture(scope="session")
def store():
    return draw


@pytest.fixture(scope="session")
def line():
    """The law of part 1."""
    return lambda: GapLaw(candidate_links=("linear",))


@pytest.fixture(scope="session")
def pool_of():
    """The pool of a law that has only one."""

    def only(law):
        (pool,) = law.state_.pools.values()
        return pool

    return only


@pytest.fixture(scope="session")
def rows_of():
    return take
