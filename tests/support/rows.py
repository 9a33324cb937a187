"""Rows as people send them."""

from typing import Any

Row = dict[str, Any]

RUN: Row = {
    "family": "qwen3",
    "task": "livecodebench-v6",
    "model": "Qwen/Qwen3-8B",
    "parameters": 8.2e9,
    "context_kind": "feedback",
    "recipe": {"teacher": "frozen", "divergence": "forward_kl"},
    "baseline": 0.4,
    "gap": {"value": 0.2, "se": 0.02},
    "improvement": {"value": 0.25, "se": 0.03},
    "cov": 0.0,
}


def run(**change: Any) -> Row:
    """A run with other values; null takes a field out."""
    return {name: value for name, value in (RUN | change).items() if value is not None}
