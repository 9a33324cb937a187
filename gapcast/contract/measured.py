"""The configuration that a probe and a training run measure: a model on a task with a context, and its sampling."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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


class Decoding(Strict):
    """How every arm samples; the same for student and self-teacher."""

    temperature: float = Field(1.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=131072, description="tokens; null: the task's own limit")
    thinking: bool = Field(
        False, description="the chat template's thinking mode; true needs a model whose template has one"
    )
    stop: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list, max_length=4, description="texts that end a completion"
    )


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
        None, description="of the verifiers that score file tasks; null for the lab's tasks, whose scores never change"
    )
    decoding: Decoding
    group_size: int | None = Field(None, description="the recipe's, where the context depends on the group; else null")
    engine: EngineName = "auto"
