"""What the law costs as stores grow: one more observation, a full fit, and that beside plain least squares.

A full fit's peer is pooled ordinary least squares on the same rows, in the same run: one intercept, one slope, none of
the errors, families and collapses. Update and fit are this process alone; BLAS gets the threads that it finds.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np

from service.law import GapLaw, Observations

SIZES = (1_000, 100_000, 1_000_000)
FAMILIES_AT_MOST = 2_000  # at the largest store; in proportion below it
FEWEST_FAMILIES = 3
CELLS = 3
UPDATES, UPDATE_GATE, UPDATE_STRETCH = 200, 1e-3, 1e-4  # seconds
FITS, FIT_GATE, FIT_STRETCH = 3, 5.0, 0.5


def store(n: int, *, cells: bool, seed: int = 0) -> Observations:
    """Draw n points; with ``cells``, half of them hang on a cell of their family."""
    rng = np.random.default_rng(seed)
    families = max(FAMILIES_AT_MOST * n // SIZES[-1], FEWEST_FAMILIES)
    family = rng.integers(0, families, n)
    slope, intercept = rng.normal(1.2, 0.4, families), rng.normal(0, 0.01, families)
    gap = rng.uniform(-0.02, 0.35, n)
    gap_var, improvement_var = rng.uniform(1e-4, 2e-3, n), rng.uniform(1e-4, 1e-3, n)
    improvement = intercept[family] + slope[family] * gap + rng.normal(0, 0.02, n)
    cell = [f"c{i % CELLS}" if i % 2 else None for i in rng.integers(0, 2 * CELLS, n)] if cells else None
    return Observations(
        gap=gap + rng.normal(size=n) * np.sqrt(gap_var),
        gap_var=gap_var,
        improvement=np.clip(improvement + rng.normal(size=n) * np.sqrt(improvement_var), -1, 1),
        improvement_var=improvement_var,
        family=[f"f{i}" for i in family],
        cell=cell,
        ids=[f"obs_{i}" for i in range(n)],
    )


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def least_squares(observations: Observations) -> None:
    """Fit the peer."""
    X = np.stack([np.ones(len(observations)), observations.gap], axis=1)
    np.linalg.lstsq(X, observations.improvement)


def measure(n: int, *, cells: bool) -> tuple[float, float, float]:
    """Medians over repetitions: an update, a full fit, and least squares."""
    observations, law = store(n, cells=cells), GapLaw()
    fits = [seconds(lambda: law.fit(observations)) for _ in range(FITS)]
    peer = [seconds(lambda: least_squares(observations)) for _ in range(FITS)]
    # more points of the same families: one after the other, as they would arrive
    more = store(n, cells=cells, seed=1)
    rows = [
        Observations(
            gap=more.gap[[i]],
            gap_var=more.gap_var[[i]],
            improvement=more.improvement[[i]],
            improvement_var=more.improvement_var[[i]],
            family=more.family[i : i + 1],
            cell=more.cell[i : i + 1],
            ids=[f"more_{i}"],
        )
        for i in range(UPDATES)
    ]
    updates = []
    for row in rows:
        updates.append(seconds(lambda row=row: law.update(row)))
        law.state_ = replace(law.state_, stale=False)  # a law that is due for a fit no longer asks whether it is
    return median(updates), median(fits), median(peer)


def verdict(value: float, gate: float, stretch: float) -> str:
    """Say which mark a time meets."""
    return "stretch" if value <= stretch else "gate" if value <= gate else "MISSED"


def main() -> None:
    """Print the table."""
    print(f"the law: medians of {UPDATES} updates and {FITS} full fits")
    print(f"  gates: update <= {1e3 * UPDATE_GATE:g} ms (stretch {1e3 * UPDATE_STRETCH:g}), ", end="")
    print(f"full fit <= {FIT_GATE:g} s (stretch {FIT_STRETCH:g})")
    print("  observations   cells    update            full fit           / least squares")
    for n in SIZES:
        for cells in (False, True):
            update, fit, peer = measure(n, cells=cells)
            print(
                f"  {n:12,}   {'half' if cells else 'none'}   "
                f"{1e3 * update:7.3f} ms {verdict(update, UPDATE_GATE, UPDATE_STRETCH):7}  "
                f"{fit:7.3f} s {verdict(fit, FIT_GATE, FIT_STRETCH):7}  {fit / peer:7.0f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
