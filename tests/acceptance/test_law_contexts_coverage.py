"""Does the law keep its word about contexts? The rows of LAW's third acceptance table.

Simulated stores: some of them a row with tolerances to match; GAPCAST_LAW_FULL=1 takes 800 stores of 4 probes. The
study's rows are real runs (studies/links); the fast version leaves only seeds out, the full one contexts and baselines.
"""

import os
from dataclasses import dataclass

import numpy as np
import pytest

from service.law import GapLaw, Observations, Probe
from service.law.predicting import mixture
from studies.links import contexts as study
from tests.acceptance.worlds import FULL, PROBES, arms, difference

STORES = int(os.environ.get("GAPCAST_LAW_STORES", 800)) if FULL else 25
ERRORS = (800 / STORES) ** 0.5  # the table's tolerances are for 800 stores


@dataclass(frozen=True)
class World:
    """LAW's linear world, whose runs come by contexts.

    Attributes:
        n: runs of the target family. seeds: runs of a context.
        tau: range of the standard deviation of contexts' effects.
        stored: probes are of contexts that the target family has runs of.
    """

    n: int
    seeds: int = 3
    tau: tuple[float, float] = (0.0, 0.0)
    stored: bool = False


@dataclass(frozen=True)
class Context:
    """A context's truth: its gap and its effect."""

    name: str
    gap: float
    effect: float


@dataclass(frozen=True)
class Run:
    """A true run and what was measured of it."""

    gap: float
    gap_var: float
    improvement: float
    improvement_var: float
    baseline: float
    truth: float


def run(rng, context, slope, intercept, residual_sd):
    improvement = min(intercept + slope * context.gap + context.effect + rng.normal(0, residual_sd), 0.95)
    baseline = max(min(rng.uniform(0.2, 0.45), 0.97 - improvement), 0.01 - min(improvement, context.gap, 0))
    student, teacher = arms(rng, rng.choice([32, 64, 131, 500]), rng.choice([4, 8]), baseline, baseline + context.gap)
    own, after = arms(rng, rng.choice([131, 500]), rng.choice([4, 8]), baseline, baseline + improvement)
    (_, x, x_var), (_, y, y_var) = difference(student, teacher), difference(own, after)
    return Run(x, x_var, y, y_var, student.mean(), improvement)


