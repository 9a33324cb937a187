"""The joint outlook on all configurations: improvements, and what their exact gaps would say of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from service.deciding.configurations import Configuration, Known
from service.deciding.gaps import Gaps, gaps
from service.law import GapLaw, Probe, predicting
from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray

DRAWS = 4000
"""of improvements: a probability of .95 is known to .004"""
GAP_DRAWS = 2000
"""of what more problems could show; every plan is weighed on the same ones"""
KNOTS = np.array([-2.5, -1.0, 0.0, 1.0, 2.5])
"""standard deviations of a gap at which its prediction is computed: a bent link is nearly straight between them"""
ASKED = ("family", "cell", "teacher", "divergence", "context", "model")


@dataclass(frozen=True, eq=False)
class Outlook:
    """P configurations with what is known of them.

    Attributes:
        mean: (P,) predicted improvements.
        refused: (P,) True where the law refuses to predict.
        draws: (n, P) joint improvements of a run of each, with each likely spread of the true gaps by its probability.
        gaps: the measured gaps, with the spread at its mean square: wider, as what is to be measured asks for.
        prior_precision: (P,) of the gaps that people measure. It is less where a gap is unlike the stored ones.
        centre: (P,) true gaps, given the measured ones. sd: their standard deviations.
        curve: (P, knots) predicted improvement at exact gaps of centre + sd x ``KNOTS``.
        noise: (m, P) standard normal draws.
    """

    mean: FloatArray
    refused: BoolArray
    draws: FloatArray
    gaps: Gaps
    prior_precision: FloatArray
    centre: FloatArray
    sd: FloatArray
    curve: FloatArray
    noise: FloatArray

    def uncertainty(self, problems: FloatArray | None = None) -> FloatArray:
        """(P, P) covariance of the true gaps given the measured ones; with more problems where they are given."""
        n = self.gaps.problems if problems is None else problems
        return np.asarray(np.linalg.inv(self.gaps.precision(n) + np.diag(self.prior_precision)))

    def predictions(self, moved: FloatArray) -> FloatArray:
        """(m, P) predicted improvements when the true gaps' means move with this covariance."""
        values, vectors = np.linalg.eigh((moved + moved.T) / 2)
        at = self.centre + self.noise @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        knots = self.centre[:, None] + self.sd[:, None] * KNOTS
        return np.stack([np.interp(at[:, p], knots[p], self.curve[p]) for p in range(len(self.sd))], axis=1)


def outlook(
    laws: Sequence[GapLaw],
    configurations: Sequence[Configuration],
    known: Sequence[Known | None],
    seeds: np.random.SeedSequence,
) -> Outlook:
    """Predict all configurations jointly; those of different laws share their gaps' errors alone.

    A configuration without a problem has a gap that is not known.
    """
    P = len(configurations)
    own, *of_laws = seeds.spawn(1 + len(laws))
    rng = np.random.default_rng(own)
    found = gaps(known, [each.student for each in configurations])
    gap, cov = found.mean, found.cov
    mean, refused, draws = np.empty(P), np.empty(P, dtype=np.bool_), np.empty((DRAWS, P))
    prior_mean, prior_precision = np.empty(P), np.empty(P)
    parts = _shares(found)
    asked: list[tuple[GapLaw, IndexArray, Probe]] = []
    for index, law in enumerate(laws):
        rows = np.flatnonzero([each.law == index for each in configurations])
        if not len(rows):
            continue
        of_law = rows.tolist()
        mine = [configurations[row] for row in of_law], [known[row] for row in of_law]
        probe = _probe(*mine, gap[rows], cov[rows, rows])
        asked.append((law, rows, probe))
        for (some, mean_of, cov_of), seed in zip(parts, of_laws[index].generate_state(len(parts)), strict=True):
            drawn = _probe(*mine, mean_of[rows], cov_of[rows, rows])
            draws[some, rows] = law.draws(drawn, some.stop - some.start, int(seed), cov_of[np.ix_(rows, rows)])
        predicted = law.predict_improvement(probe)
        refused[rows] = predicted.refused
        mean[rows] = np.where(predicted.refused, draws[:, rows].mean(axis=0), predicted.mean)
        for part in predicting.parts(law.state_, probe):
            exposure, here = part.pool.exposure, rows[part.rows]
            flat = exposure.flat_weight(part.probe.gap, part.probe.gap_var)
            prior_mean[here], prior_precision[here] = exposure.mean, (1 - flat) / exposure.variance
    posterior = np.linalg.inv(found.precision(found.problems) + np.diag(prior_precision))
    centre = posterior @ (found.shift + prior_precision * prior_mean)
    sd = np.sqrt(np.diag(posterior))
    curve = np.empty((P, len(KNOTS)))
    for law, rows, probe in asked:
        curve[rows] = _at_exact_gaps(law, probe, centre[rows, None] + sd[rows, None] * KNOTS)
    noise = rng.standard_normal((GAP_DRAWS, P))
    return Outlook(mean, refused, draws, found, prior_precision, centre, sd, curve, noise)


