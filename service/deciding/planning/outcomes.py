"""What runs will bring, and what probes and other runs tell of it: all plans are valued on these draws (adr 24).

Outcomes are the law's joint draws. Probes show a part of them: the posterior means after more problems, whose
covariance ``Outlook`` gives. A run shows its own outcome, and the others' by their covariance with it. A second run of
a configuration, with another seed, is an outcome of its own that shares all but the run's own noise with the first.
"""

from typing import NamedTuple

import numpy as np

from service.deciding.outlook import Outlook
from service.law.leaves import IndexArray
from service.law.observations import FloatArray

INSIDE = 1e-9
"""of the largest variance, added to each: outcomes that are one another's copies"""
SEEDS = 2
"""runs of one configuration, at most: a third is worth little beside the first two"""


class Signal(NamedTuple):
    """What probes show.

    Attributes:
        mean: (m, P) posterior means.
        left: (P, P) covariance of the outcomes given them.
    """

    mean: FloatArray
    left: FloatArray


class Learned(NamedTuple):
    """What runs have told, by draw.

    Attributes:
        mean: (m, P) posterior means.
        var: (m, P) variances of the outcomes given them.
        best: (m,) the largest measured improvement.
    """

    mean: FloatArray
    var: FloatArray
    best: FloatArray


class Outcomes:
    """The outcomes of runs: column seed x P + configuration.

    Attributes:
        draws: (m, seeds x P) improvements.
        centre: (seeds x P,) their means. cov: (seeds x P, seeds x P) their covariance.

    Args:
        view: what is known of the configurations.
        apart: (P,) variance of a run's improvement that another run of its configuration does not share; None: one run
            of each.
        noise: sampling variance of a run's measured improvement.
        had: improvement by a run that has ended; minus infinity without one.
        seed: of the draws.
    """

    def __init__(self, view: Outlook, apart: FloatArray | None, noise: float, had: float, seed: int) -> None:
        self._view, self._noise, self._had = view, noise, had
        P, seeds = view.draws.shape[1], 1 if apart is None else SEEDS
        rng = np.random.default_rng(np.random.SeedSequence([seed, P]))
        self.draws = view.draws
        cov = np.atleast_2d(np.cov(view.draws, rowvar=False))
        inside = INSIDE * max(float(np.diag(cov).max()), INSIDE)
        if apart is not None:
            cov = cov + inside * np.eye(P)
            own = np.diag(np.clip(apart, inside, np.diag(cov)))
            # the covariance of the draws must hold all of the runs' own noise; by luck it falls short
            own /= max(1.0, float(np.linalg.norm(np.linalg.solve(np.linalg.cholesky(cov), np.sqrt(own)), 2)) ** 2)
            self.draws = np.hstack([view.draws, _again(view.draws, cov, own, rng)])
            cov = np.block([[cov, cov - own], [cov - own, cov]])
        self.centre = np.tile(view.draws.mean(axis=0), seeds)
        self.cov = cov + inside * np.eye(len(cov))
        self._root = np.linalg.cholesky(self.cov)
        self._white = np.linalg.solve(self._root, (self.draws - self.centre).T).T
        self._shown = rng.standard_normal(self.draws.shape)
        self._measured = rng.standard_normal(self.draws.shape) * noise**0.5
        self._shown_early = rng.standard_normal(self.draws.shape)

    def nothing(self) -> Signal:
        """What is known before any probe or run."""
        return Signal(np.broadcast_to(self.centre, self.draws.shape), self.cov)

    def signal(self, totals: FloatArray | None) -> Signal:
        """What so many problems of each would show; ``None``: exact gaps."""
        now = self._view.uncertainty()
        moved = now if totals is None else now - self._view.uncertainty(totals)
        shown = np.atleast_2d(np.cov(self._view.predictions(moved), rowvar=False))
        seeds = len(self.cov) // len(shown)
        shown = np.tile(shown, (seeds, seeds))  # a gap is of its configuration, whichever the seed
        half = np.linalg.solve(self._root, np.linalg.solve(self._root, shown).T)
        values, vectors = np.linalg.eigh((half + half.T) / 2)
        # no probe shows more of an outcome than there is
        values = np.clip(values, 0.0, 1.0)
        basis = self._root @ vectors
        mean = (self._white @ vectors) * values + self._shown * np.sqrt(values * (1 - values))
        return Signal(self.centre + mean @ basis.T, (basis * (1 - values)) @ basis.T)

    def learned(self, before: Signal, trained: IndexArray) -> Learned:
        """What is known once the (m, p) trained runs have ended, each draw's own."""
        rows = np.arange(len(self.draws))[:, None]
        seen = self.draws[rows, trained] + self._measured[rows, trained]
        told = seen - before.mean[rows, trained]
        own = before.left[trained[:, :, None], trained[:, None, :]] + self._noise * np.eye(trained.shape[1])
        shared = before.left[trained]
        gain = np.linalg.solve(own, shared)
        mean = before.mean + np.einsum("mp,mpq->mq", told, gain)
        var = np.diag(before.left) - np.einsum("mpq,mpq->mq", shared, gain)
        return Learned(mean, np.maximum(var, 0.0), np.maximum(seen.max(axis=1), self._had))

    def piloted(self, before: Signal, runs: IndexArray, noise: float) -> FloatArray:
        """Expected ends (m, p) of these (m, p) runs after their pilots, which show each run's own end.

        Args:
            before: what is known before.
            runs: those, each draw's own.
            noise: variance of an end as a pilot shows it.
        """
        rows = np.arange(len(self.draws))[:, None]
        seen = self.draws[rows, runs] + self._shown_early[rows, runs] * noise**0.5
        known = before.mean[rows, runs]
        own = before.left[runs[:, :, None], runs[:, None, :]]
        told = np.linalg.solve(own + noise * np.eye(runs.shape[1]), (seen - known)[:, :, None])
        return np.asarray(known + (own @ told)[:, :, 0])


def _again(outcomes: FloatArray, cov: FloatArray, own: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw a second run of each configuration by the draws of the first: (m, P).

    The two share all of their covariance (P, P) but for ``own``, the diagonal one of what is the run's alone.
    """
    centre = outcomes.mean(axis=0)
    half = np.linalg.solve(cov, own)
    values, vectors = np.linalg.eigh(2 * own - own @ half)
    noise = rng.standard_normal(outcomes.shape) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return np.asarray(outcomes - (outcomes - centre) @ half + noise)
