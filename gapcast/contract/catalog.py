"""The answers of the catalog's endpoints."""

from typing import Literal

from pydantic import BaseModel, Field

from gapcast.contract.base import Identified, JsonObject, JsonSchema
from gapcast.contract.contexts import ContextKind


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
