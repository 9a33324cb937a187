"""The published runs as observations.

Run `python -m studies.published.pool`: it writes service/observations/published_pool.json from pairs.csv.
"""

import json
from pathlib import Path
from typing import Any, get_args

import service.observations
from gapcast.contract.recipes import Teacher
from studies.published.pairs import Pair, pairs

FILE = Path(service.observations.__path__[0]) / "published_pool.json"


def observation(pair: Pair) -> dict[str, Any]:
    """A row as `POST /v1/observations` takes it."""
    size = {"problems": pair.problems, "rollouts": pair.rollouts, "variance": "assumed", "thinking": pair.thinking}
    gain = {"value": pair.improvement, "se": pair.improvement_se, **size}
    on_train = {"improvement": gain, "cov": pair.cov}
    on_held_out = {"held_out": {**gain, "baseline": pair.baseline}}
    known = {"steps": pair.steps, "problems_per_step": pair.problems_per_step}
    recipe = {"teacher": pair.teacher, "divergence": pair.divergence, **known} if pair.divergence else None
    row = {
        "external_id": pair.name,
        "pool": "published",
        "source": "published",
        "family": pair.family,
        "model": pair.model,
        "parameters": pair.parameters,
        "task": pair.task,
        "context_kind": pair.context_kind,
        "context_name": pair.context_name,
        "recipe": recipe,
        "baseline": pair.baseline,
        "gap": {"value": pair.gap, "se": pair.gap_se, **size},
        **(on_train if pair.on == "train" else on_held_out),
        "collapsed": pair.collapsed,
        "provenance": {
            "source": pair.source,
            "table": pair.table,
            "notes": pair.notes,
            "inferred": list(pair.inferred),
            "best_of_run": pair.best_of_run,
            "decoding": {"thinking": pair.thinking},
            "teacher": pair.teacher,
        },
    }
    return _without_none(row)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return value


def rows() -> list[dict[str, Any]]:
    """All rows whose teacher the contract knows."""
    return [observation(pair) for pair in pairs() if pair.teacher in get_args(Teacher)]


if __name__ == "__main__":
    FILE.write_text(json.dumps(rows(), indent=1, ensure_ascii=False) + "\n")
