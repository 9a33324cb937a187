"""What can be predicted: the models, tasks and context kinds that this server knows."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from service.catalog.contexts import CONTEXT_KINDS, OPTIONS, Context, ContextKind
from service.errors import UnknownModel, UnknownTask
from service.kit.errors import InvalidRequest

LAB_POOL = "lab"
DEFAULT_POOL = "default"


class Model(BaseModel):
    """A model that a worker can load."""

    object: Literal["model"] = "model"
    name: str
    family: str
    parameters: int
    source: str
    revision: str


class Task(BaseModel):
    """A set of problems with a verifier."""

    object: Literal["task"] = "task"
    name: str
    verifier: str
    train_problems: int
    held_out_problems: int
    max_tokens: int
    hint_levels: int
    revision: str


class ContextKindOut(BaseModel):
    """A way to build the self-teacher's context, and the options that it takes."""

    object: Literal["context_kind"] = "context_kind"
    kind: ContextKind
    description: str
    options_schema: dict[str, Any]
    example: dict[str, Any]


Item = TypeVar("Item", bound=BaseModel)


class Listing(BaseModel, Generic[Item]):
    """A list that is always whole."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: Literal[False] = False


@cache
def _lab() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files("service.catalog").joinpath("lab.json").read_text())
    return content


def models() -> list[Model]:
    """Every model in the catalog."""
    return [Model.model_validate(one) for one in _lab()["models"]]


def tasks() -> list[Task]:
    """Every task in the catalog."""
    return [Task.model_validate({key: one[key] for key in Task.model_fields if key in one}) for one in _lab()["tasks"]]


def context_kinds() -> list[ContextKindOut]:
    """Every context kind with its options' schema and an example."""
    return [
        ContextKindOut(
            kind=kind,
            description=description,
            options_schema=OPTIONS[kind].model_json_schema(),
            example=Context(kind=kind).model_dump(mode="json"),
        )
        for kind, description in CONTEXT_KINDS.items()
    ]


def find_model(name: str) -> Model:
    """Look a model up.

    Raises:
        UnknownModel: it is not in the catalog.
    """
    known = models()
    for model in known:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in known)
    raise UnknownModel(
        f"model.name: {name[:80]!r} is not in the catalog; known models: {names}. "
        "A gap that was measured elsewhere needs no known model: send `gap` with `model.family`.",
        param="model.name",
        value=name[:80],
    )


def default_pool(model: Model | None) -> str:
    """The pool that a model's predictions come from unless another is named."""
    return LAB_POOL if model is not None and model.source == "lab" else DEFAULT_POOL


def find_task(name: str) -> Task:
    """Look a task up.

    Raises:
        UnknownTask: it is not in the catalog.
    """
    known = tasks()
    for task in known:
        if task.name == name:
            return task
    names = ", ".join(task.name for task in known)
    raise UnknownTask(
        f"task: {name[:80]!r} is not in the catalog; known tasks: {names}.", param="task", value=name[:80]
    )


def check_context(context: Context, task: Task) -> None:
    """Refuse what the task cannot give.

    Raises:
        InvalidRequest: more hints are asked for than the task has.
    """
    level = context.options.get("level")
    if level is not None and level > task.hint_levels:
        raise InvalidRequest(
            f"context.options.level: {level} is more than the {task.hint_levels} hints that {task.name} has.",
            param="context.options.level",
            value=level,
        )
