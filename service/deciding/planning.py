"""Plans for a budget, valued by simulation on the same draws: probes, runs, and runs that teach the law first (adr 24).

Outcomes are the law's joint draws. Probes show a part of them: the posterior means after more problems, whose
covariance ``Outlook`` gives. A run shows its own outcome, and the others' by their covariance with it. A second run of
a configuration, with another seed, is an outcome of its own that shares all but the run's own noise with the first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr

from service.deciding.configurations import Configuration, cost
from service.deciding.outlook import Outlook
from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray

TOLERANCE = 0.001
"""share: a cheaper plan that gains less by no more than a tenth of a point is taken"""
SMALLEST = 32
"""problems of a probe: fewer do not know their own standard error"""
FIRST = (1, 2)
"""runs that are trained before the others are chosen"""
HOPEFUL = 12
"""configurations that may be trained first: those that may turn out best, as such runs are results, too"""
INSIDE = 1e-9
"""of the largest variance, added to each: outcomes that are one another's copies"""
SEEDS = 2
"""runs of one configuration, at most: a third is worth little beside the first two"""
SHOWN = 5
"""plans that an answer shows"""


class Prices(NamedTuple):
    """Hours by configuration.

    Attributes:
        run: (P,) of one training run.
        rollout: (P,) of one rollout of a probe.
        again: (P,) rollouts that probe the winner of a comparison afresh.
    """

    run: FloatArray
    rollout: FloatArray
    again: FloatArray


class Limits(NamedTuple):
    """What a plan may spend.

    Attributes:
        hours: of probes and runs; infinite without a limit.
        runs: training runs.
        learns: True if the law knows of a run once it has ended.
        least: improvement below which no run is worth it, accuracy share.
        had: improvement by a run that has ended; minus infinity without one.
        own: (P,) problems of the probe that each configuration would have alone.
        noise: sampling variance of a run's measured improvement.
    """

    hours: float
    runs: int
    learns: bool
    least: float
    own: FloatArray
    noise: float
    had: float = -np.inf


@dataclass(frozen=True)
class Plan:
    """A plan and its worth.

    Attributes:
        first: configurations that are trained before anything is probed.
        probed: configurations that are probed then.
        chosen: True if those are chosen by what the first runs say; ``probed`` are then the likely ones.
        problems: of each of them, in total; 0 where nothing is probed.
        turn: runs after the probes whose outcomes are waited for before the others are chosen.
        runs: in all.
        train: those that are trained, where that is known, twice for two seeds; else all that can be, in the order of
            what is predicted now.
        rollouts: of the probes, at most.
        probe_hours, hours: of the probes, and in all.
        gain: expected improvement by the best run, accuracy share.
    """

    first: tuple[int, ...]
    probed: tuple[int, ...]
    chosen: bool
    problems: int
    turn: int
    runs: int
    train: tuple[int, ...]
    rollouts: int
    probe_hours: float
    hours: float
    gain: float

    @property
    def teaches(self) -> bool:
        """True if some of its runs are trained to choose the others."""
        return bool(self.first) or self.turn > 0

    @property
    def kind(self) -> tuple[bool, bool, int, int]:
        """Plans of one kind differ in nothing but the size of their probes."""
        return bool(self.first), self.problems > 0, len(self.first) + self.turn, self.runs


class Planned(NamedTuple):
    """The best plan, and what it was compared with.

    Attributes:
        plan: the cheapest one within ``TOLERANCE`` of the best; ``None``: no run is worth it.
        considered: the best plans of each kind, ``plan`` first.
        naive: gain of probing all alike and training the first.
        without: gain of training the first by the law alone.
        at_once: gain of the best plan that trains nothing to teach the law.
        more: what one run more than the limit would add to the gain.
        law_share: share of the variance of the most promising improvement that exact gaps would leave.
    """

    plan: Plan | None
    considered: tuple[Plan, ...]
    naive: float
    without: float
    at_once: float
    more: float
    law_share: float

    @property
    def bottleneck(self) -> Literal["gap", "law", "runs", "none"]:
        """What the plan spends on first, or would spend more on."""
        if self.plan is None:
            return "none"
        if self.plan.teaches:
            return "law"
        if self.plan.problems:
            return "gap"
        return "runs" if self.more > TOLERANCE else "none"


