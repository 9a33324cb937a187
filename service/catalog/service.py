"""What can be predicted: the models, tasks and context kinds that this server knows."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError, Page
from gapcast.contract.catalog import ContextKindOut, Model, ProblemOut, Task
from gapcast.contract.contexts import KINDS, Context
from service.catalog import repository
from service.catalog.models import StoredTask
from service.errors import UnknownModel, UnknownTask
from service.kit.clock import rfc3339
from service.kit.errors import InvalidRequest, NotFound
from service.listed_models import ModelEntry

LAB_POOL = "lab"
DEFAULT_POOL = "default"

MOST_NAMES = 20
"""names that an error lists: who mistyped one finds it, and the answer stays readable"""
MOST_SHOWN_TEXT, MOST_SHOWN_ITEMS = 2_000, 8
"""characters of a text and items of a list in a preview: enough to recognise a problem, and 100 of them fit a page"""


class Bundled(NamedTuple):
    """The models and tasks that need no upload and no setting."""

    models: list[Model]
    tasks: list[Task]


@cache
def _bundled() -> Bundled:
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
    return [*_bundled().models, *configured]


def find_model(entries: Sequence[ModelEntry], name: str) -> Model:
    """Look a model up.

    Raises:
        UnknownModel: it is not in the catalog.
    """
    known = models(entries)
    for model in known:
        if model.name == name:
            return model
    raise UnknownModel(
        f"model.name: {name[:80]!r} is not in the catalog; known models: {_names([one.name for one in known])}. To add "
        "one, name it under [[models]] in the settings of the server and its workers (docs/settings.md). "
        "A gap that was measured elsewhere needs no known model: send `gap` with `model.family`.",
        param="model.name",
        value=name[:80],
    )


def show_model(entries: Sequence[ModelEntry], name: str) -> Model:
    """One model.

    Raises:
        NotFound: there is none of this name.
    """
    try:
        return find_model(entries, name)
    except UnknownModel:
        raise NotFound(f"There is no model {name[:80]!r}; GET /v1/models lists those that are.") from None


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


def task_of(row: StoredTask) -> Task:
    """A stored task as it is shown."""
    verifier = row.header.verifier
    return Task(
        id=row.id,
        name=row.name,
        source="upload",
        verifier=verifier.kind,
        verifier_options=verifier.model_dump(mode="json", exclude={"kind"}),
        max_tokens=row.header.max_tokens,
        preamble=row.header.preamble,
        train_problems=row.train_problems,
        held_out_problems=row.held_out_problems,
        hint_levels=row.hint_levels,
        with_hints=row.with_hints,
        with_reference_solution=row.with_reference_solution,
        with_privileged_context=row.with_privileged_context,
        revision=row.revision,
        bytes=row.bytes,
        created_at=rfc3339(row.created_at),
    )


def is_bundled(name: str) -> bool:
    """Whether a task comes with the package."""
    return any(task.name == name for task in _bundled().tasks)


def tasks(session: Session, tenant: str) -> list[Task]:
    """The bundled tasks and the tenant's, each as its newest revision."""
    return [*_bundled().tasks, *(task_of(row) for row in repository.newest_of_all(session, tenant))]


def known_task(session: Session, tenant: str, name: str) -> Task | None:
    """The newest revision of a task; null when there is none of this name."""
    bundled = next((task for task in _bundled().tasks if task.name == name), None)
    if bundled is not None:
        return bundled
    row = repository.newest(session, tenant, name)
    return task_of(row) if row is not None else None


def find_task(session: Session, tenant: str, name: str) -> Task:
    """Look a task up.

    Raises:
        UnknownTask: it is not in the catalog.
    """
    task = known_task(session, tenant, name)
    if task is None:
        names = _names([one.name for one in tasks(session, tenant)])
        raise UnknownTask(
            f"task: {name[:80]!r} is not in the catalog; known tasks: {names}. POST /v1/tasks takes your own.",
            param="task",
            value=name[:80],
        )
    return task


def show_task(session: Session, tenant: str, name: str) -> Task:
    """One task.

    Raises:
        NotFound: there is none of this name.
    """
    task = known_task(session, tenant, name)
    if task is None:
        raise NotFound(f"There is no task {name[:80]!r}; GET /v1/tasks lists those that are.")
    return task


def preview(
    session: Session, tenant: str, name: str, split: str | None, after: str | None, limit: int
) -> Page[ProblemOut]:
    """Some problems of an uploaded task, in the file's order.

    Raises:
        NotFound: there is no such task, it is a bundled one, or it has no problem `after`.
    """
    task = show_task(session, tenant, name)
    if task.id is None:
        raise NotFound(
            f"The problems of {name} come with the workers and are not stored here; upload a task to see it."
        )
    number = repository.number_of(session, task.id, after) if after is not None else 0
    if number is None:
        raise NotFound(f"after: {name} has no problem {str(after)[:80]!r}.", param="after", value=str(after)[:80])
    rows = repository.problems(session, task.id, split=split, after=number, limit=limit + 1)
    return Page.of([_problem_out(row.number, row.problem_id, row.split, row.body) for row in rows], limit)


def _problem_out(number: int, problem_id: str, split: str, body: str) -> ProblemOut:
    content = json.loads(body)
    problem = _shortened(content)
    return ProblemOut(id=problem_id, number=number, split=split, problem=problem, shortened=problem != content)


def _shortened(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return value if len(value) <= MOST_SHOWN_TEXT else f"{value[:MOST_SHOWN_TEXT]}..."
    if isinstance(value, list):
        return [_shortened(one) for one in value[:MOST_SHOWN_ITEMS]]
    return {name: _shortened(one) for name, one in value.items()} if isinstance(value, dict) else value


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


def check_context(context: Context, task: Task) -> None:
    """Refuse what the task cannot give, as far as it is known of it.

    Raises:
        InvalidRequest: names the option, or the kind whose text no training problem has.
    """
    try:
        context.check(task)
    except FieldError as fault:
        param = f"context.{fault.param}"
        raise InvalidRequest(f"{param}: {fault.message}", param=param, value=fault.value) from None


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
