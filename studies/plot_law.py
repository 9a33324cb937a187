"""The pictures of docs/law.md, and the figures that it quotes.

Run `make law-plots`, or `python studies/plot_law.py` where the extra `docs` is installed: three minutes of one core.
Every figure is printed with its Monte Carlo error and is the same on every run. The stores are drawn from LAW's
generating process, written here from its text and not imported from tests/acceptance: two readings of one text have to
agree.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit
from scipy.stats import norm, t

from service.law import GapLaw, Observations, Probe, drift_log_bayes_factor

PICTURES = Path(__file__).parents[1] / "docs" / "law"
STORES = 250
LEVELS = (0.8, 0.95)
POINTS = 100  # accuracy points in an accuracy of 1
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"  # told apart by colour-blind eyes, too
GAP, IMPROVEMENT = "gap (accuracy points)", "improvement (accuracy points)"

Array = np.ndarray
Bounds = dict[float, tuple[Array, Array]]


# --- LAW's generating process ---------------------------------------------------------------------------------------

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
CENTRES = np.linspace(-16, 16, 4001)
STUDENT, ARM = (expit(CENTRES[:, None] + sd * NODES) @ WEIGHTS / WEIGHTS.sum() for sd in (2.0, 5**0.5))
SIZES = (32, 64, 131, 500)


@dataclass(frozen=True)
class World:
    """What a store is drawn from: n points of the family `yours`, three other families, and the probes to answer.

    Attributes:
        stored: problems of a stored probe, one of these. asked: the same for each new probe.
        rollouts: of a new probe, one of these.
        collapse: share of stored runs that collapse.
        best_of: contexts that are probed, of which the one with the largest measured gap is kept.
        equal: whether these have one true gap. again: whether the one that is kept is probed afresh.
        drift: added to the family's slope after the stored runs.
    """

    n: int = 6
    stored: tuple[int, ...] = SIZES
    asked: tuple[tuple[int, ...], ...] = (SIZES,) * 4
    rollouts: tuple[int, ...] = (4, 8)
    collapse: float = 0.0
    best_of: int = 1
    equal: bool = False
    again: bool = False
    drift: float = 0.0


@dataclass(frozen=True)
class Store:
    """Stored columns, and new probes of `yours` with the improvements that their runs measure."""

    gap: Array
    gap_var: Array
    improvement: Array
    improvement_var: Array
    family: tuple[str, ...]
    probe: dict[str, Array]
    outcome: Array

    def law(self) -> GapLaw:
        return GapLaw(LEVELS, ("linear",)).fit(self.observations())

    def observations(self) -> Observations:
        columns = {name: getattr(self, name) for name in ("gap", "gap_var", "improvement", "improvement_var")}
        return Observations(**columns, family=self.family)


def differences(rng: np.random.Generator, problems: int, rollouts: int, student: float, arm: float) -> Array:
    """The arm's accuracy minus the student's, problem by problem, at these means."""
    difficulty = rng.normal(0, 2, problems)
    student_p = expit(np.interp(student, STUDENT, CENTRES) + difficulty)
    arm_p = expit(np.interp(arm, ARM, CENTRES) + difficulty + rng.normal(0, 1, problems))
    return (rng.binomial(rollouts, arm_p) - rng.binomial(rollouts, student_p)) / rollouts


def measured(rng: np.random.Generator, problems: int, rollouts: int, baseline: float, change: float) -> list[float]:
    """A gap or an improvement as measured, with its sampling variance."""
    d = differences(rng, problems, rollouts, baseline, baseline + change)
    return [d.mean(), max(d.var(ddof=1), 1e-4) / problems]


def evaluated(rng: np.random.Generator, baseline: float, improvement: float) -> list[float]:
    """A run's improvement as its evaluation measures it."""
    return measured(rng, rng.choice([131, 500]), rng.choice([4, 8]), baseline, improvement)


def true_gap(rng: np.random.Generator) -> float:
    return rng.uniform(-0.02, 0.35)


