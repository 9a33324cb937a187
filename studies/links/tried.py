"""What else was tried on the study's runs: other priors, other rows, other pools, each with the same runs left out.

Run `python -m studies.links.tried`: it prints the rows of docs/measurements.md, "What was tried" and "Both worlds in
one pool", in half a minute of one core.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, product
from typing import Any
from unittest.mock import patch

import numpy as np

from service.law import grid, priors
from studies.links.report import GROUPS, MIXTURE, Judged, Row, figures, law_of, left_out, recipe_of
from studies.links.run import RUNS, stored

Judge = Callable[[Sequence[Row], Callable[[Row], str]], list[Judged]]
WORLDS = {"lab-cipher-qwen3": "cipher", "lab-qwen3": "addition"}


@contextmanager
def changed(intercept: float = priors.INTERCEPT_SD, **of_grid: Any) -> Iterator[None]:
    """Let the law have another prior of its intercept and another grid for a while."""
    starts = [start.__func__ for start in (grid.Grid.coarse, grid.Grid.thin)]
    another = {"SIGMA": grid.SIGMA, **of_grid}
    with patch.multiple(grid, **another), patch.object(priors, "INTERCEPT_SD", intercept):
        for start in starts:
            start.cache_clear()
        yield
    for start in starts:
        start.cache_clear()


def by_rule(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Judged]:
    """All runs in one pool, as the product would have them."""
    return left_out(rows, group, MIXTURE)


def apart(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Judged]:
    """Each recipe in a pool of its own."""
    ordered = sorted(rows, key=recipe_of)
    return [one for _, some in groupby(ordered, recipe_of) for one in left_out(list(some), group, MIXTURE)]


def averaged(rows: Sequence[Row]) -> list[Row]:
    """One row for all seeds of a configuration; those that collapsed only where no other has not."""
    name = ("model", "teacher", "divergence", "context")

    def configuration(row: Row) -> tuple[str, ...]:
        return tuple(row[part] for part in name)

    found = []
    for _, some in groupby(sorted(rows, key=configuration), configuration):
        every = list(some)
        kept = [row for row in every if not row["collapsed"]] or every
        means = {
            axis: {
                "value": float(np.mean([row[axis]["value"] for row in kept])),
                "se": float(np.sum([row[axis]["se"] ** 2 for row in kept])) ** 0.5 / len(kept),
            }
            for axis in ("gap", "improvement")
        }
        cov = sum(row["cov"] for row in kept) / len(kept) ** 2
        found.append({**kept[0], **means, "cov": cov, "baseline": float(np.mean([row["baseline"] for row in kept]))})
    return found


def one_row_a_configuration(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Judged]:
    """The law sees averages, and is asked for single runs."""
    return left_out(rows, group, MIXTURE, lambda seen, links: law_of(averaged(seen), links))


def said(judged: Sequence[Judged]) -> str:
    """95 % coverage, width, mean absolute error, log density."""
    found = figures(judged)
    return f"{found['95 %']:.2f}, {found['width']:.3f}, {found['MAE']:.3f} ({found['log density']:.0f})"


def line_of(rows: Sequence[Row], judge: Judge) -> str:
    """One thing that was tried: worlds, what is left out, and teachers in turn."""
    cells = []
    for family, (name, group) in product(WORLDS, GROUPS.items()):
        judged = judge([row for row in rows if row["family"] == family], group)
        for teacher in ("ema", "frozen"):
            some = [one for one in judged if one.row["teacher"] == teacher]
            cells.append(f"{WORLDS[family]} {teacher}, {name}: {said(some)}")
    return "\n  ".join(cells)


WIDE = {"intercept": 0.1, "TAU0": np.array([0.0005, 0.01, 0.03, 0.06, 0.1]), "TAU0_SCALE": 0.05}


def main() -> None:
    """Print."""
    rows = list(stored(RUNS).values())
    tried: dict[str, tuple[dict[str, Any], Judge]] = {
        "sigma to .12": ({"SIGMA": np.geomspace(0.003, 0.12, 12)}, by_rule),
        "sigma to .3": ({}, by_rule),
        "sigma to .3, a wider intercept": (WIDE, by_rule),
        "sigma to .3, one row for all seeds": ({}, one_row_a_configuration),
        "sigma to .3, each divergence a pool of its own": ({}, apart),
    }
    print("95 % coverage, width, mean absolute error (log density) of runs that were left out")
    for name, (values, judge) in tried.items():
        with changed(**values):
            print(f"{name}\n  {line_of(rows, judge)}", flush=True)
    judged = by_rule(rows, GROUPS["context"])
    print("both worlds in one pool")
    for family, teacher in product(WORLDS, ("ema", "frozen")):
        some = [one for one in judged if (one.row["family"], one.row["teacher"]) == (family, teacher)]
        print(f"  {WORLDS[family]} {teacher}, context: {said(some)}")


if __name__ == "__main__":
    main()