def simulate(world, seed, stores):
    """Draw stores: observations, and probes with their outcomes as runs."""
    rng = np.random.default_rng(seed)
    for _ in range(stores):
        residual_sd, tau = rng.uniform(0.01, 0.03), rng.uniform(*world.tau)

        def context(name, tau=tau):
            return Context(name, rng.uniform(-0.02, 0.35), rng.normal(0, tau))

        rows, families, names = [], [], []
        sizes = {f"other-{i}": int(rng.integers(4, 13)) for i in range(3)}
        for family, size in {**sizes, "target": world.n}.items():
            slope, intercept = rng.normal(1.2, 0.4), rng.normal(0, 0.01)
            mine = [context(f"k{i}") for i in range(-(-size // world.seeds))]
            rows += [run(rng, mine[i // world.seeds], slope, intercept, residual_sd) for i in range(size)]
            families += [family] * size
            names += [mine[i // world.seeds].name for i in range(size)]
        if world.seeds == 1:
            names[1] = names[0]  # the level is on where one context has two runs
        asked = [
            mine[rng.integers(len(mine))] if world.stored else context(f"new-{number}") for number in range(PROBES)
        ]
        probes = [run(rng, one, slope, intercept, residual_sd) for one in asked]
        yield rows, families, names, probes, [one.name for one in asked]


def column(runs, name):
    return np.array([getattr(one, name) for one in runs])


def about(runs):
    return {name: column(runs, name) for name in ("gap", "gap_var", "baseline")}


@dataclass
class Score:
    """Shares inside, mean 95 % width, error of the mean."""

    measured80: float
    measured95: float
    width95: float
    mae: float


def score(world, seed):
    """Scores of the law with contexts and of part 1, on the same stores."""
    found = ([], [], [], []), ([], [], [], [])
    for rows, families, names, probes, asked in simulate(world, seed, STORES):
        told = {**about(rows), "improvement": column(rows, "improvement")}
        told["improvement_var"] = column(rows, "improvement_var")
        probe, outcome = {**about(probes), "family": "target"}, column(probes, "improvement")
        for with_contexts, columns in zip((True, False), found, strict=True):
            stored = {"context": names, "model": ["m"] * len(names)} if with_contexts else {}
            new = {"context": asked, "model": "m"} if with_contexts else {}
            law = GapLaw(candidate_links=("linear",)).fit(Observations(**told, family=families, **stored))
            measured = mixture(law.state_, Probe(**probe, **new, improvement_var=column(probes, "improvement_var")))
            latent = mixture(law.state_, Probe(**probe, **new)).centre
            for level, inside in ((0.8, columns[0]), (0.95, columns[1])):
                lower, upper = measured.interval(level)
                inside.extend((lower <= outcome) & (outcome <= upper))
            columns[2].extend(upper - lower)
            columns[3].extend(np.abs(latent - column(probes, "truth")))
    return [Score(*(float(np.mean(values)) for values in columns)) for columns in found]


def floor(share):
    """Two standard errors under a share: what a simulation of it may come to. The probes of a store hang together."""
    return share - (0 if FULL else 2 * (share * (1 - share) / (STORES * PROBES / 2)) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 20] if FULL else [6])
def test_every_run_a_context_of_its_own(n):
    """The level is on, and costs nothing."""
    mine, line = score(World(n, seeds=1), 2000 + n)
    assert mine.measured80 == pytest.approx(0.80, abs=0.03 * ERRORS)
    assert mine.measured95 == pytest.approx(0.95, abs=0.02 * ERRORS)
    assert mine.width95 <= line.width95 * 1.03


@pytest.mark.slow
@pytest.mark.parametrize(("n", "width", "least"), [(6, 1.15, 0.91), (20, 1.06, 0.94)] if FULL else [(20, 1.06, 0.94)])
def test_contexts_without_effects(n, width, least):
    mine, line = score(World(n), 2100 + n)
    assert mine.measured95 >= floor(least)
    assert mine.width95 <= line.width95 * (1 + (width - 1) * (1 if FULL else 1.5))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "least"), [(6, 0.87), (20, 0.93)] if FULL else [(6, 0.87)])
def test_a_new_context(n, least):
    """With the control: contexts ignored, the intervals of more runs than there are points hold less."""
    mine, line = score(World(n, tau=(0.0, 0.12)), 2200 + n)
    assert mine.measured95 >= floor(least)
    assert line.measured95 < mine.measured95


# LAW has an error of .55 at n = 20, from 100 probes; we find .59 of 1,600, with a width of .67
@pytest.mark.parametrize(("n", "width", "mae"), [(6, 0.80, 0.75), (20, 0.72, 0.62)] if FULL else [(20, 0.72, 0.62)])
def test_a_stored_context(n, width, mae):
    mine, line = score(World(n, tau=(0.0, 0.12), stored=True), 2300 + n)
    # LAW has .80 to .88, from 100 probes; .789 of 3,200 at n = 20 is what the interval promises
    slack = 0.02 * (ERRORS - 1)
    assert 0.77 - slack <= mine.measured80 <= 0.88 + slack
    assert floor(0.93) <= mine.measured95 <= (0.98 if FULL else 1.0)
    assert mine.width95 <= line.width95 * width * (1 if FULL else 1.1)
    assert mine.mae <= line.mae * mae * (1 if FULL else 1.15)


@pytest.mark.slow
def test_simulation_based_calibration():
    """Worlds drawn from the law's own prior, tau, q and s included: predictive probabilities must be uniform."""
    rng = np.random.default_rng(2400)
    probabilities = {"new": [], "stored": []}
    stores = 2500 * STORES // 800 if FULL else 50  # of four new contexts and four that may be stored
    for _ in range(stores):
        mu = rng.normal([0, 1.2], [0.02, 0.5])
        family_sd = np.abs(rng.normal(0, [0.02, 0.5]))
        sigma = 0.03 * abs(rng.standard_t(4))
        tau = 0.0 if rng.random() < 0.5 else 0.05 * abs(rng.standard_t(4))
        q, s = rng.choice([0.15, 0.5]), rng.choice([0.0, 0.4, 1.0], p=[0.5, 0.25, 0.25])
        families, contexts, models = rng.integers(1, 4), rng.integers(1, 8), 2
        b = np.column_stack([*rng.normal(mu[:, None], family_sd[:, None], (2, families)), rng.normal(0, s, families)])
        u = rng.normal(0, np.sqrt(1 - q) * tau, (families, contexts + PROBES))
        v = rng.normal(0, np.sqrt(q) * tau, (families, contexts + PROBES, models))
        n = rng.integers(2, 30)
        family = np.append(rng.integers(0, families, n), np.full(2 * PROBES, rng.integers(families)))
        # the first probes are of new contexts, the others of such as may be stored
        context = np.concatenate([rng.integers(0, contexts, n), contexts + np.arange(PROBES)])
        context = np.append(context, rng.integers(0, contexts, PROBES))
        model = rng.integers(0, models, len(family))
        gap, w = rng.uniform(-0.02, 0.35, len(family)), rng.uniform(0, 0.5, len(family))
        truth = b[family, 0] + b[family, 1] * gap + b[family, 2] * w + u[family, context] + v[family, context, model]
        truth += rng.normal(0, sigma, len(family))
        gap_var = 0.15 / rng.choice([64, 131, 500], len(family))
        improvement_var = 0.15 / rng.choice([131, 500], len(family))
        x = rng.normal(gap, np.sqrt(gap_var))
        y = np.clip(rng.normal(truth, np.sqrt(improvement_var)), -1, 1)
        told = {
            "gap": x,
            "gap_var": gap_var,
            "gap_spread": w * np.maximum(x, 0.08) + 0.004,
            "family": [f"f{i}" for i in family],
            "context": [f"k{i}" for i in context],
            "model": [f"m{i}" for i in model],
        }
        stored, asked = ({name: value[part] for name, value in told.items()} for part in (slice(n), slice(n, None)))
        law = GapLaw(candidate_links=("linear",), dilution=True).fit(
            Observations(**stored, improvement=y[:n], improvement_var=improvement_var[:n])
        )
        found = mixture(law.state_, Probe(**asked)).cdf(truth[n:])
        probabilities["new"].extend(found[:PROBES])
        probabilities["stored"].extend(found[PROBES:])
    slack = (2500 / stores) ** 0.5
    for pit in map(np.array, probabilities.values()):
        assert np.mean((pit > 0.1) & (pit < 0.9)) == pytest.approx(0.80, abs=0.015 * slack)
        assert np.mean((pit > 0.025) & (pit < 0.975)) == pytest.approx(0.95, abs=0.01 * slack)


STUDY = {  # left out: 95 % coverage, width, MAE and interval score of the default, then the same with dilution
    "context": ((0.87, 0.47, 0.104, 0.80), (0.90, 0.34, 0.072, 0.50)),
    # LAW has a width of .32, from a prototype without the atom; we find .352, all of it where one model alone is stored
    "baseline": ((0.93, 0.36, 0.057, 0.40), (0.92, 0.27, 0.054, None)),
    "seed": ((0.92, 0.18, 0.037, 0.26), (0.91, 0.175, 0.036, None)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "law"),
    [(left_out, law) for left_out in STUDY for law in ("contexts", "dilution")] if FULL else [("seed", "contexts")],
)
def test_the_study(left_out, law):
    each = {pool: study.scored(rows, left_out, law) for pool, rows in study.pools(study.runs()).items()}
    every = study.Scored.joined(list(each.values()))
    _, inside, width, error, interval_score = every.figures
    least, widest, largest, highest = STUDY[left_out][law == "dilution"]
    assert len(every.width) == 451
    assert inside >= least
    assert width <= widest
    assert error <= largest
    assert highest is None or interval_score <= highest
    if (left_out, law) == ("context", "dilution"):
        assert min(found.figures[1] for found in each.values()) >= 0.86


@pytest.mark.skipif(not FULL, reason="what the law without contexts misses is known")
def test_the_study_without_contexts():
    """The control: contexts ignored, a context that is left out is predicted too surely."""
    every = study.Scored.joined(
        [study.scored(rows, "context", "before") for rows in study.pools(study.runs()).values()]
    )
    assert every.figures[1] < 0.85
