"""What the study runs: every combination of model, teacher, divergence, context and seed."""

from itertools import product
from typing import Any, NamedTuple

TASK, POOL = "lab/addition", "links"

MODELS = ("lab/addition-qwen3-s", "lab/addition-qwen3-s50", "lab/addition-qwen3-m", "lab/addition-qwen3-m50")
"""Two sizes, each at a student accuracy of about .25 and of about .5."""

RECIPES = tuple(product(("frozen", "ema"), ("forward_kl", "reverse_kl")))

SEEDS = (0, 1, 2)

CONTEXTS: dict[str, dict[str, Any]] = {
    "says nothing": {"kind": "static"},
    "1 hint": {"kind": "hints", "options": {"level": 1}},
    "2 hints": {"kind": "hints", "options": {"level": 2}},
    "3 hints": {"kind": "hints", "options": {"level": 3}},
    "solution for 25 %": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.25}}},
    "solution for 50 %": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
    "solution": {"kind": "reference_solution"},
    "solution, 25 % wrong": {"kind": "reference_solution", "options": {"corruption": {"rate": 0.25}}},
}
"""Graded by partial information, by coverage and by corruption."""

FEWER = ("says nothing", "2 hints", "solution for 50 %", "solution")
"""For the larger models, whose runs take twice as long."""


class Cell(NamedTuple):
    """One run of the study."""

    model: str
    teacher: str
    divergence: str
    context: str
    seed: int

    @property
    def id(self) -> str:
        """Names the run for ever."""
        return ":".join([self.model.removeprefix("lab/addition-"), *self[1:4], f"seed {self.seed}"])

    @property
    def request(self) -> dict[str, Any]:
        """The body of `POST /v1/training_runs`."""
        return {
            "model": {"name": self.model},
            "task": TASK,
            "context": CONTEXTS[self.context],
            "recipe": {"teacher": self.teacher, "divergence": self.divergence},
            "seeds": [self.seed],
            "pool": POOL,
            "training": {"export": "none", "evaluate_every": 50, "checkpoint_every": 75},
        }


CELLS = sorted(
    (
        Cell(model, teacher, divergence, context, seed)
        for seed, model, (teacher, divergence), context in product(SEEDS, MODELS, RECIPES, CONTEXTS)
        if context in FEWER or "qwen3-s" in model
    ),
    key=lambda cell: (cell.seed > 0) * (1 + ("qwen3-m" in cell.model)),
)
"""First seeds first, then the cheap ones: what is there after a part of it covers everything."""
