"""Tasks: the bundled ones and those that were uploaded, and what a context needs of one."""

import json
from typing import Any

from sqlalchemy.orm import Session

from gapcast.contract.base import Failure, FieldError, Page
from gapcast.contract.catalog import CheckProgress, ProblemOut, SelfCheck, Task
from gapcast.contract.contexts import Context
from gapcast.contract.lists import ProblemQuery
from gapcast.contract.nearest import did_you_mean
from service.catalog.service import bundled, names_of
from service.errors import UnknownTask
from service.jobs import repository as jobs
from service.jobs.service import waiting_of
from service.kit.clock import rfc3339
from service.kit.errors import InvalidRequest, NotFound
from service.tasks import repository
from service.tasks.models import StoredTask

MOST_SHOWN_TEXT, MOST_SHOWN_ITEMS = 2_000, 8
"""characters of a text and items of a list in a preview: enough to recognise a problem, and 100 of them fit a page"""


def task_of(row: StoredTask) -> Task:
    """A stored task as lists show it."""
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
        status=row.status,
        accepted=row.accepted,
        self_check=SelfCheck.model_validate(row.self_check) if row.self_check is not None else None,
        error=Failure.model_validate(row.error) if row.error is not None else None,
    )


def show_stored(session: Session, row: StoredTask) -> Task:
    """A stored task with its check as far as it is."""
    task = task_of(row)
    job = jobs.get(session, row.check_job_id) if row.check_job_id is not None else None
    if job is not None and task.self_check is None and task.error is None:
        task.waiting = waiting_of(session, job)
        shown = job.progress if job.state == "running" else None
        task.progress = CheckProgress.model_validate(shown) if shown is not None else None
    return task


def is_bundled(name: str) -> bool:
    """Whether a task comes with the package."""
    return any(task.name == name for task in bundled().tasks)


def tasks(session: Session, tenant: str) -> list[Task]:
    """The bundled tasks and the tenant's, each as its newest revision."""
    return [*bundled().tasks, *(task_of(row) for row in repository.newest_of_all(session, tenant))]


def _bundled(name: str) -> Task | None:
    return next((task for task in bundled().tasks if task.name == name), None)


def known_task(session: Session, tenant: str, name: str) -> Task | None:
    """The newest revision of a task that is ready; null when there is none of this name."""
    found = _bundled(name)
    if found is not None:
        return found
    row = repository.newest(session, tenant, name)
    return task_of(row) if row is not None and row.status == repository.READY else None


def find_task(session: Session, tenant: str, name: str) -> Task:
    """Look a task up.

    Raises:
        UnknownTask: it is not in the catalog.
    """
    task = known_task(session, tenant, name)
    if task is None:
        _require_ready(repository.newest(session, tenant, name))
        names = [task.name for task in tasks(session, tenant)]
        raise UnknownTask(
            f"task: expected a listed task, got {name[:80]!r}.{did_you_mean(name, names)} `gapcast tasks list` and "
            f"GET /v1/tasks list them: {names_of(names)}. `gapcast tasks add` and POST /v1/tasks add your own.",
            param="task",
            value=name[:80],
        )
    return task


def _require_ready(row: StoredTask | None) -> None:
    if row is None:
        return
    if row.status == "checking":
        why = f"whose self-check has not ended. GET /v1/tasks/{row.name} says how far it is"
    else:
        why = "which its self-check has refused. Send the file again with accept=true to use it all the same"
    raise UnknownTask(f"task: expected a task that is ready, got {row.name!r}, {why}.", param="task", value=row.name)


def show_task(session: Session, tenant: str, name: str, revision: str | None = None) -> Task:
    """One task: of a revision, or as what its name means.

    Raises:
        NotFound: there is none of this name, or no such revision.
    """
    task = _bundled(name)
    if task is not None and revision in (None, task.revision):
        return task
    if revision is None:
        row = repository.newest(session, tenant, name)
    else:
        row = repository.revision(session, tenant, name, revision)
        if row is None:
            raise NotFound(f"There is no revision {revision[:80]!r} of a task {name[:80]!r}.")
    task = show_stored(session, row) if row is not None else None
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
