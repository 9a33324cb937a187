"""From a law, a cell's curves and a run's looks to a forecast; pure: a worker's child uses it without a database."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gapcast.contract.forecasts import AppliedRule, Forecast, ForecastAt, ForecastGiven, KnownCurves, PredictedBefore
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference
from gapcast.contract.training_results import Evaluation, RolloutLook
from service.law.curve import Begun, Curve, Grounds, Rule

LEVELS = (0.8, 0.95)
UNKNOWN_GAP = Difference(value=0.0, se=0.5)
"""stands for a gap that nobody has measured: the law answers for the gaps that the pool's runs typically have"""


class Run(NamedTuple):
    """A run that has begun.

    Attributes:
        steps: of its looks. looks: its curve.
        baseline: its measured accuracy before training.
        gap: None: unknown.
        cov: covariance of the gap's sampling error with the improvement's.
        end_var: sampling variance that its end will be measured with; None: that of its first look.
    """

    steps: Sequence[int]
    looks: Curve
    baseline: float
    gap: Difference | None
    cov: float
    end_var: float | None = None

    @classmethod
    def of(
        cls,
        baseline: float,
        gap: Difference,
        evaluations: Sequence[Evaluation],
        steps: int,
        rollout_looks: Sequence[RolloutLook] = (),
    ) -> "Run":
        """Read the looks, one at least, of a run of so many steps: evaluations and passes of its own rollouts."""
        both: list[Evaluation | RolloutLook] = [*evaluations, *rollout_looks]
        looks = sorted(both, key=lambda look: look.step)
        gains = [one.improvement for one in looks]
        curve = Curve.of_improvements(
            [one.step / steps for one in looks], [gain.value for gain in gains], [gain.se for gain in gains]
        )
        known = Difference(value=gap.value, se=gap.se)
        if not evaluations:
            return cls([one.step for one in looks], curve, baseline, known, 0.0)
        first = evaluations[0]  # its end is measured like this one, and its baseline was
        var = first.improvement.se**2 / 2
        curve = curve._replace(baseline_var=var)
        return cls([one.step for one in looks], curve, baseline, known, first.cov or 0.0, var)

    @property
    def thinned(self) -> "Run":
        """At most as many looks as a forecast uses."""
        looks = self.looks.thinned
        kept = dict(zip(self.looks.t.tolist(), self.steps, strict=True))
        return self._replace(looks=looks, steps=[kept[share] for share in looks.t.tolist()])


class Standing(NamedTuple):
    """What the forecasts of a run stand on.

    Attributes:
        grounds: the law, the question to it, and the run's cell.
        steps: of the whole run.
        min_gain: the improvement that makes it worth it.
        predicted: what was predicted of it; None: nothing was.
        pool, fit_id: whose law it is; `fit_id` None: the published slopes alone speak.
        rule: None: the run is not to be stopped.
    """

    grounds: Grounds
    steps: int
    min_gain: float
    predicted: PredictedBefore | None
    pool: str
    fit_id: str | None
    rule: AppliedRule | None = None

    @property
    def given(self) -> ForecastGiven:
        """The same for a child, as JSON values."""
        return ForecastGiven(
            grounds=self.grounds.to_record(), **{name: getattr(self, name) for name in self._fields[1:]}
        )

    @classmethod
    def read(cls, given: ForecastGiven) -> "Standing":
        """Read what `given` wrote.

        Raises:
            ValueError: another version of the law wrote it.
        """
        return cls(Grounds.from_record(given.grounds), **{name: getattr(given, name) for name in cls._fields[1:]})

    def stops(self, at: ForecastAt) -> bool:
        """Return True if the rule stops the run at this look."""
        if self.rule is None:
            return False
        rule = Rule(**self.rule.model_dump(exclude={"min_gain"}))
        return rule.stops(at.share, at.p_above_min_gain, is_cold=self.grounds.cell.cold)


class Forecaster:
    """Forecasts one run; the law is asked at the first look alone, as later ones change nothing of its answer."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._asked: tuple[Any, ...] | None = None

    def forecast(self, run: Run, run_id: str | None = None) -> Forecast:
        """Forecast the end after each look so far, one at least; `run` is the same one at every call."""
        run, standing = run.thinned, self._standing
        if self._asked is None:
            gap = run.gap or UNKNOWN_GAP
            begun = Begun(run.baseline, gap.value, gap.se**2, run.cov)
            end_var = float(run.looks.var[0]) if run.end_var is None else run.end_var
            baseline_var = run.looks.baseline_var
            self._asked = (
                standing.grounds.begin(begun, end_var, baseline_var),
                standing.predicted or _before(run, standing.grounds, begun, end_var + baseline_var),
            )
        expected, before = self._asked
        found = expected.after(run.looks)
        lowest, low, high, highest = found.quantiles([0.025, 0.1, 0.9, 0.975]).T
        above = found.p_above(standing.min_gain)
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
        known = standing.grounds.cell
        return Forecast(
            run_id=run_id,
            steps=standing.steps,
            baseline=run.baseline,
            min_gain=standing.min_gain,
            before=before,
            curves=KnownCurves(runs=known.runs, cold=known.cold),
            now=looks[-1],
            looks=looks,
            pool=standing.pool,
            fit_id=standing.fit_id,
        )


def _before(run: Run, grounds: Grounds, begun: Begun, improvement_var: float) -> PredictedBefore:
    """What the law says of a run's gap, where nobody has asked before it began."""
    probe = grounds.probe(begun, min(improvement_var, 1.0))
    out = grounds.law.predict_improvement(probe) if run.gap is not None else None
    if out is None or bool(out.refused):
        return PredictedBefore(prediction_id=None, value=None, intervals=[])
    intervals = []
    for level in LEVELS:
        lower, upper = out.interval(level)
        intervals.append(Interval(level=level, lower=max(float(lower), -1.0), upper=min(float(upper), 1.0)))
    return PredictedBefore(prediction_id=None, value=float(out.mean), intervals=intervals)
