"""Which runs are trained, given what is known before them, and what the best of them brings."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr

from service.deciding.planning.outcomes import INSIDE, Learned, Outcomes, Signal
from service.deciding.planning.plans import Limits, Plan, Prices
from service.deciding.planning.probing import Probe
from service.law.leaves import IndexArray
from service.law.observations import FloatArray


class Training:
    """Chooses runs.

    Attributes:
        order: configurations that can still be trained, the most promising first.
        most: runs that there are at all; runs: within the limit.
        price: (seeds x P,) hours of a run.

    Args:
        outcomes: of all runs.
        prices: of P configurations.
        limits: of the budget.
        trained: configurations of the runs that have ended.
    """

    def __init__(self, outcomes: Outcomes, prices: Prices, limits: Limits, trained: Sequence[int]) -> None:
        self._outcomes, self._limits = outcomes, limits
        self._P = P = len(prices.run)
        seeds = len(outcomes.centre) // P
        self.price = np.tile(prices.run, seeds)
        left = seeds - np.bincount(np.array(trained, dtype=int), minlength=P)
        self._in = np.arange(seeds * P) < P
        self._in[:P] = left > 0
        self._twice = left > 1  # False everywhere where each has one seed
        self.order = [int(row) for row in np.argsort(-outcomes.centre[:P], kind="stable") if self._in[row]]
        self.most = int(np.maximum(left, 0).sum())
        self.runs = min(limits.runs, self.most)

    def least(self) -> float:
        """Hours of the cheapest run."""
        return float(self.price[self.order].min())

    def fits(self, runs: int, spent: float) -> bool:
        """True if any so many runs and one more are within the limit, after these hours."""
        dearest = np.sort(self.price[self.order])[::-1][:runs].sum()
        return bool(spent + dearest + self.least() <= self._limits.hours)

    def best(self, mean: FloatArray, count: int, but: Sequence[int] = ()) -> IndexArray:
        """(m, count) runs that can be trained with the largest means, the largest first; not those of ``but``."""
        is_open = self._in.copy()
        is_open[list(but)] = False
        return np.argsort(-np.where(is_open, mean, -np.inf), axis=1, kind="stable")[:, :count]

    def plans(
        self,
        known: Signal | Learned,
        runs: int,
        probe: Probe,
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
        draws = np.arange(len(self._outcomes.draws))
        score, picks = np.where(self._in, known.mean, -np.inf), list[IndexArray]()
        bar = known.best if isinstance(known, Learned) else np.full(len(draws), self._limits.had)
        left = np.full(len(draws), (self._limits.hours if hours is None else hours) - probe.hours)
        best, spent, done = np.full(len(draws), self._limits.had), np.zeros(len(draws)), 0
        if trained is not None:
            done = trained.shape[1]
            best = np.maximum(best, self._outcomes.draws[draws[:, None], trained].max(axis=1))
            spent = self.price[trained].sum(axis=1)
            left = left - spent
            self._taken(score, known, trained)
        for number in range(done + 1, runs + 1):
            worth = self._improving(known, score, bar, picks[0] if picks else None)
            possible = np.where(self.price <= left[:, None], worth, -np.inf)
            pick = possible.argmax(axis=1)
            there = np.isfinite(possible[draws, pick])
            if not there.any():
                return
            best = np.where(there, np.maximum(best, self._outcomes.draws[draws, pick]), best)
            price = np.where(there, self.price[pick], 0.0)
            spent, left = spent + price, left - price
            self._taken(score, known, pick[:, None])
            picks.append(pick)
            is_fixed = trained is None and not probe.rollouts
            yield Plan(
                first=first,
                probed=probe.probed if probe.rollouts else (),
                chosen=bool(first) and probe.rollouts > 0 and len(probe.probed) < len(self.order) - len(first),
                problems=probe.problems,
                turn=done - len(first),
                runs=number,
                train=tuple(int(each[0]) % self._P for each in picks)
                if is_fixed
                else tuple(row for row in self.order if row not in first),
                rollouts=probe.rollouts,
                probe_hours=probe.hours,
                hours=probe.hours + float(spent.mean()),
                gain=float(best.mean()),
            )

    def _taken(self, score: FloatArray, known: Signal | Learned, columns: IndexArray) -> None:
        """Take (m, p) runs from what can still be trained; another seed of theirs can be, now, where there is one."""
        draws = np.arange(len(score))[:, None]
        P = self._P
        is_first = np.isfinite(score[draws, columns]) & (columns < P) & self._twice[columns % P]
        score[draws, columns] = -np.inf
        draw, which = np.nonzero(is_first)
        again = columns[draw, which] + P
        score[draw, again] = known.mean[draw, again]

    def _improving(
        self, known: Signal | Learned, score: FloatArray, bar: FloatArray, leader: IndexArray | None
    ) -> FloatArray:
        """(m, P) worth of one more run: its mean, or by how much it is expected to be above what is there.

        `score` is the mean of what can still be trained, minus infinity elsewhere. There is `bar` (m,), known outcomes,
        or minus infinity, and then the `leader` (m,) that is being trained.
        """
        draws = np.arange(len(score))
        if np.isfinite(bar[0]):
            var = known.var if isinstance(known, Learned) else np.diag(known.left)
            ahead = score - bar[:, None]
        elif leader is None or isinstance(known, Learned):
            return score
        else:
            own = np.diag(known.left)
            var = own + own[leader][:, None] - 2 * known.left[leader]
            ahead = score - known.mean[draws, leader][:, None]
        sd = np.sqrt(np.maximum(var, INSIDE))
        z = np.where(np.isfinite(ahead), ahead, 0.0) / sd
        expected = sd * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
        return np.asarray(np.where(np.isfinite(ahead), expected, -np.inf))
