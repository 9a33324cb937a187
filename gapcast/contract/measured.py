"""The configuration that a probe and a training run measure: a model on a task with a context, and its sampling."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from gapcast.contract.base import Strict
from gapcast.contract.contexts import Context


class ModelOptions(Strict):
    """How the model is loaded for rollouts."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: float32 on a CPU, the model's own on a GPU"
    )
    tensor_parallel: int = Field(1, ge=1, le=64, description="GPUs that share the model")
    quantization: str | None = Field(None, pattern=r"^[a-z0-9_-]{1,32}$", description="as vLLM names it; null: none")
    max_model_len: int | None = Field(
        None, ge=16, le=10_000_000, description="tokens of prompt and completion together; null: what the model takes"
    )
    memory_share: float = Field(0.85, gt=0, le=0.98, description="share of a GPU's memory that vLLM may take")


class ModelRef(Strict):
    """The model whose run is predicted."""

    name: str = Field(min_length=1, max_length=255)
    revision: str | None = Field(None, max_length=80, description="null: the catalog's")
    family: str | None = Field(None, min_length=1, max_length=255, description="the law's group; null: the catalog's")
    options: ModelOptions = Field(default_factory=ModelOptions)


def _by_name(model: Any) -> Any:  # noqa: ANN401
    return {"name": model} if isinstance(model, str) else model


NamedModel = Annotated[
    ModelRef,
    BeforeValidator(_by_name, json_schema_input_type=Annotated[str, Field(min_length=1, max_length=255)] | ModelRef),
]
"""A model as a request names it: its name alone, or an object."""


class OtherDecoding(Strict):
    """How one of student, self-teacher and evaluation samples, where it differs; null: as all do."""

    temperature: float | None = Field(None, ge=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=131072, description="tokens")
    thinking: bool | None = Field(None, description="the chat template's thinking mode")


Axis = Literal["student", "teacher", "evaluation"]
"""Whose completions: the student's of a gap and of training, the self-teacher's, the student's that an improvement is
measured on."""
AXES: tuple[Axis, ...] = get_args(Axis)


def mode_of(student: bool, teacher: bool, evaluation: bool) -> str | None:
    """Name a decoding mode: None without thinking, `thinking`, or each axis as in `plain/thinking/plain`."""
    if student == teacher == evaluation:
        return "thinking" if student else None
    return "/".join("thinking" if one else "plain" for one in (student, teacher, evaluation))


def _other(whose: str) -> Any:  # noqa: ANN401
    # left out where it is not there: configurations from before have the same content
    description = f"how {whose}, where that differs; null: as the rest"
    return Field(None, exclude_if=lambda part: part is None, description=description)


class Decoding(Strict):
    """How every arm samples; student, self-teacher and evaluation alike, but for what the fields of these names say.

    A probe measures the student and the self-teacher as each of them samples. A run trains on the student's rollouts,
    shows the teacher its prompt in the teacher's mode, and measures its improvement as `evaluation` says.
    """

    temperature: float = Field(1.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=131072, description="tokens; null: the task's own limit")
    thinking: bool = Field(
        False, description="the chat template's thinking mode; true needs a model whose template has one"
    )
    stop: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list, max_length=4, description="texts that end a completion"
    )
    student: OtherDecoding | None = _other("the student samples what it learns on and its side of the gap")
    teacher: OtherDecoding | None = _other("the self-teacher samples, and its prompt is written")
    evaluation: OtherDecoding | None = _other("the student samples where an improvement is measured")

    @model_validator(mode="after")
    def _parts_differ(self) -> Self:
        """Drop what does not differ, so that one configuration has one content."""
        for axis in AXES:
            part = getattr(self, axis)
            said = {} if part is None else part.model_dump(exclude_none=True)
            if part is not None and all(value == getattr(self, name) for name, value in said.items()):
                setattr(self, axis, None)
        return self

    def of(self, axis: Axis) -> "Decoding":
        """Return how one of them samples, as a decoding without differences."""
        part = getattr(self, axis)
        said = {} if part is None else part.model_dump(exclude_none=True)
        return self.model_copy(update=said | dict.fromkeys(AXES))

    @property
    def mode(self) -> str | None:
        """The name of its mode (`mode_of`)."""
        return mode_of(*(self.of(axis).thinking for axis in AXES))


EngineName = Literal["auto", "transformers", "vllm", "vllm-server"]


class MeasuredConfiguration(Strict):
    """The configuration that a probe and a training run measure: a model on a task with a context."""

    model: str
    model_revision: str = Field(description="SHA-256 of the model's folder, or what its server is pinned to")
    model_options: ModelOptions = Field(default_factory=ModelOptions)
    task: str
    task_revision: str = Field(description="SHA-256 of the task's problems and verifier")
    context: Context
    template_version: str
    scoring_version: str | None = Field(
        None,
        exclude_if=lambda version: version is None,  # configurations from before have the same content
        description="of the verifiers that score file tasks; null for the lab's tasks, whose scores never change",
    )
    decoding: Decoding
    group_size: int | None = Field(None, description="the recipe's, where the context depends on the group; else null")
    engine: EngineName = "auto"
