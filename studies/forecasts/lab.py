"""What the lab pool's runs say of forecasts: `python -m studies.forecasts.lab`.

36 runs of one frozen cell, 12 contexts. The runs of each context are forecast from the law and the curves of the other
33. Errors are mean absolute ones of the measured improvement at the last step, as shares. LIVE asks for a comparison of
three values of omega, by which the law's prediction is widened.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapcast.contract.contexts import context_key
from gapcast.contract.recipes import cell_of
from gapcast.contract.training_results import TrainedRun
from service.law import GapLaw, Observations, Probe, predicting
from service.law.curve import BEYOND_LAW, Curve, Finished, Forecast, cell, forecast, prior, threshold
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray
from service.observations.service import shipped

SHARES = (0.1, 0.2, 0.3, 0.5)
"""of the steps, where the runs are looked at"""
OMEGAS = (0.03, 0.06, 0.10)
FIRST, LAST = 0.05, 0.75
"""shares of the steps between which a run may be stopped"""
ALPHA = 0.10
"""the threshold that is used where none can be learnt"""
MIN_GAINS = (0.0, 0.05, 0.10)
ENDS = [0.025, 0.975]
"""of the 95 % interval"""


def context(run: TrainedRun) -> str | None:
    """Return the key of what the self-teacher was shown."""
    asked = run.configuration
    return context_key(asked.context, asked.template_version, asked.task_revision)


def law_of(runs: Sequence[TrainedRun]) -> GapLaw:
    """Fit the law to these runs."""
    ends = [run.outcome for run in runs]
    recipes = [run.configuration.recipe for run in runs]
    observations = Observations(
        gap=[end.gap.value for end in ends],
        gap_var=[end.gap.se**2 for end in ends],
        improvement=[end.improvement.value for end in ends],
        improvement_var=[end.improvement.se**2 for end in ends],
        cov=[end.cov for end in ends],
        family=[run.family for run in runs],
        cell=[cell_of(run.family, run.configuration.task, run.configuration.recipe) for run in runs],
        baseline=[end.baseline for end in ends],
        teacher=[recipe.law_teacher for recipe in recipes],
        divergence=[recipe.divergence for recipe in recipes],
        context=[context(run) for run in runs],
        model=[run.configuration.model for run in runs],
    )
    return GapLaw().fit(observations)


def looks(run: TrainedRun) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return shares of the steps, improvements and their standard errors."""
    seen = run.outcome.evaluations or []
    rows = [(each.step / run.configuration.recipe.steps, each.improvement.value, each.improvement.se) for each in seen]
    t, gain, se = np.array(rows).T
    return t, gain, se


def finished(run: TrainedRun) -> Finished:
    """Return a run as others learn from it."""
    end = run.outcome.improvement
    found = Finished.of_improvements(*looks(run), end.value, end.se)
    if found is None:
        raise ValueError(f"{run.external_id} has no look before its end")
    return found


class Seen(NamedTuple):
    """A run that was forecast by a law and curves that do not know its context."""

    run: TrainedRun
    predicted: NormalMixture
    curve: Curve
    after: Forecast

    @property
    def end(self) -> float:
        """Its measured improvement."""
        return self.run.outcome.improvement.value

    def at(self, share: float) -> int:
        """The place of its look at a share of the steps."""
        return int(np.flatnonzero(np.isclose(self.curve.t, share))[0])

    def looked(self, least: float) -> tuple[FloatArray, FloatArray]:
        """Shares of the steps at which it could be stopped, and its probabilities of ending above `least` there."""
        able = (self.curve.t >= FIRST) & (self.curve.t <= LAST)
        return self.curve.t[able], self.after.p_above(least)[able]


def seen(runs: Sequence[TrainedRun], omega: float) -> list[Seen]:
    """Forecast every run."""
    found = []
    for name in dict.fromkeys(map(context, runs)):
        others = [run for run in runs if context(run) != name]
        law, of_cell = law_of(others), cell([finished(run) for run in others])
        for run in runs:
            if context(run) != name:
                continue
            outcome, recipe = run.outcome, run.configuration.recipe
            var = outcome.improvement.se**2
            probe = Probe(
                gap=outcome.gap.value,
                gap_var=outcome.gap.se**2,
                family=run.family,
                cell=cell_of(run.family, run.configuration.task, recipe),
                baseline=outcome.baseline,
                teacher=recipe.law_teacher,
                divergence=recipe.divergence,
                improvement_var=var,
                cov=outcome.cov,
                context=name,
                model=run.configuration.model,
            )
            predicted = predicting.mixture(law.state_, probe).merged()
            curve = Curve.of_improvements(*looks(run))
            before = prior(predicted, var, var / 2, outcome.baseline, omega)
            found.append(Seen(run, predicted, curve, forecast(before, of_cell, curve, outcome.baseline)))
    return found


