"""The answers of the catalog's endpoints."""

from typing import Literal

from pydantic import BaseModel, Field

from gapcast.contract.base import Failure, Finite, Identified, JsonObject, JsonSchema
from gapcast.contract.contexts import ContextKind
from gapcast.contract.waiting import Waiting

LEAST_SHARE = 0.95
"""of problems whose check holds: of fewer the file or the verifier is wrong, and no gap on it means anything"""


class Model(BaseModel):
    """A model that a worker can load, or ask a server for."""

    object: Literal["model"] = "model"
    name: str
    family: str
    parameters: int | None = None
    source: Literal["lab", "folder", "server"]
    revision: str
    chat_template: bool | None = None
    context_length: int | None = Field(None, description="tokens of prompt and completion together; null: not known")
    thinking: bool | None = Field(None, description="true: a thinking mode can be chosen; null: not known")


Completion = Literal["reference", "empty", "silly", "other"]
"""What a self-check scores: the reference solution or answer, nothing, a text that is not an answer, another
problem's."""


class CheckFault(BaseModel):
    """A kind of completion that does not score as it must, and the problems of which."""

    completion: Completion
    problems: int
    first: list[str] = Field(description="ids of the first ones")
    note: str = Field(description="the verifier's note, or its error, on the first one")


class SelfCheck(Finite):
    """Scores of completions whose score is known: each reference must score 1, and a text that is not an answer 0."""

    share: float = Field(description="of the checked problems, those whose completions all score as they must")
    checked: int
    problems: int = Field(description="of the task; of slow verifiers some are checked, evenly spread")
    without_reference: int = Field(description="checked problems of which no right completion is known")
    faults: list[CheckFault]
    seconds: float


class CheckProgress(BaseModel):
    """How far a self-check is."""

    done: int
    problems: int


TaskStatus = Literal["checking", "ready", "refused"]


class Task(BaseModel):
    """A set of problems with a verifier; null is what is not known of a bundled task."""

    object: Literal["task"] = "task"
    id: str | None = None
    name: str
    source: Literal["lab", "gapcast", "upload"]
    verifier: str
    verifier_options: JsonObject | None = None
    train_problems: int
    held_out_problems: int
    max_tokens: int
    preamble: str
    hint_levels: int = Field(description="the most hints that a training problem has")
    with_hints: int | None = Field(None, description="training problems that have hints")
    with_reference_solution: int | None = Field(None, description="training problems that have one")
    with_privileged_context: int | None = Field(None, description="training problems that have one")
    revision: str
    bytes: int | None = None
    created_at: str | None = None
    status: TaskStatus = Field(
        "ready", description="a task is used once it is ready; refused: its self-check found too much, or did not run"
    )
    accepted: bool = Field(False, description="true: it is used whatever its self-check finds")
    self_check: SelfCheck | None = Field(None, description="null: it has not ended, or the task is older than checks")
    progress: CheckProgress | None = Field(None, description="of the self-check; null in lists")
    waiting: Waiting | None = Field(None, description="why the self-check has not started; null in lists")
    error: Failure | None = Field(None, description="why the self-check has no result")


class ContextKindOut(BaseModel):
    """A way to build the self-teacher's context, and the options that it takes."""

    object: Literal["context_kind"] = "context_kind"
    kind: ContextKind
    description: str
    options_schema: JsonSchema
    example: JsonObject = Field(description="a `context` as a prediction takes it, every option written out")


class ProblemOut(Identified):
    """One problem of an uploaded task, long texts and lists shortened for reading."""

    object: Literal["problem"] = "problem"
    number: int = Field(description="from 1, in the file's order")
    split: str
    problem: JsonObject
    shortened: bool
