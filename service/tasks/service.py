"""Tasks: the bundled ones and those that were uploaded, and what a context needs of one."""

import json
from typing import Any

from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError, Page
from gapcast.contract.catalog import ProblemOut, Task
from gapcast.contract.contexts import Context
from gapcast.contract.lists import ProblemQuery
from gapcast.contract.nearest import did_you_mean
from service.catalog.service import bundled, names_of
from service.errors import UnknownTask
from service.kit.clock import rfc3339
from service.kit.errors import InvalidRequest, NotFound
from service.tasks import repository
from service.tasks.models import StoredTask

MOST_SHOWN_TEXT, MOST_SHOWN_ITEMS = 2_000, 8
"""characters of a text and items of a list in a preview: enough to recognise a problem, and 100 of them fit a page"""


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
    return any(task.name == name for task in bundled().tasks)


def tasks(session: Session, tenant: str) -> list[Task]:
    """The bundled tasks and the tenant's, each as its newest revision."""
    return [*bundled().tasks, *(task_of(row) for row in repository.newest_of_all(session, tenant))]


def known_task(session: Session, tenant: str, name: str) -> Task | None:
    """The newest revision of a task; null when there is none of this name."""
    found = next((task for task in bundled().tasks if task.name == name), None)
    if found is not None:
        return found
    row = repository.newest(session, tenant, name)
    return task_of(row) if row is not None else None


def find_task(session: Session, tenant: str, name: str) -> Task:
    """Look a task up.

    Raises:
        UnknownTask: it is not in the catalog.
    """
    task = known_task(session, tenant, name)
    if task is None:
        names = [task.name for task in tasks(session, tenant)]
        raise UnknownTask(
            f"task: expected a listed task, got {name[:80]!r}.{did_you_mean(name, names)} `gapcast tasks list` and "
            f"GET /v1/tasks list them: {names_of(names)}. `gapcast tasks add` and POST /v1/tasks add your own.",
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
        near = did_you_mean(name, [task.name for task in tasks(session, tenant)])
        raise NotFound(f"There is no task {name[:80]!r}.{near} `gapcast tasks list` and GET /v1/tasks list them.")
    return task


def preview(session: Session, tenant: str, name: str, wanted: ProblemQuery) -> Page[ProblemOut]:
    """Read some problems of an uploaded task, in the file's order.

    Raises:
        NotFound: there is no such task, it is a bundled one, or it has no problem `after`.
    """
    task = show_task(session, tenant, name)
    if task.id is None:
        raise NotFound(
            f"The problems of {name} come with the workers. Only the problems of uploaded tasks are stored and listed."
        )
    after = wanted.after
    number = repository.number_of(session, task.id, after) if after is not None else 0
    if number is None:
        raise NotFound(f"after: {name} has no problem {str(after)[:80]!r}.", param="after", value=str(after)[:80])
    rows = repository.problems(session, task.id, split=wanted.split, after=number, limit=wanted.limit + 1)
    return Page.of([_problem_out(row.number, row.problem_id, row.split, row.body) for row in rows], wanted.limit)


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
