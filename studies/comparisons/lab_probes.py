"""Measures the lab probes that comparisons are resampled from: `python -m studies.comparisons.lab_probes`.

Three worlds of eight contexts each, all 512 training problems x 8 rollouts; what is stored already is not measured
again. The counts of a problem stand in the order of its task.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gapcast.contract.base import JsonObject
from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration
from workers.engines import folder_revision, model_folder
from workers.lab.models import CIPHER, MEDIUM, SMALL
from workers.probe import run_probe
from workers.resources import Resources
from workers.tasks import Split, load_task

PROBES = Path(__file__).parent / "lab_probes.jsonl"
ROLLOUTS = 8


class World(NamedTuple):
    """A lab model with its task and the contexts that compete.

    Attributes:
        contexts: by name.
    """

    model: str
    task: str
    contexts: dict[str, JsonObject]


def _hints(level: int, **corruption: float) -> JsonObject:
    return {"kind": "hints", "options": {"level": level, **({"corruption": corruption} if corruption else {})}}


def _solution(**corruption: float) -> JsonObject:
    return {"kind": "reference_solution", "options": {"corruption": corruption}}


STORED = {
    "hints 1": _hints(1),
    "hints 2": _hints(2),
    "hints 3": _hints(3),
    "hints 3, 60 %": _hints(3, coverage=0.6),
    "feedback": {"kind": "feedback"},
    "solution, 25 %": _solution(coverage=0.25),
    "solution, 50 %": _solution(coverage=0.5),
    "solution, half wrong": _solution(rate=0.5),
}
"""Contexts of which the lab's pool has runs."""
NEW = {
    "hints 2, 70 %": _hints(2, coverage=0.7),
    "hints 2, 20 % wrong": _hints(2, rate=0.2),
    "hints 3, 50 %": _hints(3, coverage=0.5),
    "hints 3, 80 %": _hints(3, coverage=0.8),
    "hints 4, 30 %": _hints(4, coverage=0.3),
    "solution, 40 %": _solution(coverage=0.4),
    "solution, 60 %": _solution(coverage=0.6),
    "solution, 40 % wrong": _solution(rate=0.4),
}
"""Contexts of which it has none."""
RULES = {
    "hints 1": _hints(1),
    "hints 2": _hints(2),
    "hints 3": _hints(3),
    "hints 3, 50 %": _hints(3, coverage=0.5),
    "hints 4, 25 %": _hints(4, coverage=0.25),
    "hints 4, 50 %": _hints(4, coverage=0.5),
    "hints 4, 25 % wrong": _hints(4, rate=0.25),
    "feedback": {"kind": "feedback"},
}
"""Contexts of another world, of whose family the pool has no run."""
WORLDS = {
    "addition, stored contexts": World(SMALL.name, "lab/addition", STORED),
    "addition, new contexts": World(MEDIUM.name, "lab/addition", NEW),
    "cipher, new family": World(CIPHER.name, "lab/cipher", RULES),
}


def plan() -> Iterator[tuple[str, str, ProbeConfiguration]]:
    """The probes by world and context."""
    for world, (model, task_name, contexts) in WORLDS.items():
        task = load_task(task_name)
        problems = len(list(task.problems(Split.train)))
        for name, context in contexts.items():
            yield (
                world,
                name,
                ProbeConfiguration(
                    model=model,
                    model_revision=folder_revision(model_folder(model)),
                    task=task.name,
                    task_revision=task.revision,
                    context=context_of(context),
                    template_version=TEMPLATE_VERSION,
                    decoding=Decoding(),
                    problems=problems,
                    rollouts=ROLLOUTS,
                    seed=0,
                    controls=[],
                ),
            )


def stored() -> list[dict[str, Any]]:
    """The probes that are done."""
    return [json.loads(line) for line in PROBES.read_text().splitlines()] if PROBES.exists() else []


def main() -> None:
    """Measure what is missing; the student's rollouts are drawn once a world."""
    torch.set_num_threads(1)
    done = {(row["world"], row["context"]) for row in stored()}
    with tempfile.TemporaryDirectory() as folder:
        for world, name, asked in plan():
            if (world, name) in done:
                continue
            resources = Resources.read(asked.model, {"rollouts": str(Path(folder) / "rollouts.sqlite")})
            result = run_probe(asked, resources, lambda event: None)
            ids = result.problem_ids or []
            counts = {}
            for arm in ("student", "context"):
                by_id = dict(zip(ids, result.arms[arm].counts or [], strict=True))
                counts[arm] = [by_id[each] for each in sorted(by_id)]
            row = {"world": world, "context": name, "model": asked.model, "rollouts": ROLLOUTS, "counts": counts}
            with PROBES.open("a") as out:
                out.write(json.dumps(row, separators=(",", ":")) + "\n")
            print(f"{world} | {name}: gap {result.gap.value:+.3f} ± {result.gap.se:.3f}", flush=True)


if __name__ == "__main__":
    main()