def make_plan(
    configurations: Sequence[Configuration],
    view: Outlook,
    prices: Prices,
    limits: Limits,
    trained: Sequence[int] = (),
    *,
    apart: FloatArray | None = None,
    now: bool = False,
    seed: int = 0,
) -> Planned:
    """Value a handful of plans, and take the best.

    Args:
        configurations: P of them.
        view: what is known of them.
        prices: theirs.
        limits: of the budget.
        trained: configurations of the runs that have ended.
        apart: (P,) variance of a run's improvement that another run of its configuration does not share; None: each is
            trained once at most.
        now: True: runs are chosen at once, without another probe.
        seed: of the draws.
    """
    return _Planner(configurations, view, prices, limits, trained, apart, seed).best(now=now)


class _Signal(NamedTuple):
    """What probes show.

    Attributes:
        mean: (m, P) posterior means.
        left: (P, P) covariance of the outcomes given them.
    """

    mean: FloatArray
    left: FloatArray


class _Learned(NamedTuple):
    """What runs have told, by draw.

    Attributes:
        mean: (m, P) posterior means.
        var: (m, P) variances of the outcomes given them.
        best: (m,) the largest measured improvement.
    """

    mean: FloatArray
    var: FloatArray
    best: FloatArray


class _Probe(NamedTuple):
    probed: tuple[int, ...]
    problems: int
    totals: FloatArray
    rollouts: int
    hours: float


