"""Runs the study through the product, and goes on where it stopped.

Start `gapcast serve` and run `python -m studies.links.run`. It measures every model and context with one probe, trains
every cell, and appends each result to a file beside it as soon as it is there.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from gapcast import Client
from gapcast.client import DEFAULT_URL
from studies.links.plan import CELLS, WORLDS, Cell, short

FOLDER = Path(__file__).parent
RUNS, PROBES = FOLDER / "runs.jsonl", FOLDER / "probes.jsonl"

IN_FLIGHT = 4
"""Jobs that wait or run at a time: enough for two workers, few enough to stop at any time."""

PROBE = {"problems": 256, "rollouts": 8, "seed": 1000}
"""No run shares a sample with it."""


def stored(file: Path) -> dict[str, dict[str, Any]]:
    """What a file of the study holds, by id."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {row["id"]: row for row in map(json.loads, lines)}


def keep(file: Path, row: dict[str, Any]) -> None:
    """Append one result."""
    with file.open("a") as out:
        out.write(json.dumps(row) + "\n")


def measured(result: dict[str, Any]) -> dict[str, Any]:
    """What the study keeps of a probe."""
    counts = {arm: result["arms"][arm]["counts"] for arm in ("student", "none", "context")}
    return {"gap": result["gap"], "counts": counts, "log_ratio": result["covariates"]["log_ratio"]}


def observed(row: dict[str, Any]) -> dict[str, Any]:
    """What the study keeps of a run's observation."""
    told = row["provenance"]
    estimates = {name: {part: row[name][part] for part in ("value", "se")} for name in ("gap", "improvement")}
    return {
        **{name: row[name] for name in ("family", "cell", "parameters", "baseline", "cov", "collapsed")},
        **estimates,
        "held_out": told["held_out"]["improvement"],
        "steps": told["steps"],
        "seconds": round(told["cost"]["seconds"], 1),
    }


def ended(client: Client, run_id: str) -> Any:
    """Wait for a run."""
    run = client.training_runs.get(run_id, wait=60)
    while not run.ended:
        run = client.training_runs.get(run_id, wait=60)
    return run


def probe(client: Client) -> Iterator[str]:
    """Measure what no recipe changes: the gap of each model and context, and what else a probe finds."""
    known = stored(PROBES)
    every = [(world, *pair) for world in WORLDS for pair in product(world.models, world.contexts)]
    for world, model, context in every:
        name = f"{short(model)}:{context}"
        if name in known:
            continue
        shown = world.contexts[context]
        request = {"model": {"name": model}, "task": world.task, "context": shown, "probe": PROBE}
        found = client.probes.create(request, wait=60)
        while not found.ended:
            found = client.probes.get(found.id, wait=60)
        result = client.probes.get(found.id).model_dump(mode="json")["result"]
        keep(PROBES, {"id": name, "model": model, "context": context} | measured(result))
        yield f"{name}: {found.status}, gap {result['gap']['value']:+.3f}"


def train(client: Client) -> Iterator[str]:
    """Train the cells that the file lacks, a few at a time."""
    known = stored(RUNS)
    wanted = deque(cell for cell in CELLS if cell.id not in known)
    waiting: deque[tuple[Cell, str]] = deque()
    while wanted or waiting:
        while wanted and len(waiting) < IN_FLIGHT:
            cell = wanted.popleft()
            waiting.append((cell, client.training_runs.create(cell.request, idempotency_key=f"study {cell.id}").id))
        cell, run_id = waiting.popleft()
        run = ended(client, run_id)
        if run.observation_id is None:
            yield f"{cell.id}: {run.status} {run.error}"
            continue
        row = client.observations.get(run.observation_id).model_dump(mode="json")
        keep(RUNS, {"id": cell.id, **cell._asdict()} | observed(row))
        yield f"{cell.id}: gap {row['gap']['value']:+.3f}, improvement {row['improvement']['value']:+.3f}"


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=DEFAULT_URL)
    url = parser.parse_args().url
    began = time.monotonic()
    with Client(url) as client:
        for part in (probe, train):
            for line in part(client):
                print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)


if __name__ == "__main__":
    main()