def _shares(found: Gaps) -> list[tuple[slice, FloatArray, FloatArray]]:
    """Share the draws out among the likely spreads; for each its draws, and mean and covariance of the gaps."""
    weighed = found.by_spread
    edges = np.round(DRAWS * np.cumsum([0.0, *(weight for weight, _ in weighed)])).astype(int)
    pieces = [slice(int(first), int(last)) for first, last in pairwise(edges)]
    return [(piece, one.mean, one.cov) for piece, (_, one) in zip(pieces, weighed, strict=True)]


def run_variance(
    laws: Sequence[GapLaw],
    configurations: Sequence[Configuration],
    known: Sequence[Known | None],
    view: Outlook,
    seeds: np.random.SeedSequence,
) -> FloatArray:
    """Variance of a run's improvement that another run of its configuration, with another seed, does not share: (P,).

    Half the variance of the difference of two runs, drawn at the centre of what is known of their gap: they share the
    law, the context's effect and the gap, and nothing else.
    """
    found = np.empty(len(configurations))
    for index, law in enumerate(laws):
        rows = [row for row, each in enumerate(configurations) if each.law == index]
        if not rows:
            continue
        # a name of its own where there is none: two runs of one configuration share what nothing else does
        named = [
            configurations[row]._replace(
                question={
                    **configurations[row].question,
                    **{
                        name: configurations[row].question.get(name) or f"configuration {row}"
                        for name in ("context", "model")
                    },
                }
            )
            for row in rows
        ]
        probe = _probe(named, [known[row] for row in rows], np.clip(view.centre[rows], -1.0, 1.0), np.zeros(len(rows)))
        twice = probe.take(np.tile(np.arange(len(rows)), 2))
        first, second = np.split(law.draws(twice, DRAWS, int(seeds.generate_state(1)[0])), 2, axis=1)
        found[rows] = (first - second).var(axis=0) / 2
    return found


def _probe(
    configurations: Sequence[Configuration], known: Sequence[Known | None], gap: FloatArray, gap_var: FloatArray
) -> Probe:
    baseline = [np.nan if each is None else each.student for each in known]
    spread = [np.nan if each is None or each.gap_spread is None else each.gap_spread for each in known]
    words: dict[str, Any] = {name: [each.question.get(name) for each in configurations] for name in ASKED}
    return Probe(gap=gap, gap_var=gap_var, baseline=baseline, gap_spread=spread, **words)


def _at_exact_gaps(law: GapLaw, probe: Probe, gap: FloatArray) -> FloatArray:
    """(P, knots) predicted improvements at exact gaps (P, knots)."""
    each = probe.take(np.repeat(np.arange(len(probe)), gap.shape[1]))
    words = {name: getattr(each, name) for name in (*ASKED, "baseline", "baseline_var", "gap_spread")}
    exact = Probe(gap=np.clip(gap, -1.0, 1.0).reshape(-1), gap_var=0.0, **words)
    lowest, highest = predicting.possible(exact)
    return np.clip(predicting.mixture(law.state_, exact).centre, lowest, highest).reshape(gap.shape)
