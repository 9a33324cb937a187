"""Small training runs, each in one process here and in several under `torchrun -m tests.support.ranks FOLDER ALONE`."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gapcast.contract.training import TrainingConfiguration
from tests.support.training import MODEL, Told, configuration_of
from workers.opsd import run_training
from workers.opsd.world import ALONE, World
from workers.resources import Resources
from workers.tasks import load_task


@dataclass(frozen=True)
class Case:
    """What a run has that the others have not."""

    recipe: dict[str, Any]
    options: dict[str, Any]
    context: dict[str, Any]


def case(context: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **recipe: Any) -> Case:
    return Case(recipe, options or {}, context or {"kind": "reference_solution"})


HALF = {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}}
CASES = {
    "frozen": case(divergence="reverse_kl", top_k=8),
    "ema": case(teacher="ema", ema_rate=0.25),
    "lora-ema": case(teacher="ema", ema_rate=0.25, lora_rank=4),
    "lora-frozen": case(lora_rank=4, skip_tokens=1),
    "trust-region": case(teacher="trust_region", divergence="js", weight_decay=0.1),
    "lora-trust-region": case(teacher="trust_region", lora_rank=4, options={"gradient_checkpointing": True}),
    "micro-batches": case(teacher="ema", options={"micro_batch": 1, "gradient_checkpointing": True}),
    # one process has two passes a step and the other one
    "uneven": case(problems_per_step=3, group_size=1, options={"micro_batch": 1}),
    # two rollouts a step, of which often one or none has a context: some process has nothing to learn
    "idle": case(HALF, problems_per_step=2, group_size=1),
    "best": case(options={"export": "best", "evaluate_every": 1}),
    "bfloat16": case(teacher="ema", options={"precision": "bfloat16"}),
    "bfloat16-lora": case(lora_rank=4, options={"precision": "bfloat16"}),
}
ROUGH = ("bfloat16", "bfloat16-lora")
RESUMED = ("ema", "lora-ema")
STEPS = 6
MIDDLE = "checkpoints/step_4"


def configuration(name: str, processes: int) -> TrainingConfiguration:
    one = CASES[name]
    often = {"evaluate_every": STEPS, "checkpoint_every": 2, "stop_on_collapse": False, "processes": processes}
    return configuration_of(
        load_task("lab/addition"), one.context, {"steps": STEPS, **one.recipe}, {**often, **one.options}
    )


def run(name: str, folder: Path, world: World = ALONE, checkpoint: Path | None = None) -> Told:
    """Runs a case from its beginning or from a checkpoint; leaves checkpoints and the trained model in the folder."""
    told = Told()
    places = replace(
        Resources.read(MODEL, {}),
        checkpoint_folder=folder / "checkpoints",
        export_folder=folder / "model",
        checkpoints=(checkpoint,) if checkpoint else (),
    )
    told.result = run_training(
        configuration(name, world.size), places, lambda *line: told.events.append(line), world=world
    )
    return told


def main() -> None:
    """All cases, and then those that go on from checkpoints that one process has written, at `ALONE/{case}`."""
    folder, alone = map(Path, sys.argv[1:])
    world = World.join()
    runs = {name: run(name, folder / name, world) for name in CASES}
    for name in RESUMED:
        runs[f"{name}-resumed"] = run(name, folder / f"{name}-resumed", world, alone / name / MIDDLE)
    if world.first:
        metrics = {name: told.of("training.metrics") for name, told in runs.items()}
        results = {name: told.result for name, told in runs.items()}
        (folder / "told.json").write_text(json.dumps({"metrics": metrics, "results": results}))
    World.leave()


if __name__ == "__main__":
    main()
