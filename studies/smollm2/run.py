"""Trains the study's runs and goes on where it stopped: `python -m studies.smollm2.run FOLDER [CONTEXT ...]`.

FOLDER holds `text`, which `studies.smollm2.unpack --text` has made; the task, checkpoints, events and results go beside
it. Each run becomes a row of service/observations/smollm2_pool.json, whatever it says. Several processes may train
other contexts at the same time.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import service.observations
from gapcast.atomic import write_atomically
from gapcast.contract.base import JsonObject
from gapcast.contract.events import EventData, TrainingProgress
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import TrainedRun
from studies.smollm2.plan import CONTEXTS, FAMILY, MODEL, PARAMETERS, plan, write_task
from workers.lab.measure import describe, row_of
from workers.opsd import run_training
from workers.resources import Resources

POOL = "smollm2"
FILE = Path(service.observations.__path__[0]) / "smollm2_pool.json"


def train(name: str, configuration: TrainingConfiguration, folder: Path) -> TrainedRun:
    """One run; a run that was killed goes on from its newest checkpoint."""
    checkpoints = folder / "checkpoints" / name.replace(":", "-")
    newest = sorted(checkpoints.glob("step_*"), key=lambda path: int(path.name.removeprefix("step_")), reverse=True)
    content: JsonObject = {
        "source": {"name": MODEL, "path": str(folder / "text")},
        "task_folder": str(folder / "task"),
        "rollouts": str(folder / "rollouts.sqlite"),
        "checkpoints": [str(path) for path in newest],
        "checkpoint_folder": str(checkpoints),
    }

    def emit(event: EventData) -> None:
        if not isinstance(event, TrainingProgress):
            row: dict[str, Any] = {"run": name, "at": time.time(), "event": event.type, "data": event.written()}
            with (folder / f"{name.replace(':', '-')}.events.jsonl").open("a") as out:
                out.write(json.dumps(row) + "\n")

    result = run_training(configuration, Resources.read(MODEL, content), emit)
    return TrainedRun(
        external_id=name,
        pool=POOL,
        source="study",
        family=FAMILY,
        parameters=PARAMETERS,
        configuration=configuration,
        outcome=result,
    )


def collect(folder: Path) -> None:
    """Write the pool from the results that are there."""
    names = (name for name, _ in plan(folder / "text", folder / "task"))
    files = (result_of(folder, name) for name in names)
    rows = [json.loads(file.read_text()) for file in files if file.exists()]
    write_atomically(FILE, json.dumps(rows, indent=1) + "\n")


def result_of(folder: Path, name: str) -> Path:
    """Return the file of a run's row."""
    return folder / f"{name.replace(':', '-')}.json"


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(prog="python -m studies.smollm2.run", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("contexts", nargs="*", metavar="CONTEXT", choices=[*CONTEXTS, []], help="default: all")
    asked = parser.parse_args()
    folder = asked.folder
    if not (folder / "task" / "task.json").exists():
        write_task(folder / "task")
    for name, configuration in plan(folder / "text", folder / "task"):
        if result_of(folder, name).exists() or (asked.contexts and name.split(":")[1] not in asked.contexts):
            continue
        run = train(name, configuration, folder)
        write_atomically(result_of(folder, name), json.dumps(row_of(run) | {"parameters": PARAMETERS}))
        print(describe(run), flush=True)
    collect(folder)


if __name__ == "__main__":
    main()
