"""What can be asked for: models, tasks with their problems, context kinds."""

from typing import Any

from gapcast.models.shared import Answered


class Model(Answered):
    """A model that a worker can load, or ask a server for; None is what is not known of it."""

    name: str
    family: str
    parameters: int | None = None
    source: str
    """`lab`, `folder` or `server`"""
    revision: str
    chat_template: bool | None = None
    context_length: int | None = None
    """tokens of prompt and completion together"""
    thinking: bool | None = None
    """whether a thinking mode can be chosen"""


class Task(Answered):
    """A set of problems with a verifier, in its newest revision; None is what is not known of a bundled one."""

    id: str | None = None
    name: str
    source: str
    """`lab`, `gapcast` or `upload`"""
    verifier: str
    verifier_options: dict[str, Any] | None = None
    train_problems: int
    held_out_problems: int
    max_tokens: int
    preamble: str
    hint_levels: int
    """the most hints that a training problem has"""
    with_hints: int | None = None
    """training problems that have any; likewise the next two"""
    with_reference_solution: int | None = None
    with_privileged_context: int | None = None
    revision: str
    bytes: int | None = None
    created_at: str | None = None


class TaskProblem(Answered):
    """One problem of an uploaded task, long texts and lists cut for reading where it is `shortened`."""

    id: str
    number: int
    """from 1, in the file's order"""
    split: str
    problem: dict[str, Any]
    shortened: bool


class ContextKind(Answered):
    """A way to build the self-teacher's context."""

    kind: str
    description: str
    options_schema: dict[str, Any]
    example: dict[str, Any]
    """a `context` as a configuration takes it, every option written out"""
