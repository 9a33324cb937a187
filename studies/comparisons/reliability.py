"""P(best) against how often it is true, and what the winner's interval covers.

Run `python -m studies.comparisons.reliability`.

400 simulated worlds by LAW's generating process: three other families, and 0, 3, 6 or 20 runs of the asked one. In each
four comparisons of six configurations are played to their end, with what six probes of 128 problems would cost. The
true gaps are drawn as assumed (apart by any of ``SPREADS``, around any of the stored gaps): there P(best) should hold.
Three are a stress test, as nobody draws them: gaps that all differ as much as stored ones (uniform from -.02 to .35),
that are 3 points apart, and that are all the same. The winner is probed once more, with 128 fresh problems. Takes
about 10 minutes on one core.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from service.deciding import Configuration, Decision, Rules, cost
from service.deciding.gaps import SPREADS
from service.law import GapLaw, Observations, Probe
from service.law.observations import FloatArray
from service.law.paired import Measured
from studies.comparisons.playing import Scores, play, simulated

WORLDS, CONFIGURATIONS, ROLLOUTS, OWN_SIZE = 400, 6, 4, 128
OWN_RUNS = (0, 3, 6, 20)
BINS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0)
KINDS = ("as assumed", "differ", "close", "the same")
STORED_MEAN, STORED_SD = 0.165, 0.107
"""of the stored gaps, uniform from -.02 to .35"""
LEVEL = 0.95


class World(NamedTuple):
    """A simulated family: its line, the scatter of its runs, and the law that was fitted to stored ones."""

    intercept: float
    slope: float
    sigma: float
    law: GapLaw


def world(rng: np.random.Generator, own_runs: int) -> World:
    """Draw a world and fit its law."""
    sigma = rng.uniform(0.01, 0.03)
    lines, points = [], []
    for family, n in enumerate([own_runs, *rng.integers(4, 13, 3)]):
        intercept, slope = rng.normal(0, 0.01), rng.normal(1.2, 0.4)
        lines.append((intercept, slope))
        for _ in range(n):
            baseline = rng.uniform(0.2, 0.45)
            gap = _capped(rng.uniform(-0.02, 0.35), intercept, slope, baseline)
            improvement = float(np.clip(intercept + slope * gap + sigma * rng.standard_normal(), -baseline, 0.97))
            size = int(rng.choice([131, 500]))
            x = simulated(rng, baseline, np.array([gap]), int(rng.choice([32, 64, 131, 500])), 4)[0]
            y = simulated(rng, baseline, np.array([improvement]), size, 4)[0]
            points.append((f"f{family}", x.gap(0, len(x.student)), y.gap(0, size), baseline))
    families, gaps, improvements, baselines = zip(*points, strict=True)
    law = GapLaw(candidate_links=("linear",)).fit(
        Observations(
            gap=[each.value for each in gaps],
            gap_var=[each.variance for each in gaps],
            improvement=[each.value for each in improvements],
            improvement_var=[each.variance for each in improvements],
            family=families,
            baseline=baselines,
        )
    )
    return World(*lines[0], sigma, law)


def _capped(gap: float, intercept: float, slope: float, baseline: float) -> float:
    """A gap whose improvement the student's accuracy leaves room for."""
    most = 0.97 - baseline - 0.1
    return min(gap, (most - intercept) / slope) if slope > 0 else gap


def _gaps(rng: np.random.Generator, kind: str) -> FloatArray:
    """Draw the true gaps of one comparison."""
    match kind:
        case "as assumed":
            apart = min(rng.choice(SPREADS), STORED_SD)
            return rng.normal(STORED_MEAN, (STORED_SD**2 - apart**2) ** 0.5) + apart * rng.standard_normal(
                CONFIGURATIONS
            )
        case "differ":
            return rng.uniform(-0.02, 0.35, CONFIGURATIONS)
        case "close":
            return rng.uniform(0.05, 0.25) + 0.03 * np.arange(CONFIGURATIONS)
        case _:
            return np.full(CONFIGURATIONS, rng.uniform(0.05, 0.3))


class Ended(NamedTuple):
    """One comparison: P(best) of each at the first look and the last, who was best, and the winner's two intervals."""

    first: FloatArray
    last: FloatArray
    best: int
    leader: int
    covered: bool
    covered_afresh: bool
    width: float
    width_afresh: float
    too_high: float
    too_high_afresh: float