def score(each: Seen, share: float) -> list[float]:
    """Score one run at a share of its steps.

    Returns:
        Errors of the law alone, of the last value, of law and curve; 1 where the law's 95 % interval holds the end, and
        where that of law and curve does; the width of the latter.
    """
    k, end = each.at(share), each.end
    of_law, (lower, upper) = each.predicted.quantiles(ENDS)[0], each.after.quantiles(ENDS)[k]
    return [
        abs(float(each.predicted.centre[0]) - end),
        abs(each.curve.gain[k] - end),
        abs(each.after.mean[k] - end),
        float(of_law[0] <= end <= of_law[1]),
        float(lower <= end <= upper),
        upper - lower,
    ]


def stopped(every: Sequence[Seen], least: float, error: float | None) -> tuple[float, int, int]:
    """Stop runs whose probability of ending above `least` falls below a threshold.

    Args:
        every: the runs.
        least: the gain below which a run is bad.
        error: of the threshold that is learnt from the good runs of all other contexts; None: `ALPHA` is the threshold.

    Returns:
        Share of the bad runs' steps that is saved, good runs that are stopped, and good runs.
    """
    saved, wrong, bad = 0.0, 0, 0
    lowest = [(context(each.run), float(each.looked(least)[1].min())) for each in every if each.end > least]
    for each in every:
        learnt = [low for name, low in lowest if name != context(each.run)]
        limit = ALPHA if error is None else threshold(learnt, error)
        t, above = each.looked(least)
        below = t[above < (ALPHA if limit is None else limit)]
        bad += each.end <= least
        if len(below) and each.end > least:
            wrong += 1
        elif len(below):
            saved += 1 - float(below[0])
    return saved / bad, wrong, len(lowest)


def main() -> None:
    """Print the tables."""
    runs = shipped()
    print(f"{len(runs)} runs, {len(set(map(context, runs)))} contexts, each left out; omega {BEYOND_LAW}")
    print("| share of the steps | gap alone | last value | law + curve | 95 % coverage: gap alone | law + curve |")
    print("|---|---|---|---|---|---|")
    every = {omega: seen(runs, omega) for omega in OMEGAS}
    found = {
        omega: [np.mean([score(each, share) for each in of_omega], axis=0).tolist() for share in SHARES]
        for omega, of_omega in every.items()
    }
    for share, (of_law, last, both, in_law, in_both, _) in zip(SHARES, found[BEYOND_LAW], strict=True):
        print(f"| {100 * share:.0f} % | {of_law:.3f} | {last:.3f} | {both:.3f} | {in_law:.2f} | {in_both:.2f} |")
    print("\nBy omega: mean absolute error, 95 % coverage and width of law + curve")
    print(f"| omega |{'|'.join(f' {100 * share:.0f} % ' for share in SHARES)}|")
    print(f"|---|{'---|' * len(SHARES)}")
    for omega, rows in found.items():
        cells = (f" {both:.3f} {held:.2f} {width:.2f} " for _, _, both, _, held, width in rows)
        print(f"| {omega:.2f} |{'|'.join(cells)}|")
    print(
        "\nStopping at looks from 5 to 75 % of the steps: steps of bad runs saved; good runs stopped of all good ones"
    )
    print(f"| threshold |{'|'.join(f' bad below {least:g} ' for least in MIN_GAINS)}|")
    print(f"|---|{'---|' * len(MIN_GAINS)}")
    for error in (0.05, None):
        name = f"probability {ALPHA:g}" if error is None else f"learnt, stated error {100 * error:g} %"
        cells = (" {:.2f}; {} of {} ".format(*stopped(every[BEYOND_LAW], least, error)) for least in MIN_GAINS)
        print(f"| {name} |{'|'.join(cells)}|")


if __name__ == "__main__":
    main()
