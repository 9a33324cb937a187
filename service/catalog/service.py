"""What can be predicted: the models, tasks and context kinds that this server knows."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from gapcast.contract.catalog import ContextKindOut, Model, Task
from gapcast.contract.contexts import KINDS
from gapcast.contract.measured import ModelRef
from gapcast.contract.nearest import did_you_mean
from gapcast.contract.recipes import Recipe
from service.errors import UnknownModel
from service.kit.errors import InvalidRequest, NotFound
from service.listed_models import ModelEntry

LAB_POOL = "lab"
PUBLISHED_POOL = "published"
DEFAULT_POOL = "default"
SMOLLM2_POOL = "smollm2"
SHIPPED_POOLS = (LAB_POOL, PUBLISHED_POOL, SMOLLM2_POOL)
"""read-only: their rows come with the package, and nobody adds to them"""
BORROWED = {DEFAULT_POOL: [PUBLISHED_POOL]}
"""the pools whose families a new pool borrows; any other borrows nothing"""

MOST_NAMES = 20
"""names that an error lists: who mistyped one finds it, and the answer stays readable"""


class Bundled(NamedTuple):
    """The models and tasks that need no upload and no setting."""

    models: list[Model]
    tasks: list[Task]


@cache
def bundled() -> Bundled:
    """Read what comes with the package: the lab's models and tasks, and the other tasks."""
    room = files("service.catalog")
    lab = json.loads(room.joinpath("lab.json").read_text())
    others = json.loads(room.joinpath("bundled_tasks.json").read_text())
    return Bundled(
        [Model.model_validate(one) for one in lab["models"]],
        [Task.model_validate(one) for one in (*lab["tasks"], *others["tasks"])],
    )


def models(entries: Sequence[ModelEntry]) -> list[Model]:
    """The lab's models and those of the settings."""
    shared = Model.model_fields.keys() & ModelEntry.model_fields.keys()
    configured = [Model(source=one.source, **{name: getattr(one, name) for name in shared}) for one in entries]
    return [*bundled().models, *configured]


def listed_model(entries: Sequence[ModelEntry], name: str) -> Model | None:
    """Look a model up; None where it is not listed."""
    return next((model for model in models(entries) if model.name == name), None)


def find_model(entries: Sequence[ModelEntry], name: str) -> Model:
    """Look a model up.

    Raises:
        UnknownModel: it is not in the catalog.
    """
    model = listed_model(entries, name)
    if model is not None:
        return model
    names = [one.name for one in models(entries)]
    raise UnknownModel(
        f"model.name: expected a listed model, got {name[:80]!r}.{did_you_mean(name, names)} `gapcast models list` and "
        f"GET /v1/models list them: {names_of(names)}. To add one, name it under [[models]] in "
        "the settings of the server and its workers (docs/settings.md). A gap that was measured elsewhere needs no "
        "listed model: send `gap` with `model.family`.",
        param="model.name",
        value=name[:80],
    )


def tuned(entries: Sequence[ModelEntry], name: str, recipe: Recipe) -> Recipe:
    """Give a recipe that leaves its learning rate open the usual one of this model."""
    known = listed_model(entries, name)
    return recipe.with_rate(known.parameters if known is not None else None, listed=known is not None)


def family_of(entries: Sequence[ModelEntry], model: ModelRef) -> str:
    """Return the family that was sent, else the listed model's.

    Raises:
        InvalidRequest: neither is known.
    """
    known = listed_model(entries, model.name)
    family = model.family or (known.family if known is not None else None)
    if family is None:
        near = did_you_mean(model.name, [one.name for one in models(entries)])
        raise InvalidRequest(
            f"model.family: expected the family that the law groups {model.name[:80]!r} by, because the model is not "
            f"listed.{near} Send a family (for example `qwen3`).",
            param="model.family",
        )
    return family


def show_model(entries: Sequence[ModelEntry], name: str) -> Model:
    """One model.

    Raises:
        NotFound: there is none of this name.
    """
    try:
        return find_model(entries, name)
    except UnknownModel:
        near = did_you_mean(name, [model.name for model in models(entries)])
        raise NotFound(
            f"There is no model {name[:80]!r}.{near} `gapcast models list` and GET /v1/models list them."
        ) from None


def model_source(entry: ModelEntry) -> dict[str, str | None]:
    """Where one of the settings' models is, key included: for the worker's own processes and nobody else."""
    return {
        "name": entry.name,
        "path": entry.path,
        "url": entry.url,
        "served_as": entry.served_as or entry.name if entry.url is not None else None,
        "api_key": entry.api_key.get_secret_value() if entry.api_key is not None else None,
    }


def default_pool(model: Model | None) -> str:
    """The pool that a model's predictions come from unless another is named."""
    return LAB_POOL if model is not None and model.source == "lab" else DEFAULT_POOL


def own_pool(name: str | None) -> str:
    """The pool that rows of a user's go into where this one was named: a shipped one takes none."""
    return DEFAULT_POOL if name is None or name in SHIPPED_POOLS else name


def context_kinds() -> list[ContextKindOut]:
    """Every context kind with its options' schema and an example."""
    return [
        ContextKindOut(
            kind=kind,
            description=context.description(),
            options_schema=context.options_class().model_json_schema(),
            example=context(kind=kind, options=context.example).model_dump(mode="json"),
        )
        for kind, context in KINDS.items()
    ]


def names_of(names: Sequence[str]) -> str:
    """Return the first of them for an error, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
