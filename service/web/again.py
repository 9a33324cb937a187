"""The same question once more, to be copied: as YAML, for the command, for curl and for Python."""

import json
import pprint
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from gapcast.contract.comparisons import ComparisonRequest
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import Z95, ImportedConfiguration, ProbeOut, ProbeRequest
from gapcast.contract.recommendations import RecommendationRequest
from gapcast.contract.training import TrainingRunRequest
from gapcast.contract.training_results import TrainingRunOut

WIDTH = 90


class Way(NamedTuple):
    """One way to ask, and its text."""

    id: str
    name: str
    text: str


def ways_to_predict(server: str, request: PredictionRequest) -> list[Way]:
    """Return how to ask for the same prediction."""
    return _ways(server, request, "predictions", "gapcast predict -")


def ways_to_compare(server: str, request: ComparisonRequest) -> list[Way]:
    """Return how to ask for the same comparison."""
    return _ways(server, request, "comparisons", "gapcast compare -")


def ways_to_recommend(server: str, request: RecommendationRequest) -> list[Way]:
    """Return how to ask for the same recommendation."""
    return _ways(server, request, "recommendations", "gapcast recommend -")


def ways_to_train(server: str, run: TrainingRunOut) -> list[Way]:
    """Return how to ask for the same run with the next seed: its own seed is taken."""
    of = run.configuration
    numbers = of.model_dump(include={"problems", "evaluation_problems", "held_out_problems"})
    request = TrainingRunRequest.model_validate(
        {
            "model": {"name": of.model, "family": run.family, "options": of.model_options},
            **{name: getattr(of, name) for name in ("task", "context", "recipe", "decoding")},
            "probe": {"rollouts": of.rollouts, "engine": of.engine},
            "pool": run.pool,
            "seeds": [(run.seed + 1) % 2**32],
            "training": numbers | of.options.model_dump(),
        }
    )
    return _ways(server, request, "training_runs", "gapcast train -")


def ways_to_probe(server: str, probe: ProbeOut) -> list[Way]:
    """Return how to ask for the same probe: nothing for an imported one, whose scores are not asked for."""
    of = probe.configuration
    if isinstance(of, ImportedConfiguration):
        return []
    request = ProbeRequest.model_validate(
        {
            "model": {"name": of.model, "options": of.model_options},
            **{name: getattr(of, name) for name in ("task", "context", "decoding")},
            "probe": of.model_dump(include={"problems", "rollouts", "seed", "controls", "engine"}),
            **({"group_size": of.group_size} if of.group_size is not None else {}),
            "target_gap_half_width": Z95 * of.target_se if of.target_se is not None else None,
        }
    )
    return _ways(server, request, "probes", "gapcast probe -")


def _ways(server: str, request: BaseModel, path: str, command: str) -> list[Way]:
    server, body = server.rstrip("/"), _without_defaults(request)
    as_yaml = yaml.safe_dump(body, sort_keys=False, width=10**9)  # on one line, so that no line of it ends a document
    as_json = json.dumps(body, indent=2)
    as_python = pprint.pformat(body, sort_dicts=False, width=WIDTH).replace("\n", "\n        ")
    header = "--header 'Content-Type: application/json'"
    return [
        Way("again-yaml", "YAML", as_yaml),
        Way("again-command", "Command", f"{command} --url {server} <<'YAML'\n{as_yaml}YAML\n"),
        Way("again-curl", "curl", f"curl {server}/v1/{path} {header} --data @- <<'JSON'\n{as_json}\nJSON\n"),
        Way(
            "again-python",
            "Python",
            f'from gapcast import Client\n\nwith Client("{server}") as client:\n'
            f"    asked = client.{path}.create(\n        {as_python}\n    )\n",
        ),
    ]


def _without_defaults(request: BaseModel) -> dict[str, Any]:
    """Leave out what is asked for anyway: of a question that was stored, every default is written."""
    whole: dict[str, Any] = request.model_dump(mode="json")
    brief = _pruned(request.model_dump(mode="json", exclude_defaults=True), whole)
    try:
        same = type(request).model_validate(brief) == request
    except ValueError:
        same = False
    return brief if same else whole


def _pruned(brief: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Drop parts that are empty without their defaults, and keep the kind of what has one."""
    found: dict[str, Any] = {"kind": whole["kind"]} if "kind" in whole else {}
    for name, value in brief.items():
        if isinstance(value, dict):
            value = _pruned(value, whole[name])  # noqa: PLW2901
        if value not in ({}, None):
            found[name] = value
    return found
