"""Published baselines, self-teachers and trained students (pairs.csv), row by row.

`class` A is a complete on-policy triple of one model. B is complete but off-policy, hybrid or with another teacher. C
is incomplete. `excluded_why` says why a row of class A is not used. Accuracies are shares. The figures of arXiv
2602.12275 were compared with the paper's own text; those of arXiv 2601.19897 come from two secondary readings.

Papers seldom give standard errors over problems, so those here are assumed. With a baseline p, another accuracy q and
n problems, the variance of q - p is .6 (p (1 - p) + q (1 - q))/n. The covariance of gap and improvement is
.3 p (1 - p)/n. Where the number of rollouts K of each problem is known, both are (1 + 1/K)/2 of that.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "pairs.csv"
USED = "A"
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}

INFERRED = {
    "teacher rule inferred": ("teacher",),
    "self_teacher inferred": ("self_teacher",),
    "baseline and in-context taken": ("baseline", "self_teacher"),
    "n inferred": ("problems",),
}
"""words of the notes that say which numbers a paper does not give itself"""


class Pair(NamedTuple):
    """One published run; accuracies are shares in [0, 1].

    Attributes:
        on: the problems that the improvement was measured on, ``train`` or ``held_out``.
        parameters: number of weights, ``None`` where the model's name does not end in one.
        divergence, rollouts, steps, problems_per_step: ``None`` where not published.
        inferred: numbers that the source does not give itself.
        best_of_run: the trained accuracy is the best of the run, which is biased up.
        thinking: the model reasons before it answers.
    """

    source: str
    table: str
    model: str
    family: str
    parameters: float | None
    task: str
    context_kind: str
    context_name: str
    teacher: str
    divergence: str | None
    on: str
    baseline: float
    self_teacher: float
    trained: float
    gap_se: float
    improvement_se: float
    cov: float
    problems: int
    rollouts: int | None
    steps: int | None
    problems_per_step: int | None
    collapsed: bool
    best_of_run: bool
    inferred: tuple[str, ...]
    thinking: bool
    notes: str

    @property
    def gap(self) -> float:
        """Self-teacher minus student accuracy before training."""
        return round(self.self_teacher - self.baseline, 6)

    @property
    def improvement(self) -> float:
        """Student accuracy after training minus before."""
        return round(self.trained - self.baseline, 6)

    @property
    def cell(self) -> str | None:
        """Family, task and recipe class; ``None`` where the divergence is unknown."""
        return None if self.divergence is None else f"{self.family}|{self.task}|{self.teacher}-{self.divergence}"

    @property
    def name(self) -> str:
        """What tells the row from all others."""
        where = f"{self.source.partition(' (')[0]}:{self.table}"
        return f"{where}:{self.model}:{self.task}:{self.context_name}:{self.teacher}"


def pairs() -> list[Pair]:
    """Read the rows that are used: those of class A without a reason for exclusion."""
    with FILE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == USED and not row["excluded_why"]]
    return [_pair(row) for row in rows]


def _pair(row: dict[str, str]) -> Pair:
    notes, size = row["notes"], re.fullmatch(r"([\d.]+)([KMB])", row["parameters"])
    steps = re.search(r"until step (\d+)|(\d+) steps x batch (\d+)", notes)
    until, number, batch = (None, None, None) if steps is None else steps.groups()
    return Pair(
        source=row["source"],
        table=row["table/figure"],
        parameters=None if size is None else float(size[1]) * UNITS[size[2]],
        **{name: row[name] for name in ("model", "family", "task", "context_kind", "context_name", "teacher")},
        divergence=row["divergence"] or None,
        on=row["split"],
        **{name: float(row[name]) for name in ("baseline", "self_teacher", "trained", "gap_se", "improvement_se")},
        cov=float(row["cov"]),
        problems=int(row["n_problems"]),
        rollouts=int(row["rollouts"]) if row["rollouts"] else None,
        steps=int(until or number) if until or number else None,
        problems_per_step=int(batch) if batch else None,
        collapsed="COLLAPSED" in notes,
        best_of_run="BEST" in notes,
        inferred=tuple(_inferred(notes)),
        thinking="(thinking)" in row["model"],
        notes=notes.removeprefix(f"[{USED}] "),
    )


def _inferred(notes: str) -> Iterator[str]:
    for words, names in INFERRED.items():
        if words in notes:
            yield from names
