"""The failures that all engines share."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from workers.failures import JobError, out_of_memory

NO_MEMORY = re.compile(r"can(no|')t allocate memory|not enough memory|out of memory", re.IGNORECASE)
"""How torch and the system say, in errors of other names, that there is no memory."""


def load_failure(error: Exception) -> JobError:
    """What a loader's error means: the model does not fit into the memory, or its files do not make a model."""
    text = " ".join(str(error).split())
    if NO_MEMORY.search(text):
        return out_of_memory(f"The model does not fit: {text}"[:300])
    return model_not_loadable(error)


def model_not_loadable(reason: object) -> JobError:
    """The model's files are there, but they do not make a model."""
    text = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else str(reason)
    return JobError("model_not_loadable", f"The model could not be loaded: {' '.join(text.split())}"[:500], "model")


def not_numbers(dtype: str) -> JobError:
    """The model's files make a model, but what it computes are no numbers."""
    return JobError(
        "model_not_loadable",
        f"The model's logits are not numbers in {dtype}: its weights are damaged, or it needs another dtype.",
        "model",
    )


def require_finite(rows: Iterable[Iterable[float]], dtype: str) -> None:
    """Refuses log-probabilities that are not numbers.

    Raises:
        JobError: `model_not_loadable`.
    """
    if not all(math.isfinite(value) for row in rows for value in row):
        raise not_numbers(dtype)


def option_not_supported(engine: str, option: str) -> JobError:
    """An engine cannot do what a model's option asks for."""
    return JobError(
        "engine_option_not_supported",
        f"The engine {engine} has no {option}: leave it out, or ask for the engine vllm.",
        f"model.options.{option}",
    )


def require_devices(asked: int, here: int) -> None:
    """Refuses to wait for ranks that nothing will start.

    Raises:
        JobError: `engine_option_not_supported`.
    """
    if asked > here:
        raise JobError(
            "engine_option_not_supported",
            f"model.options.tensor_parallel is {asked}, but this worker has {here} device(s) to share a model among.",
            "model.options.tensor_parallel",
        )


def require_context(config: Mapping[str, Any], asked: int | None) -> int:
    """Tokens of prompt and completion together: what the model was made for, or less where less was asked for.

    Raises:
        JobError: `context_too_long` where more was asked for, `model_not_loadable` where the model does not say.
    """
    names = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
    longest = next((value for name in names if isinstance(value := config.get(name), int) and value > 0), asked)
    if longest is None:
        raise JobError(
            "model_not_loadable",
            "The model's config.json does not say how long its context is: set model.options.max_model_len.",
            "model.options.max_model_len",
        )
    if asked is not None and asked > longest:
        raise JobError(
            "context_too_long",
            f"model.options.max_model_len is {asked}, but the model's context holds {longest} tokens.",
            "model.options.max_model_len",
        )
    return asked or longest
