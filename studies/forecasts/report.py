"""What the study's runs say of forecasts and of stopping: `python -m studies.forecasts.report`.

Each context is left out of the law and of all curves that its runs are forecast from. The law is made of the other
contexts' runs, those of the study of links among them. Errors are of the measured improvement at the last step, shares.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from service.law.curve import (
    ALPHA,
    BEYOND_LAW,
    BOW,
    STRAYING,
    Cell,
    Forecast,
    T,
    cell,
    forecast,
    lowest,
    rule,
    stopped_at,
)
from service.law.observations import FloatArray
from studies.forecasts.plan import WORLDS
from studies.forecasts.run import stored
from studies.forecasts.seen import Seen, end_var, finished, links, place, rollouts, seen

SHARES = (0.05, 0.10, 0.20, 0.30, 0.50)
OMEGAS = (0.03, 0.06, 0.10)
MIN_GAINS = (0.0, 0.05, 0.10)


class Said(NamedTuple):
    """A distribution of a measured end: a mean, a 95 % interval, and the continuous ranked probability score."""

    mean: float
    lower: float
    upper: float
    crps: float


P = np.arange(1, 200) / 200


def said(mean: float, quantiles: FloatArray, end: float) -> Said:
    """Score by quantiles at `P`: the score is twice the mean of their pinball losses."""
    loss = np.where(end < quantiles, 1 - P, P) * np.abs(end - quantiles)
    lower, upper = np.interp([0.025, 0.975], P, quantiles)
    return Said(mean, float(lower), float(upper), float(2 * loss.mean()))


def of_law(each: Seen) -> Said:
    """Score the law alone."""
    return said(float(each.predicted.centre[0]), each.predicted.quantiles(P)[0], each.end)


def of_both(each: Seen, share: float, omega: float = BEYOND_LAW) -> Said:
    """Score law and curve."""
    after, k = each.after(omega), each.at(share)
    return said(float(after.mean[k]), after.quantiles(P)[k], each.end)


def of_curve(each: Seen, share: float) -> Said:
    """Score the curve alone: the same from a flat prior."""
    after, k = each.after(), each.at(share)
    alone = Forecast(after.alone, after.alone, after.end_var, after.baseline)
    return said(float(alone.mean[k]), alone.quantiles(P)[k], each.end)


def of_rollouts(each: Seen, share: float) -> Said | None:
    """Score the law and the training rollouts' own scores, without any evaluation."""
    curve = rollouts(each.row, share)
    if curve is None:
        return None
    found = forecast(each.before(BEYOND_LAW), each.cell, curve, each.row["baseline"])
    found = Forecast(found.end, found.alone, np.full(len(curve.t), end_var(each.row)), found.baseline)
    return said(float(found.mean[-1]), found.quantiles(P)[-1], each.end)


def scores(every: Iterable[tuple[Seen, Said | None]]) -> str:
    """Return mean absolute error, 95 % coverage and CRPS."""
    pairs = [(each.end, one) for each, one in every if one is not None]
    if not pairs:
        return ""
    error = np.mean([abs(end - one.mean) for end, one in pairs])
    held = np.mean([one.lower <= end <= one.upper for end, one in pairs])
    return f"{error:.3f} {held:.2f} {np.mean([one.crps for _, one in pairs]):.3f}"


def table(name: str, every: Sequence[Seen]) -> None:
    """Print how good forecasts are by the share of the steps that is seen."""
    print(f"\n{name}: {len(every)} runs; mean absolute error, 95 % coverage, CRPS")
    print("| steps seen | law alone | law + curve | curve alone | last value | law + training rollouts |")
    print("|---|---|---|---|---|---|")
    print(f"| 0 | {scores((each, of_law(each)) for each in every)} | | | | |")
    for share in SHARES:
        columns: list[Callable[[Seen, float], Said | None]] = [of_both, of_curve]
        cells = [scores((each, of(each, share)) for each in every) for of in columns]
        last = np.mean([abs(each.curve.gain[each.at(share)] - each.end) for each in every])
        own = scores((each, of_rollouts(each, share)) for each in every)
        print(f"| {100 * share:.0f} % | | {' | '.join(cells)} | {last:.3f} | {own} |")


def stopping(every: Sequence[Seen], least: float, error: float | None, omega: float = BEYOND_LAW) -> str:
    """Stop runs by a rule, and return the share of bad runs' steps that is saved and how many good runs are stopped.

    The threshold of a run is learnt from the good runs of all other contexts; error None: it is `ALPHA`.
    """
    low = [lowest(each.curve.t, each.after(omega).p_above(least)) for each in every]
    saved, wrong, bad, good = 0.0, 0, 0, 0
    for each in every:
        known = [
            one
            for other, one in zip(every, low, strict=True)
            if other.end > least and place(other.row) != place(each.row)
        ]
        at = stopped_at(each.curve.t, each.after(omega).p_above(least), rule(known, error).threshold)
        if each.end > least:
            good, wrong = good + 1, wrong + (at is not None)
        else:
            bad, saved = bad + 1, saved + (0.0 if at is None else 1 - at)
    return f"{saved / max(bad, 1):.2f} of {bad}; {wrong} of {good}"


def summary(of: Cell) -> str:
    """Return what a cell is like: its typical T, bow and straying."""
    straying, time, bow = of.of_each
    return f"T {np.exp(time @ np.log(T)):.2f}, bow {bow @ BOW:+.2f}, straying {straying @ STRAYING:.2f}"


def main() -> None:
    """Print the tables."""
    rows, more = stored(), links()
    every = seen(rows, more)
    print(f"{len(rows)} runs, and {len(more)} without curves for the law")
    ema = [each for each in every if each.row["teacher"] == "ema"]
    frozen = [each for each in every if each.row["teacher"] == "frozen"]
    table("EMA", ema)
    for world in WORLDS:
        table(f"{world}, EMA", [each for each in ema if each.row["world"] == world])
    table("cipher, frozen", frozen)
    print("\nBy omega, EMA: law + curve")
    print(f"| omega | {' | '.join(f'{100 * share:.0f} %' for share in SHARES)} | stopping at .05 |")
    print(f"|---|{'---|' * len(SHARES)}---|")
    for omega in OMEGAS:
        cells = [scores((each, of_both(each, share, omega)) for each in ema) for share in SHARES]
        print(f"| {omega:.2f} | {' | '.join(cells)} | {stopping(every, 0.05, 0.05, omega)} |")
    print("\nStopping: share of the bad runs' steps that is saved; good runs that are stopped")
    print(f"| threshold | {' | '.join(f'bad at or below {least:g}' for least in MIN_GAINS)} |")
    print(f"|---|{'---|' * len(MIN_GAINS)}")
    for error in (0.05, 0.02, None):
        name = f"probability {ALPHA:g}" if error is None else f"learnt, stated error {100 * error:g} %"
        print(f"| {name} | {' | '.join(stopping(every, least, error) for least in MIN_GAINS)} |")
    print("\nWhat the cells say")
    for world, teacher in dict.fromkeys((row["world"], row["teacher"]) for row in rows):
        ours = [finished(row) for row in rows if (row["world"], row["teacher"]) == (world, teacher)]
        print(f"{world}, {teacher}: {len(ours)} runs, {summary(cell(ours))}")


if __name__ == "__main__":
    main()
