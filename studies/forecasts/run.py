"""Trains the runs of the study, and goes on where it stopped: `python -m studies.forecasts.run`.

104 runs with 20 looks each (`plan`), appended one by one to `runs.jsonl`; `python -m studies.forecasts.report` writes
the tables. Beside the looks it keeps what the training rollouts themselves score, paired with each problem's baseline.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import TrainingResult
from studies.forecasts.plan import Planned, plan
from workers.engines import folder_revision, model_folder
from workers.opsd import run_training
from workers.opsd.replicas import SharedSampler
from workers.resources import Resources
from workers.sampling.arms import Rows
from workers.tasks import Problem, load_task

RUNS = Path(__file__).parent / "runs.jsonl"


class Scored:
    """All scores of a run, in the order in which they were drawn."""

    def __init__(self) -> None:
        self.tables: list[tuple[list[str], np.ndarray[Any, Any]]] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what the run's sampler verifies."""
        verified = SharedSampler.verified

        def kept(sampler: SharedSampler, problems: Sequence[Problem], samples: Any) -> Rows:
            rows = verified(sampler, problems, samples)
            scores = np.array([[rollout.verdict.score for rollout in row] for row in rows], dtype=np.float64)
            self.tables.append(([problem.id for problem in problems], scores))
            return rows

        SharedSampler.verified = kept  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            SharedSampler.verified = verified  # type: ignore[method-assign]


def within(scores: np.ndarray[Any, Any]) -> float:
    """Return the variance of one rollout around its problem's accuracy, mean over the problems."""
    return float(scores.var(axis=1, ddof=1).mean())


def passes(
    scored: Scored, configuration: TrainingConfiguration, result: TrainingResult
) -> list[tuple[float, float, float]]:
    """Pool the rollouts of every pass over the problems: (mean step, score over the baseline, variance within)."""
    recipe = configuration.recipe
    before = dict(zip(result.problem_ids or [], (result.counts.before if result.counts else []), strict=True))
    steps = [(ids, scores) for ids, scores in scored.tables if len(ids) == recipe.problems_per_step]
    if len(steps) != recipe.steps:
        raise ValueError(f"{len(steps)} tables of rollouts in {recipe.steps} steps")
    each = configuration.problems // recipe.problems_per_step
    found = []
    for first in range(0, recipe.steps - each + 1, each):
        pooled = steps[first : first + each]
        base = np.array([before[name] / configuration.rollouts for ids, _ in pooled for name in ids])
        scores = np.concatenate([table for _, table in pooled])
        found.append((first + (each + 1) / 2, float((scores.mean(axis=1) - base).mean()), within(scores)))
    return found


def looks(
    scored: Scored, configuration: TrainingConfiguration, result: TrainingResult
) -> list[tuple[int, float, float, float, float]]:
    """Return each look: step, improvement, its standard error, its covariance with the gap, variance within."""
    tables = iter([scores for ids, scores in scored.tables if len(ids) == configuration.evaluated])
    found = []
    for one in result.evaluations or []:
        table = next(scores for scores in tables if abs(scores.mean() - one.accuracy) < 1e-12)
        gain = one.improvement
        found.append((one.step, gain.value, gain.se, one.cov or 0.0, within(table)))
    return found


def row_of(planned: Planned, configuration: TrainingConfiguration, result: TrainingResult, scored: Scored) -> Any:
    """Return what the study keeps of a run."""
    first = next(scores for ids, scores in scored.tables if len(ids) == configuration.evaluated)
    return {
        "name": planned.name,
        **planned._asdict(),
        "steps": result.steps,
        "baseline": result.baseline,
        "baseline_within": round(within(first), 5),
        "gap": {"value": result.gap.value, "se": result.gap.se},
        "improvement": {"value": result.improvement.value, "se": result.improvement.se},
        "cov": result.cov,
        "collapsed": result.collapsed,
        "curve": [[step, *(round(value, 6) for value in rest)] for step, *rest in looks(scored, configuration, result)],
        "passes": [[round(value, 5) for value in one] for one in passes(scored, configuration, result)],
        "seconds": round(result.cost.seconds, 1),
    }


def stored() -> list[dict[str, Any]]:
    """The runs that are done."""
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def main() -> None:
    """Train what is missing."""
    known = {row["name"] for row in stored()}
    for planned in plan():
        if planned.name in known:
            continue
        task = load_task(planned.task.task)
        configuration = planned.configuration(folder_revision(model_folder(planned.model)), task.revision)
        scored = Scored()
        with scored.listening():
            result = run_training(configuration, Resources.read(configuration.model, {}), lambda event: None)
        row = row_of(planned, configuration, result, scored)
        with RUNS.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(
            f"{planned.name}: gap {result.gap.value:+.3f}, end {row['curve'][-1][1]:+.3f}, {row['seconds']} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