class _Planner:
    def __init__(
        self,
        configurations: Sequence[Configuration],
        view: Outlook,
        prices: Prices,
        limits: Limits,
        trained: Sequence[int],
        apart: FloatArray | None,
        seed: int,
    ) -> None:
        self._configurations, self._view, self._prices, self._limits = configurations, view, prices, limits
        P, seeds = len(configurations), 1 if apart is None else SEEDS
        rng = np.random.default_rng(np.random.SeedSequence([seed, P]))
        # column seed x P + configuration: the outcome of a run
        self._outcomes = view.draws
        cov = np.atleast_2d(np.cov(view.draws, rowvar=False))
        inside = INSIDE * max(float(np.diag(cov).max()), INSIDE)
        if apart is not None:
            cov = cov + inside * np.eye(P)
            own = np.diag(np.clip(apart, inside, np.diag(cov)))
            # the covariance of the draws must hold all of the runs' own noise; by luck it falls short
            own /= max(1.0, float(np.linalg.norm(np.linalg.solve(np.linalg.cholesky(cov), np.sqrt(own)), 2)) ** 2)
            self._outcomes = np.hstack([view.draws, _again(view.draws, cov, own, rng)])
            cov = np.block([[cov, cov - own], [cov - own, cov]])
        self._run = np.tile(prices.run, seeds)
        self._centre = np.tile(view.draws.mean(axis=0), seeds)
        self._cov = cov + inside * np.eye(len(cov))
        self._root = np.linalg.cholesky(self._cov)
        self._white = np.linalg.solve(self._root, (self._outcomes - self._centre).T).T
        self._shown = rng.standard_normal(self._outcomes.shape)
        self._measured = rng.standard_normal(self._outcomes.shape) * limits.noise**0.5
        self._have = view.gaps.problems
        self._most = np.array([each.most for each in configurations], dtype=float)
        left = seeds - np.bincount(np.array(trained, dtype=int), minlength=P)
        self._in = np.arange(seeds * P) < P
        self._in[:P] = left > 0
        self._twice = left > 1  # False everywhere where each has one seed
        self._order = [int(row) for row in np.argsort(-self._centre[:P], kind="stable") if self._in[row]]
        self._most_runs = int(np.maximum(left, 0).sum())
        self._runs = min(limits.runs, self._most_runs)

    def best(self, *, now: bool) -> Planned:
        nothing = self._probe((), 0)
        probes = [nothing] if now else [nothing, *self._probes()]
        plans = [plan for probe in probes for plan in self._after(probe)]
        if self._limits.learns and not now:
            plans += list(self._runs_first())
        top = max(plan.gain for plan in plans)
        chosen = min((plan for plan in plans if plan.gain >= top - TOLERANCE), key=_effort)
        kinds: dict[tuple[bool, bool, int, int], Plan] = {}
        for plan in sorted(plans, key=lambda plan: (-plan.gain, plan.hours)):
            kinds.setdefault(plan.kind, plan)
        others = [plan for plan in kinds.values() if plan.kind != chosen.kind]
        exact = self._signal(None)
        leader = self._order[0]
        return Planned(
            plan=chosen if chosen.gain >= max(self._limits.least, self._limits.had + TOLERANCE) else None,
            considered=(chosen, *others[: SHOWN - 1]),
            naive=self._naive(),
            without=max(float(self._centre[leader]), self._limits.had),
            at_once=max(plan.gain for plan in plans if not plan.teaches),
            more=self._one_more(chosen),
            law_share=float(np.clip(exact.left[leader, leader] / self._cov[leader, leader], 0.0, 1.0)),
        )

    # --- probes and their prices

    def _probe(self, rows: tuple[int, ...], problems: int) -> _Probe:
        totals = self._have.copy()
        for row in rows:
            totals[row] = max(totals[row], min(problems, self._most[row]))
        return self._priced(rows, problems, totals)

    def _priced(self, rows: tuple[int, ...], problems: int, totals: FloatArray) -> _Probe:
        have, rollouts, hours = dict(enumerate(self._have.astype(int).tolist())), 0, 0.0
        for price in np.unique(self._prices.rollout[list(rows)]) if rows else ():
            same = {row: int(totals[row]) for row in rows if self._prices.rollout[row] == price}
            drawn = cost(self._configurations, {row: have[row] for row in same}, same)
            rollouts, hours = rollouts + drawn, hours + drawn * float(price)
        if rollouts:
            again = max(rows, key=lambda row: self._prices.again[row] * self._prices.rollout[row])
            rollouts += int(self._prices.again[again])
            hours += float(self._prices.again[again] * self._prices.rollout[again])
        return _Probe(rows, problems if rollouts else 0, totals, rollouts, hours)

    def _sizes(self) -> Iterator[int]:
        problems, most = SMALLEST, int(self._most[self._order].max())
        while problems < most:
            yield problems
            problems *= 2
        yield most

    def _probes(self) -> Iterator[_Probe]:
        """Probes of all, and of the more promising half, that leave the hours of a run."""
        half = max(2, -(-len(self._order) // 2), self._runs + 1)
        for size in dict.fromkeys((len(self._order), min(half, len(self._order)))):
            if size >= 2:
                yield from self._grown(tuple(self._order[:size]), self._limits.hours - self._least_run())

    def _grown(self, rows: tuple[int, ...], hours: float) -> Iterator[_Probe]:
        for problems in self._sizes():
            probe = self._probe(rows, problems)
            if probe.rollouts and probe.hours <= hours:
                yield probe

    def _least_run(self) -> float:
        return float(self._prices.run[self._order].min())

    # --- what is known after probes and runs

    def _signal(self, totals: FloatArray | None) -> _Signal:
        """What so many problems of each would show; ``None``: exact gaps."""
        now = self._view.uncertainty()
        moved = now if totals is None else now - self._view.uncertainty(totals)
        shown = np.atleast_2d(np.cov(self._view.predictions(moved), rowvar=False))
        seeds = len(self._cov) // len(shown)
        shown = np.tile(shown, (seeds, seeds))  # a gap is of its configuration, whichever the seed
        half = np.linalg.solve(self._root, np.linalg.solve(self._root, shown).T)
        values, vectors = np.linalg.eigh((half + half.T) / 2)
        # no probe shows more of an outcome than there is
        values = np.clip(values, 0.0, 1.0)
        basis = self._root @ vectors
        mean = (self._white @ vectors) * values + self._shown * np.sqrt(values * (1 - values))
        return _Signal(self._centre + mean @ basis.T, (basis * (1 - values)) @ basis.T)

    def _learned(self, before: _Signal, trained: IndexArray) -> _Learned:
        """What is known once the (m, p) trained runs have ended, each draw's own."""
        rows = np.arange(len(self._outcomes))[:, None]
        seen = self._outcomes[rows, trained] + self._measured[rows, trained]
        told = seen - before.mean[rows, trained]
        own = before.left[trained[:, :, None], trained[:, None, :]] + self._limits.noise * np.eye(trained.shape[1])
        shared = before.left[trained]
        gain = np.linalg.solve(own, shared)
        mean = before.mean + np.einsum("mp,mpq->mq", told, gain)
        var = np.diag(before.left) - np.einsum("mpq,mpq->mq", shared, gain)
        return _Learned(mean, np.maximum(var, 0.0), np.maximum(seen.max(axis=1), self._limits.had))

    # --- plans

    def _after(self, probe: _Probe) -> Iterator[Plan]:
        """Train after a probe: all runs at once, or some in turn."""
        signal = self._signal(probe.totals) if probe.rollouts else self._nothing()
        yield from self._trained(signal, self._runs, probe)
        if not self._limits.learns or not probe.rollouts:
            return  # without a probe, the runs of `_runs_first` are better chosen
        for turn in FIRST:
            if turn < self._runs and self._fits(turn, probe.hours):
                trained = _largest(np.where(self._in, signal.mean, -np.inf), turn)
                yield from self._trained(self._learned(signal, trained), self._runs, probe, trained=trained)

    def _nothing(self) -> _Signal:
        return _Signal(np.broadcast_to(self._centre, self._outcomes.shape), self._cov)

    def _fits(self, runs: int, spent: float) -> bool:
        dearest = np.sort(self._prices.run[self._order])[::-1][:runs].sum()
        return bool(spent + dearest + self._least_run() <= self._limits.hours)

    def _runs_first(self) -> Iterator[Plan]:
        """Train the runs that teach most, then probe those that look best by them, and train the rest."""
        now, first = self._nothing(), tuple[int, ...]()
        upper = self._centre + np.sqrt(np.diag(self._cov))
        hopeful = sorted(self._order, key=lambda row: -upper[row])[:HOPEFUL]
        for number in FIRST:
            if number >= self._runs or not self._fits(number, 0.0):
                return
            first = max(((*first, row) for row in hopeful if row not in first), key=self._taught)
            trained = np.broadcast_to(np.array(first), (len(self._outcomes), number))
            told = self._learned(now, trained)
            yield from self._trained(told, self._runs, self._probe((), 0), trained=trained, first=first)
            others = [row for row in self._order if row not in first]
            spent = float(self._prices.run[list(first)].sum())
            half = max(2, -(-len(others) // 2), self._runs - number + 1)
            for size in dict.fromkeys((len(others), min(half, len(others)))):
                if size < 2:
                    continue
                places = _largest(np.where(self._open(first), told.mean, -np.inf), size)
                for probe in self._grown(tuple(others[:size]), self._limits.hours - spent - self._least_run()):
                    totals = self._have.copy()
                    totals[others] = np.maximum(totals[others], np.minimum(probe.problems, self._most[others]))
                    probed = self._learned(self._signal(totals), trained)
                    both = told._replace(mean=told.mean.copy(), var=told.var.copy())
                    rows = np.arange(len(self._outcomes))[:, None]
                    for of_seed in range(0, len(self._run), len(self._configurations)):
                        both.mean[rows, places + of_seed] = probed.mean[rows, places + of_seed]
                        both.var[rows, places + of_seed] = probed.var[rows, places + of_seed]
                    yield from self._trained(both, self._runs, probe, trained=trained, first=first)

    def _taught(self, first: tuple[int, ...]) -> float:
        trained = np.broadcast_to(np.array(first), (len(self._outcomes), len(first)))
        plans = self._trained(
            self._learned(self._nothing(), trained), self._runs, self._probe((), 0), trained=trained, first=first
        )
        return max((plan.gain for plan in plans), default=-np.inf)

    def _open(self, first: tuple[int, ...]) -> BoolArray:
        found = self._in.copy()
        found[list(first)] = False
        return found

    def _trained(
        self,
        known: _Signal | _Learned,
        runs: int,
        probe: _Probe,
        *,
        trained: IndexArray | None = None,
        first: tuple[int, ...] = (),
        hours: float | None = None,
    ) -> Iterator[Plan]:
        """Plans that train the best, one run more each.

        The first is the one with the largest mean. Each further one is expected to improve most on it, or on the
        outcomes that are known already: one that is unlike it is worth more. It may be another seed of a configuration
        that has one run.

        Args:
            known: before these runs.
            runs: in all, at most.
            probe: the probes before.
            trained: (m, p) runs that have taught.
            first: those of them that were trained before the probes.
            hours: of probes and runs; None: the limit's.
        """
        draws = np.arange(len(self._outcomes))
        score, picks = np.where(self._in, known.mean, -np.inf), list[IndexArray]()
        bar = known.best if isinstance(known, _Learned) else np.full(len(draws), self._limits.had)
        left = np.full(len(draws), (self._limits.hours if hours is None else hours) - probe.hours)
        best, spent, done = np.full(len(draws), self._limits.had), np.zeros(len(draws)), 0
        if trained is not None:
            done = trained.shape[1]
            best = np.maximum(best, self._outcomes[draws[:, None], trained].max(axis=1))
            spent = self._run[trained].sum(axis=1)
            left = left - spent
            self._taken(score, known, trained)
        for number in range(done + 1, runs + 1):
            worth = self._improving(known, score, bar, picks[0] if picks else None)
            possible = np.where(self._run <= left[:, None], worth, -np.inf)
            pick = possible.argmax(axis=1)
            there = np.isfinite(possible[draws, pick])
            if not there.any():
                return
            best = np.where(there, np.maximum(best, self._outcomes[draws, pick]), best)
            price = np.where(there, self._run[pick], 0.0)
            spent, left = spent + price, left - price
            self._taken(score, known, pick[:, None])
            picks.append(pick)
            is_fixed = trained is None and not probe.rollouts
            yield Plan(
                first=first,
                probed=probe.probed if probe.rollouts else (),
                chosen=bool(first) and probe.rollouts > 0 and len(probe.probed) < len(self._order) - len(first),
                problems=probe.problems,
                turn=done - len(first),
                runs=number,
                train=tuple(int(each[0]) % len(self._configurations) for each in picks)
                if is_fixed
                else tuple(row for row in self._order if row not in first),
                rollouts=probe.rollouts,
                probe_hours=probe.hours,
                hours=probe.hours + float(spent.mean()),
                gain=float(best.mean()),
            )

    def _taken(self, score: FloatArray, known: _Signal | _Learned, columns: IndexArray) -> None:
        """Take (m, p) runs from what can still be trained; another seed of theirs can be, now, where there is one."""
        draws = np.arange(len(score))[:, None]
        P = len(self._configurations)
        is_first = np.isfinite(score[draws, columns]) & (columns < P) & self._twice[columns % P]
        score[draws, columns] = -np.inf
        draw, which = np.nonzero(is_first)
        again = columns[draw, which] + P
        score[draw, again] = known.mean[draw, again]

    def _improving(
        self, known: _Signal | _Learned, score: FloatArray, bar: FloatArray, leader: IndexArray | None
    ) -> FloatArray:
        """(m, P) worth of one more run: its mean, or by how much it is expected to be above what is there.

        `score` is the mean of what can still be trained, minus infinity elsewhere. There is `bar` (m,), known outcomes,
        or minus infinity, and then the `leader` (m,) that is being trained.
        """
        draws = np.arange(len(score))
        if np.isfinite(bar[0]):
            var = known.var if isinstance(known, _Learned) else np.diag(known.left)
            ahead = score - bar[:, None]
        elif leader is None or isinstance(known, _Learned):
            return score
        else:
            own = np.diag(known.left)
            var = own + own[leader][:, None] - 2 * known.left[leader]
            ahead = score - known.mean[draws, leader][:, None]
        sd = np.sqrt(np.maximum(var, INSIDE))
        z = np.where(np.isfinite(ahead), ahead, 0.0) / sd
        expected = sd * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
        return np.asarray(np.where(np.isfinite(ahead), expected, -np.inf))

    # --- what the plan is compared with

    def _naive(self) -> float:
        """Every configuration's own probe, or as much of it as the budget leaves, and the first is trained."""
        rows, room = tuple(self._order), self._limits.hours - float(self._prices.run[self._order].max())
        most = int(self._limits.own[self._order].max())
        for problems in (most, *(size for size in reversed(list(self._sizes())) if size < most)):
            totals = self._have.copy()
            totals[self._order] = np.maximum(
                totals[self._order], np.minimum(np.minimum(problems, self._limits.own), self._most)[self._order]
            )
            probe = self._priced(rows, problems, totals)
            if probe.hours <= room or not np.isfinite(room):
                signal = self._signal(probe.totals)
                break
        else:
            signal = self._nothing()
            probe = self._probe((), 0)
        return next(self._trained(signal, 1, probe)).gain

    def _one_more(self, chosen: Plan) -> float:
        """What a run more than the limit would add, after the chosen plan's probes, however long it takes."""
        if chosen.runs < self._limits.runs or chosen.runs >= self._most_runs:
            return 0.0
        probe = self._probe(chosen.probed, chosen.problems)
        signal = self._signal(probe.totals) if probe.rollouts else self._nothing()
        plans = list(self._trained(signal, chosen.runs + 1, probe, hours=np.inf))
        return max(plans[-1].gain - chosen.gain, 0.0)


def _again(outcomes: FloatArray, cov: FloatArray, own: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw a second run of each configuration by the draws of the first: (m, P).

    The two share all of their covariance (P, P) but for ``own``, the diagonal one of what is the run's alone.
    """
    centre = outcomes.mean(axis=0)
    half = np.linalg.solve(cov, own)
    values, vectors = np.linalg.eigh(2 * own - own @ half)
    noise = rng.standard_normal(outcomes.shape) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return np.asarray(outcomes - (outcomes - centre) @ half + noise)


def _effort(plan: Plan) -> tuple[float, bool, float]:
    """Order plans by their hours in two digits; then those come last that wait for runs before they choose others."""
    return float(f"{plan.hours:.2g}"), plan.teaches, plan.hours


def _largest(score: FloatArray, count: int) -> IndexArray:
    """(m, count) places of each row's largest values, the largest first."""
    return np.argsort(-score, axis=1, kind="stable")[:, :count]
