"""What the study runs: combinations of model, teacher, divergence, context and seed, in two worlds of the lab."""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

POOL = "links"

FROZEN, EMA = "frozen", "ema"
RECIPES = tuple(product((FROZEN, EMA), ("forward_kl", "reverse_kl")))
SEEDS = (0, 1, 2)

Contexts = dict[str, dict[str, Any]]


def _graded(whole: dict[str, Any], name: str) -> Contexts:
    """Graded by partial information, by coverage and by corruption; `whole` tells everything."""
    options = whole.get("options", {})

    def corrupted(**how: float) -> dict[str, Any]:
        return whole | {"options": options | {"corruption": how}}

    return {
        "says nothing": {"kind": "static"},
        "1 hint": {"kind": "hints", "options": {"level": 1}},
        "2 hints": {"kind": "hints", "options": {"level": 2}},
        "3 hints": {"kind": "hints", "options": {"level": 3}},
        f"{name} for 25 %": corrupted(coverage=0.25),
        f"{name} for 50 %": corrupted(coverage=0.5),
        name: whole,
        f"{name}, 25 % wrong": corrupted(rate=0.25),
    }


@dataclass(frozen=True)
class World:
    """A task, the models that are trained on it, what their teachers are shown, and the runs' recipe."""

    task: str
    models: tuple[str, ...]
    contexts: Contexts
    recipe: dict[str, Any]


ADDITION = World(
    "lab/addition",
    tuple(f"lab/addition-qwen3-{size}" for size in ("s", "s50", "m", "m50")),
    _graded({"kind": "reference_solution"}, "solution"),
    {},
)
"""Two sizes, each at a student accuracy of about .25 and of about .5. A context speaks of its own problem."""

CIPHER = World(
    "lab/cipher",
    ("lab/cipher-qwen3-s", "lab/cipher-qwen3-s25"),
    _graded({"kind": "hints", "options": {"level": 4}}, "rule"),
    {"steps": 75},
)
"""One size at two student accuracies. A context tells a rule that other problems share."""

WORLDS = (ADDITION, CIPHER)

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
    def world(self) -> World:
        """Where it runs."""
        return next(world for world in WORLDS if self.model in world.models)

    @property
    def is_large(self) -> bool:
        """Whether its model is of the larger size."""
        return "qwen3-m" in self.model

    @property
    def id(self) -> str:
        """Names the run for ever."""
        return ":".join([short(self.model), *self[1:4], f"seed {self.seed}"])

    @property
    def request(self) -> dict[str, Any]:
        """The body of `POST /v1/training_runs`."""
        world = self.world
        return {
            "model": {"name": self.model},
            "task": world.task,
            "context": world.contexts[self.context],
            "recipe": world.recipe | {"teacher": self.teacher, "divergence": self.divergence},
            "seeds": [self.seed],
            "pool": POOL,
            "training": {"export": "none", "evaluate_every": 50, "checkpoint_every": 75},
        }


def short(model: str) -> str:
    """A model's name within an id."""
    return model.removeprefix("lab/").removeprefix("addition-")


_EVERY = (
    Cell(model, teacher, divergence, context, seed)
    for world in WORLDS
    for seed, model, (teacher, divergence), context in product(SEEDS, world.models, RECIPES, world.contexts)
)
CELLS = sorted(
    (cell for cell in _EVERY if not cell.is_large or cell.context in FEWER),
    key=lambda cell: (cell.world is CIPHER, cell.seed > 0, cell.model if cell.seed and cell.is_large else ""),
)
"""A world's first seeds first, then the cheap ones: what is there after a part of it covers everything."""
