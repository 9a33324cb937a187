"""Scores answers to problems of reasoning-gym by its own scorers.

The problem is made again from the task's options, because a scorer wants more than question and answer.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from reasoning_gym import create_dataset
from reasoning_gym.utils import extract_answer

MADE_AGAIN = 8192
"""problems that are kept: making one takes longer than scoring it, and each is scored in every arm"""


@lru_cache(maxsize=8)
def _dataset(name: str, config: str) -> Any:  # noqa: ANN401
    return create_dataset(name, **json.loads(config))


@lru_cache(maxsize=MADE_AGAIN)
def _entry(name: str, config: str, number: int) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = _dataset(name, config)[number]
    return entry


def verify(completion: str, problem: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[float, str]:
    """Score a completion: the text in its last `<answer>` tags, or all of it.

    Raises:
        ValueError: this reasoning-gym makes another problem than the one that is asked.
    """
    name, config = options["dataset"], json.dumps(options["config"], sort_keys=True)
    entry = _entry(name, config, int(problem["id"]))
    prompt = problem["prompt"]
    if not isinstance(prompt, str) or not prompt.startswith(entry["question"].strip()):
        raise ValueError(
            f"reasoning-gym {version('reasoning-gym')} makes another problem of this number, and the task was made by "
            f"{options.get('version')}. Install that version on the worker, or make the task again"
        )
    tagged = extract_answer(completion)
    score = float(_dataset(name, config).score_answer(completion.strip() if tagged is None else tagged, entry))
    return min(max(score, 0.0), 1.0), "The answer is right." if score >= 1 else "The answer is not right."
