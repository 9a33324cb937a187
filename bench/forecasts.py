"""What a forecast costs: a look beside the training steps that it stands between, and a pool's cells once a fit.

The run is of the lab's smallest model on one thread, as `python -m studies.forecasts.run` trains it, with looks at
every tenth of the steps. A look is the forecast after the newest evaluation with all that came before it; the law is
asked once a run.
"""

import time
from statistics import median

import numpy as np

from gapcast.contract.probes import Difference
from service.forecasts.forecasting import Forecaster, Run, Standing
from service.law import GapLaw
from service.law.curve import Curve, Finished, Grounds, evidence, known
from studies.forecasts.run import stored
from studies.forecasts.seen import finished, law_of, links, looks, question

GATE = 0.01
"""of the seconds of the steps between two looks"""
TENTHS = 10
"""looks of a run by default"""
FINISHED = 1_000
"""runs of one cell"""
CELL_GATE = 5.0
"""seconds for their evidence, once a fit: as a full refit of the law may take"""


def look_seconds(standing: Standing, run: Run) -> tuple[float, float]:
    """Return seconds for the first look of a run, at which the law is asked, and the median of the later ones."""
    forecaster, spent = Forecaster(standing), []
    for count in range(1, len(run.steps) + 1):
        so_far = run._replace(steps=run.steps[:count], looks=run.looks.take(np.arange(count)))
        began = time.thread_time()
        forecaster.forecast(so_far)
        spent.append(time.thread_time() - began)
    return spent[0], median(spent[1:])


def of_study() -> tuple[Standing, Run, float]:
    """Return a run of the study, what its forecasts stand on, and its seconds between two of ten looks."""
    rows = [row for row in stored() if (row["world"], row["teacher"]) == ("addition", "ema")]
    row, curve = rows[0], looks(rows[0])
    law: GapLaw = law_of(rows + links())
    of_cell = known(len(rows), [evidence(finished(one)) for one in rows])
    tenth = curve.take(np.arange(1, len(curve.t), 2))
    gap = row["gap"]
    run = Run([round(t * row["steps"]) for t in tenth.t], tenth, row["baseline"], Difference(**gap), row["cov"])
    standing = Standing(Grounds(law, question(row), of_cell), row["steps"], 0.05, None, "bench", None)
    return standing, run, min(one["seconds"] for one in rows) / TENTHS  # the slower ones shared their core


def cell_seconds() -> float:
    """Return seconds for the cell of many finished runs with ten looks."""
    rng = np.random.default_rng(0)
    t = np.arange(1, 10) / 10
    runs = [
        Finished(Curve(t, 0.2 * t + rng.normal(0, 0.03, 9), np.full(9, 5e-4), 5e-4), 0.2 + rng.normal(0, 0.05), 5e-4)
        for _ in range(FINISHED)
    ]
    began = time.thread_time()
    known(len(runs), [evidence(run) for run in runs])
    return time.thread_time() - began


def main() -> None:
    """Print the table."""
    standing, run, between = of_study()
    look_seconds(standing, run)
    first, later = look_seconds(standing, run)
    cell = cell_seconds()
    print("forecasts | measured | gate | holds")
    print("---|---|---|---")
    share = later / between
    print(f"a look, of the {between:.1f} s since the one before | {share:.4f} | {GATE} | {share <= GATE}")
    print(f"a run's first look, which asks the law | {1000 * first:.0f} ms | |")
    print(f"the cell of {FINISHED:,} finished runs, once a fit | {cell:.2f} s | {CELL_GATE} s | {cell <= CELL_GATE}")


if __name__ == "__main__":
    main()
