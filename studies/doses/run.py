"""Trains the 24 runs of the study, and goes on where it stopped: `python -m studies.doses.run`.

Two contexts x 128 and 512 training problems x three learning rates x all weights and LoRA, 400 steps each, with a look
every 25 steps. `python -m studies.doses.report` writes the table.
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from gapcast.contract.base import JsonObject
from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from workers.engines import folder_revision, model_folder
from workers.lab.models import SMALL
from workers.opsd import run_training
from workers.resources import Resources
from workers.tasks import load_task
from workers.tasks.addition import AdditionTask

RUNS = Path(__file__).parent / "runs.jsonl"
STEPS, EVALUATE_EVERY = 400, 25
EVALUATED = 128
"""training problems on which every look is measured"""
CONTEXTS: dict[str, JsonObject] = {
    "hints, 2 shown": {"kind": "hints", "options": {"level": 2}},
    "reference solution, 80 % covered": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.8}}},
}
PROBLEMS = (128, 512)
LEARNING_RATES = (1e-4, 5e-4, 1.5e-3)
LORA_RANKS = (None, 8)


def plan() -> Iterator[tuple[str, TrainingConfiguration]]:
    """The runs by name."""
    task = load_task(AdditionTask.name)
    for seed, (context, problems, rate, rank) in enumerate(product(CONTEXTS, PROBLEMS, LEARNING_RATES, LORA_RANKS)):
        yield (
            f"{context}|{problems}|{rate:g}|{'full' if rank is None else 'lora'}",
            TrainingConfiguration(
                model=SMALL.name,
                model_revision=folder_revision(model_folder(SMALL.name)),
                task=task.name,
                task_revision=task.revision,
                context=context_of(CONTEXTS[context]),
                template_version=TEMPLATE_VERSION,
                recipe=Recipe(steps=STEPS, learning_rate=rate, lora_rank=rank),
                decoding=Decoding(),
                problems=problems,
                evaluation_problems=EVALUATED,
                rollouts=4,
                held_out_problems=0,
                seed=1000 + seed,
                options=TrainingOptions(stop_on_collapse=False, export="none", evaluate_every=EVALUATE_EVERY),
            ),
        )


def stored() -> dict[str, dict[str, Any]]:
    """The runs that are done, by name."""
    lines = RUNS.read_text().splitlines() if RUNS.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def main() -> None:
    """Train what is missing."""
    known = stored()
    for name, configuration in plan():
        if name in known:
            continue
        result = run_training(configuration, Resources.read(configuration.model, {}), lambda event: None)
        row = {
            "name": name,
            "baseline": result.baseline,
            "gap": {"value": result.gap.value, "se": result.gap.se},
            "collapsed": result.collapsed,
            "curve": [
                [one.step, one.improvement.value, one.improvement.se, one.cov] for one in result.evaluations or ()
            ],
            "seconds": round(result.cost.seconds, 1),
        }
        with RUNS.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(
            f"{name}: gap {row['gap']['value']:+.3f}, improvement {row['curve'][-1][1]:+.3f}, {row['seconds']} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