def comparison(rng: np.random.Generator, drawn: World, kind: str) -> Ended:
    """Play one."""
    baseline = rng.uniform(0.2, 0.45)
    gaps = [_capped(each, drawn.intercept, drawn.slope, baseline) for each in _gaps(rng, kind)]
    gaps = rng.permutation(gaps)
    scores, gaps = simulated(rng, baseline, gaps, 8 * OWN_SIZE, ROLLOUTS)
    truth = drawn.intercept + drawn.slope * gaps + drawn.sigma * rng.standard_normal(CONFIGURATIONS)
    truth = np.clip(truth, -baseline, 1 - baseline)
    configurations = [
        Configuration(0, {"family": "f0"}, "one", "one", str(row), ROLLOUTS, 8 * OWN_SIZE)
        for row in range(CONFIGURATIONS)
    ]
    budget = cost(configurations, {}, dict.fromkeys(range(CONFIGURATIONS), OWN_SIZE))
    played = play([drawn.law], configurations, scores, Rules(seed=int(rng.integers(2**31))), budget)
    leader, n = played.last.leader, int(played.problems[played.last.leader])
    fresh, _ = simulated(rng, baseline, gaps[[leader]], OWN_SIZE, ROLLOUTS)
    own = _interval(drawn.law, scores.gap(leader, n), scores, n)
    afresh = _interval(drawn.law, fresh.gap(0, OWN_SIZE), fresh, OWN_SIZE)
    inside = [bool(lower <= truth[leader] <= upper) for lower, _, upper in (own, afresh)]
    return Ended(
        _p_best(played.first),
        _p_best(played.last),
        int(truth.argmax()),
        leader,
        *inside,
        own[2] - own[0],
        afresh[2] - afresh[0],
        own[1] - truth[leader],
        afresh[1] - truth[leader],
    )


def _p_best(decision: Decision) -> FloatArray:
    return np.array([each.p_best for each in decision.standings])


def _interval(law: GapLaw, gap: Measured, scores: Scores, problems: int) -> tuple[float, float, float]:
    """Lower bound, mean and upper bound of the predicted improvement."""
    baseline = float(scores.student[:problems].mean())
    found = law.predict_improvement(Probe(gap=gap.value, gap_var=gap.variance, family="f0", baseline=baseline))
    lower, upper = found.interval(LEVEL)
    return float(lower), float(found.mean), float(upper)


def reliability(ended: list[Ended], which: str, kind: str) -> None:
    """Print how often configurations of a P(best) were best."""
    p = np.concatenate([getattr(each, which) for each in ended])
    best = np.concatenate([np.arange(CONFIGURATIONS) == each.best for each in ended])
    print(f"\nTrue gaps: {kind}; at the {which} look.\n")
    print("| P(best) | configurations | mean P(best) | were best | standard error |")
    print("|---|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = (p >= low) & ((p < high) | (high == 1.0))
        if inside.any():
            n, mean, share = inside.sum(), p[inside].mean(), best[inside].mean()
            print(f"| {low:g} to {high:g} | {n} | {mean:.3f} | {share:.3f} | {(mean * (1 - mean) / n) ** 0.5:.3f} |")


def main() -> None:
    """Play all and print the tables."""
    ended: dict[str, list[Ended]] = {kind: [] for kind in KINDS}
    for number in range(WORLDS):
        rng = np.random.default_rng([17, number])
        drawn = world(rng, OWN_RUNS[number % len(OWN_RUNS)])
        for kind in KINDS:
            found = comparison(rng, drawn, kind)
            if np.isfinite([found.width, found.width_afresh]).all():  # the law refuses nothing of what is left
                ended[kind].append(found)
    every = [each for of_kind in ended.values() for each in of_kind]
    for kind, of_kind in ended.items():
        for which in ("first", "last"):
            reliability(of_kind, which, kind)
    print("\n| true gaps | comparisons | the leader's mean P(best) | it was best |")
    print("|---|---|---|---|")
    for kind, of_kind in ended.items():
        claimed = np.mean([each.last.max() for each in of_kind])
        right = np.mean([each.last.argmax() == each.best for each in of_kind])
        print(f"| {kind} | {len(of_kind)} | {claimed:.3f} | {right:.3f} |")
    print("\n| true gaps | comparisons | covered by its own probe | too high, points | by the fresh one | too high |")
    print("|---|---|---|---|---|---|")
    for kind, of_kind in [*ended.items(), ("all", every)]:
        own, afresh = (np.mean([getattr(each, name) for each in of_kind]) for name in ("covered", "covered_afresh"))
        bias, bias_afresh = (
            np.mean([getattr(each, name) for each in of_kind]) for name in ("too_high", "too_high_afresh")
        )
        print(f"| {kind} | {len(of_kind)} | {own:.3f} | {100 * bias:+.2f} | {afresh:.3f} | {100 * bias_afresh:+.2f} |")


if __name__ == "__main__":
    main()
