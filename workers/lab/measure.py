"""Measures the lab pool: one OPSD run for every configuration of a fixed list, nothing left out afterwards."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gapcast.atomic import write_atomically
from gapcast.contract.base import JsonObject
from gapcast.contract.contexts import TEMPLATE_VERSION, Context, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.recipes import Recipe, cell_of
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from gapcast.contract.training_results import TrainedRun
from workers.engines import folder_revision, model_folder
from workers.lab.models import FAMILY, MEDIUM, SMALL
from workers.opsd import run_training
from workers.resources import Resources
from workers.tasks import load_task
from workers.tasks.addition import AdditionTask

POOL = "lab"

PROBLEMS, ROLLOUTS = 128, 4
"""The default probe's size. A standard error of the gap of about .03 against gaps from 0 to .65."""

HELD_OUT_PROBLEMS = 64
"""Only reported beside the improvement: half the size keeps the whole pool within 15 minutes on one core."""

CONTEXTS: Sequence[tuple[str, JsonObject]] = (
    ("none", {"kind": "none"}),
    ("static", {"kind": "static"}),
    ("hints-1", {"kind": "hints", "options": {"level": 1}}),
    ("hints-2", {"kind": "hints", "options": {"level": 2}}),
    ("hints-3", {"kind": "hints", "options": {"level": 3}}),
    ("hints-4", {"kind": "hints", "options": {"level": 4}}),
    ("feedback", {"kind": "feedback"}),
    ("solution-coverage-25", {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.25}}}),
    ("solution-coverage-50", {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}}),
    ("solution-coverage-80", {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.8}}}),
    ("hints-3-coverage-60", {"kind": "hints", "options": {"level": 3, "corruption": {"coverage": 0.6}}}),
    ("solution-corrupted-50", {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}}),
)
"""Contexts graded by what they tell, by the share of problems that get one, and by how many are wrong (OPSD.md)."""

SEEDS: Mapping[str, Sequence[int]] = {SMALL.name: (0, 1), MEDIUM.name: (0,)}
"""Seeds by model; the larger one costs twice as much a run."""


Row = JsonObject
"""An observation as the pool's file holds it: configuration and outcome beside its names."""


@dataclass(frozen=True)
class Run:
    """One run of the list."""

    model: str
    label: str
    context: Context
    seed: int

    @property
    def external_id(self) -> str:
        """Names the run for ever: a second import of the same run changes nothing."""
        return f"{self.model.replace('/', '-')}:{self.label}:seed-{self.seed}"


def runs() -> list[Run]:
    """The list, first seeds first."""
    return [
        Run(model, label, context_of(context), seeds[repetition])
        for repetition in range(max(map(len, SEEDS.values())))
        for model, seeds in SEEDS.items()
        if repetition < len(seeds)
        for label, context in CONTEXTS
    ]


def measure_pool(out: Path, report: Callable[[str], None]) -> None:
    """Runs what `out` does not hold yet, writes it after every run, and reports the line through all observations."""
    rows: list[Row] = json.loads(out.read_text()) if out.exists() else []
    measured = [TrainedRun.read(row) for row in rows]
    known = {run.external_id for run in measured}
    wanted = runs()
    for number, run in enumerate(wanted, start=1):
        if run.external_id in known:
            report(f"{number}/{len(wanted)} {run.external_id}: already measured, skipped")
            continue
        measured.append(measure(run))
        rows.append(row_of(measured[-1]))
        _write(out, rows)
        report(f"{number}/{len(wanted)} {describe(measured[-1])}")
    report(line_through(measured))


def measure(run: Run) -> TrainedRun:
    """One training run with its result."""
    task, recipe = load_task(AdditionTask.name), Recipe()
    configuration = TrainingConfiguration(
        model=run.model,
        model_revision=folder_revision(model_folder(run.model)),
        task=task.name,
        task_revision=task.revision,
        context=run.context,
        group_size=recipe.group_size if run.context.needs_group else None,
        template_version=TEMPLATE_VERSION,
        recipe=recipe,
        decoding=Decoding(),
        problems=PROBLEMS,
        rollouts=ROLLOUTS,
        held_out_problems=HELD_OUT_PROBLEMS,
        seed=run.seed,
        # a look every tenth of the steps: each draws samples of its own, and none ends the run before its last step
        options=TrainingOptions(stop_on_collapse=False, export="none"),
    )
    result = run_training(configuration, Resources.read(run.model, {}), lambda event: None)
    return TrainedRun(
        external_id=run.external_id,
        pool=POOL,
        source="lab",
        family=FAMILY,
        configuration=configuration,
        outcome=result,
    )


def row_of(run: TrainedRun) -> Row:
    """One observation with its provenance, as the pool's file holds it."""
    asked = run.configuration
    return {
        **{name: getattr(run, name) for name in ("external_id", "pool", "source", "family")},
        "cell": cell_of(run.family, asked.task, asked.recipe),
        **asked.model_dump(mode="json"),
        # what an outcome has; a worker's result says more, of which some grows with problems and steps
        **run.model_dump(mode="json")["outcome"],
    }


def describe(run: TrainedRun) -> str:
    """One observation in one line."""
    outcome = run.outcome
    gap, improvement = outcome.gap, outcome.improvement
    return (
        f"{run.external_id}: baseline {outcome.baseline:.3f}  gap {gap.value:+.3f} ± {gap.se:.3f}  "
        f"improvement {improvement.value:+.3f} ± {improvement.se:.3f}  {outcome.cost.seconds:.0f} s"
    )


def line_through(runs: Sequence[TrainedRun]) -> str:
    """Ordinary least squares through all observations, as the paper draws it; the service fits its own law."""
    x = np.array([run.outcome.gap.value for run in runs])
    y = np.array([run.outcome.improvement.value for run in runs])
    slope, intercept = np.polyfit(x, y, 1)
    r2 = 1 - np.var(y - intercept - slope * x) / np.var(y)
    seconds = sum(run.outcome.cost.seconds for run in runs)
    return f"{len(runs)} runs in {seconds:.0f} s: slope {slope:.3f}  intercept {intercept:+.3f}  R2 {r2:.3f}"


def _write(out: Path, rows: Sequence[Row]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, json.dumps(rows, indent=1) + "\n")  # an interrupted measurement leaves the last whole file
