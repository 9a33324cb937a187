"""Requests of one kind made of another's."""

from collections.abc import Mapping
from typing import Any

Body = dict[str, Any]


def run_of(configuration: Mapping[str, Any]) -> Body:
    """The run that a prediction or a probe is about, on as many problems as the probe has."""
    size = dict(configuration["probe"])
    return {**configuration, "training": {"problems": size.pop("problems")}, "probe": size}


def asked_at(path: str, configuration: Body) -> Body:
    """The body of a request to one of predictions, probes and training_runs."""
    return run_of(configuration) if path == "training_runs" else configuration
