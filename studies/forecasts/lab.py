"""What the lab pool's runs say of forecasts: `python -m studies.forecasts.lab`.

36 runs of one frozen cell, 12 contexts. The runs of each context are forecast from the law and the curves of the other
33. Errors are mean absolute ones of the measured improvement at the last step, as shares. LIVE asks for a comparison of
three values of omega, by which the law's prediction is widened.
"""

from collections.abc import Sequence

import numpy as np

from gapcast.contract.contexts import context_key
from gapcast.contract.recipes import cell_of
from gapcast.contract.training_results import TrainedRun
from service.law import GapLaw, Observations, Probe, predicting
from service.law.curve import BEYOND_LAW, Curve, Finished, cell, forecast, prior
from service.law.observations import FloatArray
from service.observations.service import shipped

SHARES = (0.1, 0.2, 0.3, 0.5)
"""of the steps, where the runs are looked at"""
OMEGAS = (0.03, 0.06, 0.10)
ENDS = [0.025, 0.975]
"""of the 95 % interval"""


def context(run: TrainedRun) -> str:
    """Return the key of what the self-teacher was shown."""
    return context_key(run.configuration.context)


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


def left_out(runs: Sequence[TrainedRun], name: str, omega: float) -> FloatArray:
    """Forecast the runs of one context from all others: (runs, shares, 6).

    The last axis: error of the law alone, of the last value, of law and curve; 1 where the law's 95 % interval holds
    the end, and where that of law and curve does; the width of the latter.
    """
    law = law_of([run for run in runs if context(run) != name])
    of_cell = cell([finished(run) for run in runs if context(run) != name])
    found = []
    for run in runs:
        if context(run) != name:
            continue
        outcome, recipe = run.outcome, run.configuration.recipe
        end, var = outcome.improvement.value, outcome.improvement.se**2
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
        after = forecast(before, of_cell, curve, outcome.baseline)
        alone, of_law, of_both = float(predicted.centre[0]), predicted.quantiles(ENDS)[0], after.quantiles(ENDS)
        at = [int(np.flatnonzero(np.isclose(curve.t, share))[0]) for share in SHARES]
        found.append(
            [
                [
                    abs(alone - end),
                    abs(curve.gain[k] - end),
                    abs(after.mean[k] - end),
                    of_law[0] <= end <= of_law[1],
                    of_both[k, 0] <= end <= of_both[k, 1],
                    of_both[k, 1] - of_both[k, 0],
                ]
                for k in at
            ]
        )
    return np.array(found, dtype=np.float64)


def scores(runs: Sequence[TrainedRun], omega: float) -> FloatArray:
    """Average over all runs, each context left out: (shares, 6)."""
    parts = [left_out(runs, name, omega) for name in dict.fromkeys(map(context, runs))]
    return np.asarray(np.concatenate(parts).mean(axis=0))


def main() -> None:
    """Print both tables."""
    runs = shipped()
    print(f"{len(runs)} runs, {len(set(map(context, runs)))} contexts, each left out; omega {BEYOND_LAW}")
    print("| share of the steps | gap alone | last value | law + curve | 95 % coverage: gap alone | law + curve |")
    print("|---|---|---|---|---|---|")
    found = {omega: scores(runs, omega) for omega in OMEGAS}
    for share, (of_law, last, both, in_law, in_both, _) in zip(SHARES, found[BEYOND_LAW].tolist(), strict=True):
        print(f"| {100 * share:.0f} % | {of_law:.3f} | {last:.3f} | {both:.3f} | {in_law:.2f} | {in_both:.2f} |")
    print("\nBy omega: mean absolute error, 95 % coverage and width of law + curve")
    print(f"| omega |{'|'.join(f' {100 * share:.0f} % ' for share in SHARES)}|")
    print(f"|---|{'---|' * len(SHARES)}")
    for omega, rows in found.items():
        cells = (f" {both:.3f} {held:.2f} {width:.2f} " for _, _, both, _, held, width in rows.tolist())
        print(f"| {omega:.2f} |{'|'.join(cells)}|")


if __name__ == "__main__":
    main()
