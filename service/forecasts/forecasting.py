"""From a law, a cell's curves and a run's looks to a forecast; pure, no database."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapcast.contract.forecasts import Forecast, ForecastAt, KnownCurves, PredictedBefore
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference
from service import law
from service.fits.asked import Asked
from service.fits.laws import Laws, Target
from service.fits.summary import PoolSummary
from service.law import predicting
from service.law.curve import Cell, Curve, forecast, prior

LEVELS = (0.8, 0.95)
UNKNOWN_GAP = Difference(value=0.0, se=0.5)
"""stands for a gap that nobody has measured: the law answers for the gaps that the pool's runs typically have"""


class Run(NamedTuple):
    """A run that has begun.

    Attributes:
        asked: what is trained. steps: of its looks.
        looks: its curve. baseline: its measured accuracy before training.
        gap: None: unknown. cov: covariance of the gap's sampling error with the improvement's.
        predicted: what was predicted of it; None: nothing was.
        min_gain: the improvement that makes it worth it.
    """

    asked: Asked
    steps: Sequence[int]
    looks: Curve
    baseline: float
    gap: Difference | None
    cov: float
    predicted: PredictedBefore | None
    min_gain: float

    @property
    def thinned(self) -> "Run":
        """At most as many looks as a forecast uses."""
        looks = self.looks.thinned
        kept = dict(zip(self.looks.t.tolist(), self.steps, strict=True))
        return self._replace(looks=looks, steps=[kept[share] for share in looks.t.tolist()])


class Speaking(NamedTuple):
    """The laws that speak of a run; `fit_id` None: the published slopes alone do."""

    laws: Laws
    summary: PoolSummary
    pool: str
    fit_id: str | None


def forecast_of(run: Run, speaking: Speaking, known: Cell, run_id: str | None = None) -> Forecast:
    """Forecast a run's end after each of its looks."""
    run = run.thinned
    answering = speaking.laws.answering(Target.TRAIN, run.asked.recipe.steps)
    fitted = answering.law if answering is not None else speaking.laws.whole
    end_var = float(run.looks.var[-1])
    improvement_var = min(end_var + run.looks.baseline_var, 1.0)  # the most that the law takes for a difference
    probe = _probe(run, speaking.summary, improvement_var)
    mixture = predicting.mixture(fitted.state_, probe).merged()
    found = forecast(prior(mixture, improvement_var, end_var, run.baseline), known, run.looks, run.baseline)
    lowest, low, high, highest = found.quantiles([0.025, 0.1, 0.9, 0.975]).T
    above = found.p_above(run.min_gain)
    looks = [
        ForecastAt(
            step=step,
            share=float(run.looks.t[k]),
            improvement=Difference(
                value=float(run.looks.gain[k]), se=float(np.sqrt(run.looks.var[k] + run.looks.baseline_var))
            ),
            expected=float(found.mean[k]),
            intervals=[
                Interval(level=LEVELS[0], lower=float(low[k]), upper=float(high[k])),
                Interval(level=LEVELS[1], lower=float(lowest[k]), upper=float(highest[k])),
            ],
            p_above_min_gain=float(np.clip(above[k], 0.0, 1.0)),
            without_law=Difference(value=float(found.alone_mean[k]), se=float(found.alone_sd[k])),
        )
        for k, step in enumerate(run.steps)
    ]
    return Forecast(
        run_id=run_id,
        steps=run.asked.recipe.steps,
        baseline=run.baseline,
        min_gain=run.min_gain,
        before=run.predicted or _before(run, fitted, probe),
        curves=KnownCurves(runs=known.runs, cold=known.cold),
        now=looks[-1],
        looks=looks,
        pool=speaking.pool,
        fit_id=speaking.fit_id,
    )


def _probe(run: Run, summary: PoolSummary, improvement_var: float) -> law.Probe:
    asked, gap = run.asked, run.gap or UNKNOWN_GAP
    return law.Probe(
        gap=gap.value,
        gap_var=gap.se**2,
        family=asked.family,
        cell=asked.leaf(summary),
        baseline=run.baseline,
        teacher=asked.recipe.law_teacher,
        divergence=asked.recipe.divergence,
        improvement_var=improvement_var,
        cov=float(np.clip(run.cov, -gap.se * improvement_var**0.5, gap.se * improvement_var**0.5)),
        context=asked.context,
        model=asked.model,
        gap_spread=np.nan if asked.gap_spread is None else asked.gap_spread,
    )


def _before(run: Run, fitted: law.GapLaw, probe: law.Probe) -> PredictedBefore:
    """What the law says of a run's gap, where nobody has asked before it began."""
    out = fitted.predict_improvement(probe) if run.gap is not None else None
    if out is None or bool(out.refused):
        return PredictedBefore(prediction_id=None, value=None, intervals=[])
    intervals = []
    for level in LEVELS:
        lower, upper = out.interval(level)
        intervals.append(Interval(level=level, lower=max(float(lower), -1.0), upper=min(float(upper), 1.0)))
    return PredictedBefore(prediction_id=None, value=float(out.mean), intervals=intervals)
