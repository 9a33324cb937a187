"""Storing a task file: checked as a whole before anything is stored, then stored in one transaction."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import IO, get_args

from pydantic import ValidationError

from gapcast.contract.accepted import listed
from gapcast.contract.base import JsonObject
from gapcast.contract.catalog import Task
from gapcast.contract.problems import MOST_PROBLEMS, Preset, TaskIn, VerifierKind, parse_json
from service.kit.database import WriteSession
from service.kit.errors import InvalidRequest
from service.kit.ids import new_id
from service.kit.problems import field_problems
from service.listed_models import LAB_PREFIX
from service.tasks import repository, self_check
from service.tasks.checks import Problems
from service.tasks.mapping import Columns
from service.tasks.options import schema_fault, unstorable
from service.tasks.presets import LAYOUTS
from service.tasks.repository import NewProblem
from service.tasks.service import show_stored
from service.tasks.task_files import WORD, Form, form_in, read, require_few, unpack

RESERVED = (LAB_PREFIX, "gapcast/")
"""beginnings of the bundled tasks' names"""
PREVIEW = "/problems"
"""the end of a preview's path, which therefore is no task's"""
BATCH_ROWS, BATCH_BYTES = 500, 1 << 22
"""problems and bytes that are sent to the database at once: round trips are few, and memory is bounded"""


@dataclass(frozen=True)
class Prepared:
    """A task that was checked; its problems wait in a file."""

    task: TaskIn
    problems: Problems
    file: IO[bytes]


def header(
    name: str,
    verifier: str | None,
    options: str | None,
    settings: Mapping[str, str | int],
    preset: Preset | None = None,
) -> TaskIn:
    """What a task file is uploaded with, checked; `options` is a JSON object.

    A preset says which verifier its problems have, and that one's options, where they are not given.

    Raises:
        InvalidRequest: names what does not fit.
    """
    given = _read_options(options)
    layout = LAYOUTS[preset] if preset is not None else None
    if layout is not None and verifier in (None, layout.verifier):
        verifier, given = layout.verifier, layout.options | given
    if verifier is None:
        why = f", as a file of the layout {preset} does not say it" if preset is not None else ""
        raise InvalidRequest(
            f"verifier: expected one of {listed(get_args(VerifierKind))}{why}, got nothing. Name one.", param="verifier"
        )
    try:
        task = TaskIn.model_validate({"name": name, "verifier": {"kind": verifier} | given, **settings})
    except ValidationError as error:
        rows = [
            row.model_copy(update={"param": re.sub(r"^verifier\.", "options.", row.param)})
            for row in field_problems(error.errors())
        ]
        detail = " ".join(row.with_value for row in rows[:3])
        raise InvalidRequest(detail, param=rows[0].param, errors=rows) from None
    if name.startswith(RESERVED) or name.endswith(PREVIEW):
        raise InvalidRequest(
            f"name: {name!r} is reserved for Gapcast's tasks (lab/..., gapcast/..., .../problems). Choose another.",
            param="name",
            value=name,
        )
    if task.verifier.kind == "json_schema":
        fault = schema_fault(task.verifier.json_schema)
        if fault is not None:
            raise _refused("options.json_schema", fault, options)
    return task


def _read_options(options: str | None) -> JsonObject:
    try:
        given = parse_json(options) if options else {}
    except (ValueError, RecursionError) as error:
        raise _refused("options", f"is not JSON: {error}", options) from None
    fault = unstorable(given)
    if fault is not None:
        raise _refused(".".join(["options", *fault.place])[:200], fault.message, options)
    if not isinstance(given, dict) or "kind" in given:
        told = 'must be a JSON object, such as {"relative_tolerance": 0.01}; `verifier` names the kind'
        raise _refused("options", told, options)
    return given


def _refused(param: str, message: str, options: object) -> InvalidRequest:
    return InvalidRequest(f"{param}: {message}.", param=param, value=str(options)[:80])


def prepare(
    raw: IO[bytes],
    form: Form,
    task: TaskIn,
    unpacked: IO[bytes],
    out: IO[bytes],
    most_bytes: int,
    columns: Columns | None = None,
) -> Prepared:
    """Check a whole file; `unpacked` takes the rows of a table and `out` what will be stored.

    Raises:
        InvalidFile: names line and field of the first faults.
    """
    columns = columns or Columns()
    form = form_in(raw, form)
    if form != "ndjson":
        unpack(form, raw, unpacked, most_bytes, columns.read)
    lines = raw if form == "ndjson" else unpacked
    require_few(lines, MOST_PROBLEMS)
    problems = Problems(task, out, WORD[form], columns, cells=form == "csv")
    with closing(read(lines)) as rows:
        problems.take(rows)
    return Prepared(task, problems, out)


def store(
    session: WriteSession, tenant: str, prepared: Prepared, *, accept: bool = False, most_jobs: int = 200
) -> tuple[Task, bool]:
    """Store a task in the caller's transaction, and ask for its check; False where the name has this content already.

    Either way the name means this content once it is ready.

    Raises:
        TooManyJobs: the tenant has `most_jobs` that wait or run.
    """
    task, problems, task_id = prepared.task, prepared.problems, new_id("task")
    stored = repository.add(
        session,
        tenant,
        task,
        problems.revision,
        id=task_id,
        train_problems=problems.counts["train"],
        held_out_problems=problems.counts["held_out"],
        hint_levels=problems.hint_levels,
        with_hints=problems.with_hints,
        with_reference_solution=problems.with_reference_solution,
        with_privileged_context=problems.with_privileged_context,
        bytes=problems.bytes,
        status=repository.READY if accept else "checking",
        accepted=accept,
    )
    is_new = stored.id == task_id
    if is_new:
        for rows in _batches(prepared.file):
            repository.add_problems(session, tenant, task_id, rows)
    else:
        repository.touch(session, stored.id)
    self_check.begin(session, stored, most_jobs, accept=accept)
    session.refresh(stored)
    return show_stored(session, stored), is_new


def _batches(file: IO[bytes]) -> Iterator[list[NewProblem]]:
    file.seek(0)
    rows: list[NewProblem] = []
    size = number = 0
    while head := file.readline():
        number += 1
        split, problem_id = json.loads(head)
        body = file.readline().rstrip(b"\n").decode()
        rows.append({"number": number, "split": split, "problem_id": problem_id, "body": body})
        size += len(body)
        if len(rows) == BATCH_ROWS or size >= BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