def run(rng: np.random.Generator, line: tuple[float, float], gap: float, residual_sd: float) -> tuple[float, float]:
    """A run's true improvement and baseline."""
    improvement = min(line[0] + line[1] * gap + rng.normal(0, residual_sd), 0.95)
    # no accuracy leaves .01 to .97, before or after
    return improvement, max(min(rng.uniform(0.2, 0.45), 0.97 - improvement), 0.01 - min(improvement, gap, 0))


def stores(world: World, seed: int, count: int = STORES) -> Iterator[Store]:
    """Draw stores."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        residual_sd = rng.uniform(0.01, 0.03)
        rows, family = [], []
        for name, n in [*((f"other {i}", rng.integers(4, 13)) for i in range(3)), ("yours", world.n)]:
            line = rng.normal(0, 0.01), rng.normal(1.2, 0.4)
            for _ in range(n):
                gap = true_gap(rng)
                improvement, baseline = run(rng, line, gap, residual_sd)
                if rng.random() < world.collapse:
                    improvement = -rng.uniform(0.05, 0.9) * baseline
                probed = measured(rng, rng.choice(world.stored), rng.choice([4, 8]), baseline, gap)
                rows.append(probed + evaluated(rng, baseline, improvement))
                family.append(name)
        line = line[0], line[1] + world.drift
        asked = []
        for sizes in world.asked:
            candidates, gap = [], true_gap(rng)
            for _ in range(world.best_of):
                improvement, baseline = run(rng, line, gap, residual_sd)
                size = rng.choice(sizes), rng.choice(world.rollouts)
                candidates.append((measured(rng, *size, baseline, gap), size, baseline, gap, improvement))
                gap = gap if world.equal else true_gap(rng)
            best, size, baseline, gap, improvement = max(candidates, key=lambda one: one[0][0])
            best = measured(rng, *size, baseline, gap) if world.again else best
            asked.append(best + evaluated(rng, baseline, improvement))
        gap, gap_var, outcome, improvement_var = np.array(asked).T
        probe = {"gap": gap, "gap_var": gap_var, "improvement_var": improvement_var}
        yield Store(*np.array(rows).T, tuple(family), probe, outcome)


# --- the methods ----------------------------------------------------------------------------------------------------


def ours(store: Store) -> Bounds:
    """The law."""
    return dict(store.law().predict_improvement(Probe(**store.probe, family="yours")).intervals)


def errors_ignored(store: Store) -> Bounds:
    """The same law, told that every gap is exact."""
    return ours(replace(store, gap_var=0 * store.gap_var, probe=store.probe | {"gap_var": 0.0}))


def least_squares(x: Array, y: Array, at: Array) -> Bounds | None:
    """Ordinary least squares with its t prediction interval; None under three points."""
    freedom = len(x) - 2
    if freedom < 1:
        return None
    slope, intercept = np.polyfit(x, y, 1)
    variance = np.sum((y - intercept - slope * x) ** 2) / freedom
    spread = np.sqrt(variance * (1 + 1 / len(x) + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)))
    half = {level: t.ppf((1 + level) / 2, freedom) * spread for level in LEVELS}
    return {level: (intercept + slope * at - h, intercept + slope * at + h) for level, h in half.items()}


def family_ols(store: Store) -> Bounds | None:
    own = np.array(store.family) == "yours"
    return least_squares(store.gap[own], store.improvement[own], store.probe["gap"])


def pooled_ols(store: Store) -> Bounds | None:
    return least_squares(store.gap, store.improvement, store.probe["gap"])


Method = Callable[[Store], Bounds | None]
STYLES: dict[Method, tuple[str, str, str]] = {
    ours: ("the law", BLUE, "o"),
    errors_ignored: ("the law, gap's error ignored", ORANGE, "s"),
    family_ols: ("least squares, own family", GREEN, "^"),
    pooled_ols: ("least squares, all families", GREY, "D"),
}


@dataclass(frozen=True)
class Score:
    """Means with Monte Carlo errors (a store is one draw): coverage of each level, width of the 95 % interval."""

    coverage: dict[float, tuple[float, float]]
    width: tuple[float, float]

    @classmethod
    def of(cls, draws: Array) -> "Score":
        """Average (stores, probes, 3 or more) hits at 80 %, at 95 %, and widths."""
        each = draws[:, :, :3].mean(axis=1)
        means = zip(each.mean(axis=0).tolist(), (each.std(axis=0, ddof=1) / len(each) ** 0.5).tolist(), strict=True)
        low, high, width = means
        return cls({0.8: low, 0.95: high}, width)

    def __str__(self) -> str:
        cover = "  ".join(f"{level:.0%} {mean:.3f} +- {se:.3f}" for level, (mean, se) in self.coverage.items())
        return f"{cover}  width {self.width[0]:.3f} +- {self.width[1]:.3f}"


def draws(world: World, seed: int, methods: Sequence[Method], count: int = STORES) -> dict[Method, Array]:
    """Each method's (stores, probes, 4) hits at 80 %, at 95 %, widths and gap's variances, all on the same stores."""
    found: dict[Method, list[Array]] = {method: [] for method in methods}
    for store in stores(world, seed, count):
        for method in methods:
            bounds = method(store)
            if bounds is not None:
                inside = [(low <= store.outcome) & (store.outcome <= high) for low, high in bounds.values()]
                width = bounds[0.95][1] - bounds[0.95][0]
                found[method].append(np.stack([*inside, width, store.probe["gap_var"]], axis=1))
    return {method: np.array(rows) for method, rows in found.items() if rows}


def scored(name: str, found: dict[Method, Array]) -> dict[Method, Score]:
    """Average and print."""
    scores = {method: Score.of(rows) for method, rows in found.items()}
    for method, score in scores.items():
        print(f"  {name:34} {STYLES[method][0]:29} {score}", flush=True)
    return scores


# --- the pictures ---------------------------------------------------------------------------------------------------


def axes(width: float, height: float, *titles: str, **options: bool) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    found = list(figure.subplots(1, len(titles), squeeze=False, **options)[0])
    for ax, title in zip(found, titles, strict=True):
        ax.set_title(title, fontsize=10)
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, found


def save(figure: Figure, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / name, dpi=130, metadata={"Software": None})


def draw_coverage(ax: Axes, x: Sequence[float], scores: Sequence[Score], method: Method) -> None:
    """95 % solid, 80 % dashed and hollow, each with two Monte Carlo errors."""
    label, colour, marker = STYLES[method]
    for level, dashes, fill, name in ((0.95, "-", colour, label), (0.8, "--", "white", None)):
        mean, se = np.array([score.coverage[level] for score in scores]).T
        ax.errorbar(x, mean, 2 * se, color=colour, marker=marker, mfc=fill, ms=4.5, lw=1.3, ls=dashes, label=name)


def coverage_axis(ax: Axes, lowest: float) -> None:
    ax.set_ylim(lowest, 1.0)
    ax.set_yticks([*np.arange(lowest, 0.75, 0.1), 0.8, 0.9, 0.95])
    ax.set_ylabel("share of runs inside the interval")
    for level in LEVELS:
        ax.axhline(level, color="black", lw=0.8, ls=":")


def half_width(bounds: tuple[Array, Array]) -> Array:
    return (bounds[1] - bounds[0]) / 2


def as_row(estimate: Sequence[float]) -> str:
    return f"{estimate[0]:.3f} ({estimate[1]:.3f} to {estimate[2]:.3f})"


class Lab:
    """The shipped pool and its law."""

    def __init__(self) -> None:
        self.rows = json.loads(files("service.observations").joinpath("lab_pool.json").read_text())
        self.x, self.y = (self.column(name, "value") for name in ("gap", "improvement"))
        self.sx, self.sy = (self.column(name, "se") for name in ("gap", "improvement"))
        self.place = {name: self.rows[0][name] for name in ("family", "cell")}
        self.law = GapLaw(LEVELS, ("linear",)).fit(
            Observations(
                gap=self.x,
                gap_var=self.sx**2,
                improvement=self.y,
                improvement_var=self.sy**2,
                cov=[row["cov"] for row in self.rows],
                family=[row["family"] for row in self.rows],
                cell=[row["cell"] for row in self.rows],
            )
        )

    def column(self, name: str, part: str) -> Array:
        return np.array([row[name][part] for row in self.rows])

    def interval(self, gap: Array | float, gap_var: Array | float, improvement_var: float) -> tuple[Array, Array]:
        probe = Probe(gap=gap, gap_var=gap_var, improvement_var=improvement_var, **self.place)
        return self.law.predict_improvement(probe).interval(0.95)


def draw_lab_pool(lab: Lab) -> None:
    print("lab_pool.png: the shipped pool")
    grid = np.linspace(-0.06, 0.72, 79)
    line = lab.law.line(lab.place["family"], grid, lab.place["cell"])
    latent = lab.interval(grid, 0.0, 0.0)
    answered = lab.interval(grid, float(np.median(lab.sx**2)), float(np.median(lab.sy**2)))
    wrong = np.array([bool((row["context"]["options"].get("corruption") or {}).get("rate")) for row in lab.rows])
    figure, (ax,) = axes(7.2, 4.9, "36 runs of the lab's two models")
    for bounds, alpha, label in (
        (latent, 0.16, "95 % prediction of the true improvement, gap known"),
        ((line.lower, line.upper), 0.45, "95 % confidence of the line"),
    ):
        ax.fill_between(*POINTS * np.array([grid, *bounds]), color=BLUE, alpha=alpha, lw=0, label=label)
    ax.plot(POINTS * grid, POINTS * line.mean, color=BLUE, lw=1.4, label="the law's line")
    for bound, label in zip(answered, ("95 % prediction as answered, both measured", None), strict=True):
        ax.plot(POINTS * grid, POINTS * bound, color=BLUE, lw=1, ls="--", label=label)
    for model, marker, colour in (("s", "o", "black"), ("m", "s", ORANGE)):
        for bad, fill in ((False, colour), (True, "white")):
            chosen = np.array([row["model"].endswith(f"-{model}") for row in lab.rows]) & (wrong == bad)
            values = (POINTS * part[chosen] for part in (lab.x, lab.y, lab.sy, lab.sx))
            label = f"model {model}" + (", half of the solutions wrong" if bad else " (bars: 1 standard error)")
            ax.errorbar(*values, fmt=marker, color=colour, mfc=fill, ms=4.5, lw=0.7, label=label)
    ax.set(xlabel=GAP, ylabel=IMPROVEMENT, ylim=(-20, 84))
    ax.legend(fontsize=8, loc="upper left", frameon=False)
    save(figure, "lab_pool.png")
    found, diagnosed = lab.law.coefficients(**lab.place), lab.law.diagnostics_
    print(f"  slope {as_row(found.slope)}, intercept {as_row(found.intercept)}, p_collapse {lab.law.p_collapse_:.3f}")
    r = diagnosed.weight
    print(f"  r of the half-wrong contexts {r[wrong].round(3)}, smallest other {r[~wrong].min():.2f}")
    print(f"  curvature p {lab.law.curvature_:.2f}; collapsed as flagged {sum(row['collapsed'] for row in lab.rows)}")
    at = int(np.argmin(np.abs(grid - 0.2)))
    for name, bounds in (("line", (line.lower, line.upper)), ("true improvement", latent), ("as answered", answered)):
        print(f"  95 % half-width at a gap of .2, {name}: {half_width(bounds)[at]:.3f}")


REFERENCE = {0: 0.420, 2: 0.247, 3: 0.228, 6: 0.207, 20: 0.194}  # LAW's 95 % widths, from its own simulation


def draw_points() -> None:
    print(f"points.png: coverage and 95 % width, 3 other families, {STORES} stores x 4 probes, +- Monte Carlo error")
    methods = (ours, family_ols, pooled_ols)
    table = {n: scored(f"{n} points", draws(World(n=n), 10 + n, methods)) for n in REFERENCE}
    figure, (left, right) = axes(9, 3.9, "coverage (solid 95 %, dashed 80 %)", "width of the 95 % interval")
    for method in methods:
        known = {n: scores[method] for n, scores in table.items() if method in scores}
        x = [list(REFERENCE).index(n) for n in known]
        draw_coverage(left, x, list(known.values()), method)
        label, colour, marker = STYLES[method]
        width = [POINTS * score.width[0] for score in known.values()]
        right.plot(x, width, color=colour, marker=marker, ms=4.5, lw=1.3, label=label)
    reference = [POINTS * width for width in REFERENCE.values()]
    right.plot(range(5), reference, "x", color="black", ms=7, label="the law, reference", zorder=3)
    for ax in (left, right):
        ax.set_xticks(range(5), list(REFERENCE))
        ax.set_xlabel("stored runs of the family")
    coverage_axis(left, 0.6)
    right.set_yscale("log")
    right.set_yticks([20, 30, 50, 100, 200], ["20", "30", "50", "100", "200"])
    right.minorticks_off()
    right.set_ylabel("width (accuracy points)")
    right.legend(fontsize=8, frameon=False)
    save(figure, "points.png")


def draw_errors() -> None:
    print(f"errors.png: stored probes of 500 problems, 6 points of the family, {STORES} stores")
    problems = (8, 16, 32, 64, 131, 500)
    methods = (ours, errors_ignored, family_ols)
    world = World(stored=(500,), asked=tuple((size,) for size in problems for _ in range(4)))
    found = draws(world, 40, methods)
    table = [
        scored(f"new probe of {size} problems", {method: rows[:, 4 * i : 4 * i + 4] for method, rows in found.items()})
        for i, size in enumerate(problems)
    ]
    for size in (8, 32):
        rows = found[ours][:, 4 * problems.index(size) :][:, :4].reshape(-1, 4)
        quarter = np.searchsorted(np.quantile(rows[:, 3], [0.25, 0.5, 0.75]), rows[:, 3])
        shown = ", ".join(f"{rows[quarter == q, 1].mean():.3f}" for q in range(4))
        print(f"  {size} problems, the law's 95 % by quarters of the standard error that was measured: {shown}")
    left_title = "one new probe (solid 95 %, dashed 80 %)"
    figure, (left, right) = axes(9, 3.9, left_title, "the best of 8 probes of 32 problems", sharey=True)
    for method in methods:
        draw_coverage(left, problems, [scores[method] for scores in table], method)
    left.set_xscale("log")
    left.set_xticks(problems, problems)
    left.minorticks_off()
    left.set_xlabel("problems of the new probe (x 4 or 8 rollouts)")
    for place, (equal, name) in enumerate(((False, "gaps differ"), (True, "gaps equal"))):
        world = World(asked=((32,),) * 4, rollouts=(4,), best_of=8, equal=equal)
        scores = scored(f"best of 8, {name}", draws(world, 50, methods))
        for shift, method in zip((-0.12, 0, 0.12), methods, strict=True):
            draw_coverage(right, [place + shift], [scores[method]], method)
        scored(f"best of 8, {name}, probed again", draws(replace(world, again=True), 50, (ours,)))
    right.set_xticks([0, 1], ["the 8 true gaps differ", "all 8 are equal"])
    right.set_xlim(-0.5, 1.5)
    coverage_axis(left, 0.3)
    left.legend(fontsize=8, frameon=False, loc="lower right")
    save(figure, "errors.png")


def draw_size(lab: Lab) -> None:
    print("size.png: 95 % half-width against the probe's problems, 4 rollouts each")
    problems = np.array([16, 24, 32, 48, 64, 96, 131, 200, 300, 500, 1000, 2000])
    d = differences(np.random.default_rng(60), 400_000, 4, 0.325, 0.475)  # a gap of .15
    once = differences(np.random.default_rng(61), 400_000, 1, 0.325, 0.475)
    print(f"  generating process: variance of paired differences {d.var():.3f} at 4 rollouts, {once.var():.3f} at 1;")
    print(f"  524 problems x 1 against 131 x 4: {once.var() / 524 / (d.var() / 131) - 1:+.0%} variance")
    figure, (left, right) = axes(9, 3.9, "a family, three others stored", "the lab pool", sharey=True)
    for n, colour in ((0, GREY), (6, GREEN), (20, BLUE)):
        variance = np.append(d.var() / problems, 0.0)
        widths = [
            half_width(store.law().predict_improvement(probe).interval(0.95))
            for store in stores(World(n=n), 10 + n, 60)
            for probe in [Probe(gap=0.15, gap_var=variance, family="yours", improvement_var=d.var() / 131)]
        ]
        *mean, floor = np.mean(widths, axis=0)
        left.plot(problems, POINTS * np.array(mean), color=colour, lw=1.5, label=f"{n} own runs")
        left.axhline(POINTS * floor, color=colour, lw=1, ls="--", label="their floors" if n == 20 else None)
        shown = "  ".join(f"{size}: {width:.3f}" for size, width in zip(problems, mean, strict=True))
        print(f"  {n:2} own runs, gap .15, run measured on 131 x 4: {shown}; floor {floor:.3f}")
    variance = float(np.median(lab.sx**2)) * 128
    slope = lab.law.coefficients(**lab.place).slope.mean
    measurement = float(np.median(lab.sy**2))
    cases = ((measurement, BLUE, "as a run measures it"), (0.0, ORANGE, "true improvement"))
    for improvement_var, colour, label in cases:
        *width, floor = half_width(lab.interval(0.2, np.append(variance / problems, 0.0), improvement_var))
        rule = np.sqrt(floor**2 + norm.ppf(0.975) ** 2 * slope**2 * variance / problems)
        right.plot(problems, POINTS * np.array(width), color=colour, lw=1.5, label=label)
        right.axhline(POINTS * floor, color=colour, lw=1, ls="--", label=None if improvement_var else "their floors")
        right.plot(problems, POINTS * rule, color="black", lw=1, ls=":", label=None if improvement_var else "the rule")
        shown = "  ".join(f"{size}: {one:.3f}/{by:.3f}" for size, one, by in zip(problems, width, rule, strict=True))
        print(f"  lab pool, gap .2, {label} (law/rule): {shown}; floor {floor:.3f}")
    print(f"  lab pool: variance of the paired differences {variance:.3f}, measurement_se {measurement**0.5:.3f}")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xticks([16, 32, 64, 131, 300, 1000], ["16", "32", "64", "131", "300", "1000"])
        ax.minorticks_off()
        ax.set_xlabel("problems of the probe")
        ax.legend(fontsize=8, frameon=False)
    left.set_ylim(0, 26)
    left.set_ylabel("95 % half-width (accuracy points)")
    save(figure, "size.png")


def without(store: Store, row: int) -> Store:
    columns = (np.delete(getattr(store, name), row) for name in ("gap", "gap_var", "improvement", "improvement_var"))
    return Store(*columns, tuple(np.delete(store.family, row).tolist()), store.probe, store.outcome)


def draw_collapse() -> None:
    print("collapse.png: ten runs of a family, one of which collapsed")
    store = next(stores(World(n=10), 72, 1))
    own = np.flatnonzero(np.array(store.family) == "yours")
    lost = int(own[np.argsort(store.gap[own])[-2]])
    store.improvement[lost] = -0.25
    fine = own[own != lost]
    grid = np.linspace(-0.04, 0.4, 89)
    at = int(np.argmin(np.abs(grid - 0.2)))
    typical = {"gap_var": np.median(store.gap_var), "improvement_var": np.median(store.improvement_var)}

    def by_law(store: Store) -> tuple[Array, tuple[Array, Array], str]:
        law = store.law()
        bounds = law.predict_improvement(Probe(gap=grid, family="yours", **typical)).interval(0.95)
        return law.line("yours", grid).mean, bounds, as_row(law.coefficients("yours").slope)

    def by_least_squares(store: Store) -> tuple[Array, tuple[Array, Array], str]:
        own = np.array(store.family) == "yours"
        fitted = np.polyfit(store.gap[own], store.improvement[own], 1)
        bounds = least_squares(store.gap[own], store.improvement[own], grid)
        return np.polyval(fitted, grid), bounds[0.95], f"{fitted[0]:.3f}"

    titles = ("the law", "least squares, own family")
    figure, panels = axes(9, 4.2, *titles, sharey=True, sharex=True)
    for ax, title, method in zip(panels, titles, (by_law, by_least_squares), strict=True):
        for case, given, colour in (("with", store, BLUE), ("without", without(store, lost), GREY)):
            line, bounds, slope = method(given)
            print(f"  {title}, {case} it: slope {slope}, 95 % half-width at a gap of .2 {half_width(bounds)[at]:.3f}")
            label = f"line and 95 % prediction {case} the collapsed run"
            if given is store:
                ax.fill_between(*POINTS * np.array([grid, *bounds]), color=colour, alpha=0.18, lw=0, label=label)
                ax.plot(POINTS * grid, POINTS * line, color=colour, lw=2)
            else:
                for curve in (line, *bounds):
                    ax.plot(POINTS * grid, POINTS * curve, color=colour, lw=1, ls="--", label=label)
                    label = None
        errors = (POINTS * variance[fine] ** 0.5 for variance in (store.improvement_var, store.gap_var))
        values = POINTS * store.gap[fine], POINTS * store.improvement[fine], *errors
        ax.errorbar(*values, fmt="o", color="black", ms=4, lw=0.7, label="the other runs (bars: 1 standard error)")
        ax.plot(POINTS * store.gap[lost], -25, "X", color=ORANGE, ms=8, label="the collapsed run")
        ax.set_xlabel(GAP)
    panels[0].set_ylabel(IMPROVEMENT)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False
    )
    save(figure, "collapse.png")
    law = store.law()
    print(f"  r of the collapsed run {law.diagnostics_.weight[lost]:.3f}, p_collapse {law.p_collapse_:.3f}")
    for share in (0.0, 0.1):
        world = World(n=10, collapse=share)
        scored(f"{share:.0%} of stored runs collapse", draws(world, 80, (ours, family_ols, pooled_ols), STORES // 2))


def print_drift() -> None:
    count = STORES // 2
    print(f"a family whose slope moves after 10 runs: 6 runs of the new version, {count} stores")
    for drift in (0.0, -0.4, -0.8):
        world = World(n=10, asked=(SIZES,) * 6, drift=drift)
        factors, hits = [], []
        for store in stores(world, 90, count):
            low, high = ours(store)[0.95]
            hits.append(np.mean((low <= store.outcome) & (store.outcome <= high)))
            new = (store.probe["gap"], store.probe["gap_var"], store.outcome, store.probe["improvement_var"])
            old = (store.gap, store.gap_var, store.improvement, store.improvement_var)
            both = Store(*map(np.append, old, new), (*store.family, *["yours"] * 6), {}, np.empty(0))
            versions = ["old"] * len(store.family) + ["new"] * 6
            factors.append(drift_log_bayes_factor(both.observations(), "yours", versions))
        factor = np.array(factors)
        mean, se = np.mean(hits), np.std(hits, ddof=1) / count**0.5
        alarm = np.mean(factor > 3)
        seen = (
            f"{alarm:.3f} +- {(alarm * (1 - alarm) / count) ** 0.5:.3f} of the stores, median {np.median(factor):+.1f}"
        )
        print(f"  slope {drift:+.1f}: the old law's 95 % covers {mean:.3f} +- {se:.3f} of the new runs;")
        print(f"    log Bayes factor above 3 in {seen}")


def print_nothing_stored() -> None:
    nothing = Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[])
    law, typical = GapLaw(LEVELS).fit(nothing), {"baseline": 0.4, "improvement_var": 0.03**2}
    for teacher in ("frozen", "ema"):
        out = law.predict_improvement(Probe(gap=0.2, gap_var=0.03**2, family="any", teacher=teacher, **typical))
        low, high = out.interval(0.95)
        print(f"nothing stored, {teacher} teacher, gap .2 +- .03: {out.mean:.3f} ({low:.3f} to {high:.3f})")
        print(f"  p_collapse {out.p_collapse:.3f}, slope {as_row(law.coefficients('any', teacher=teacher).slope)}")


def main() -> None:
    """Draw everything."""
    lab = Lab()
    draw_lab_pool(lab)
    draw_points()
    draw_errors()
    draw_size(lab)
    draw_collapse()
    print_drift()
    print_nothing_stored()


if __name__ == "__main__":
    main()
