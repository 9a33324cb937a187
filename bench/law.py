"""What the law costs as stores grow: one more observation, a full fit, that beside plain least squares, and all links.

A full fit's peer is pooled ordinary least squares on the same rows, in the same run: one intercept, one slope, none of
the errors, families and collapses. Update and fit are this process alone; BLAS gets the threads that it finds. Where
baselines are stored an update is a fit of all links: that has its own sizes and gates.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np

from service.law import GapLaw, Observations
from service.law.links import LINKS, LinkName
from studies.links import contexts as study

SIZES = (1_000, 100_000, 1_000_000)
FAMILIES_AT_MOST = 2_000  # at the largest store; in proportion below it
FEWEST_FAMILIES = 3
CELLS = 3
UPDATES, UPDATE_GATE, UPDATE_STRETCH = 200, 1e-3, 1e-4  # seconds
FITS, FIT_GATE, FIT_STRETCH = 3, 5.0, 0.5
LINK_FITS = 9
LINK_GATES = {300: 0.1, 10_000: 2.0}  # seconds a refit, by observations
LARGEST_WITH_LINKS = 100_000  # no gate: what a large pool with baselines has to expect
HEADROOM = 0.6
CONTEXT_GATES = {"contexts": 2.0, "dilution": 4.0}  # times a refit without contexts


def store(n: int, *, cells: bool, seed: int = 0, link: str | None = None) -> Observations:
    """Draw n points; with ``cells``, half of them hang on a cell of their family; with a link, they have baselines."""
    rng = np.random.default_rng(seed)
    families = max(FAMILIES_AT_MOST * n // SIZES[-1], FEWEST_FAMILIES)
    family = rng.integers(0, families, n)
    slope, intercept = rng.normal(1.2, 0.4, families), rng.normal(0, 0.01, families)
    gap = rng.uniform(-0.02, 0.35, n)
    gap_var, improvement_var = rng.uniform(1e-4, 2e-3, n), rng.uniform(1e-4, 1e-3, n)
    improvement = intercept[family] + slope[family] * gap
    if link is not None:
        improvement = LINKS[LinkName(link)].at(2 * improvement, np.full(n, HEADROOM)).value
    improvement += rng.normal(0, 0.02, n)
    cell = [f"c{i % CELLS}" if i % 2 else None for i in rng.integers(0, 2 * CELLS, n)] if cells else None
    return Observations(
        gap=gap + rng.normal(size=n) * np.sqrt(gap_var),
        gap_var=gap_var,
        improvement=np.clip(improvement + rng.normal(size=n) * np.sqrt(improvement_var), -1, 1),
        improvement_var=improvement_var,
        family=[f"f{i}" for i in family],
        cell=cell,
        ids=[f"obs_{i}" for i in range(n)],
        baseline=None if link is None else np.full(n, 1 - HEADROOM),
        teacher=None if link is None else ["ema"] * n,
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
        # a law that is due for a fit no longer asks whether it is
        pools = {key: replace(pool, stale=False) for key, pool in law.state_.pools.items()}
        law.state_ = replace(law.state_, pools=pools)
    return median(updates), median(fits), median(peer)


def measure_links(n: int, *, cells: bool, link: str) -> tuple[float, int]:
    """Median of full fits with every link, and how many models are left."""
    observations, law = store(n, cells=cells, link=link), GapLaw()
    fits = [seconds(lambda: law.fit(observations)) for _ in range(LINK_FITS if n in LINK_GATES else 1)]
    (pool,) = law.state_.pools.values()
    return median(fits), len(pool.models)


def measure_contexts() -> dict[str, float]:
    """Median processor seconds of refits of the study's addition runs by its three laws, one after the other in turn.

    Processor time, because the three are compared with each other, whatever else the machine does.
    """
    rows = [row for name, pool in study.pools(study.runs()).items() if name.startswith("addition") for row in pool]
    found: dict[str, list[float]] = {law: [] for law in study.LAWS}
    for _ in range(LINK_FITS):
        for law, times in found.items():
            began = time.process_time()
            study.fitted(rows, law)
            times.append(time.process_time() - began)
    return {law: median(times) for law, times in found.items()}


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
    print(f"  with baselines, all links: medians of {LINK_FITS} full fits; no peer knows links, families and errors")
    print("  observations   cells    world    full fit          models left")
    for n in (*LINK_GATES, LARGEST_WITH_LINKS):
        for cells in (False, True):
            for link in LinkName:
                fit, models = measure_links(n, cells=cells, link=link)
                gate = LINK_GATES.get(n)
                met = "" if gate is None else "gate" if fit <= gate else "MISSED"
                print(
                    f"  {n:12,}   {'half' if cells else 'none'}   {link:7}  {1e3 * fit:7.0f} ms {met:7}  {models}",
                    flush=True,
                )
    times = measure_contexts()
    print(f"  contexts: medians of {LINK_FITS} refits of the study's 288 addition runs, in turn")
    for law, gate in CONTEXT_GATES.items():
        ratio = times[law] / times["before"]
        met = "gate" if ratio <= gate else "MISSED"
        print(
            f"  {study.LAWS[law]:23} {1e3 * times[law]:5.0f} ms  {ratio:.2f}x of without ({gate:g}x: {met})", flush=True
        )


if __name__ == "__main__":
    main()
