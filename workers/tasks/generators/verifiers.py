"""Scores completions of single-turn tasksets of verifiers v1 by their own rewards.

The taskset is loaded again, and a completion becomes the trace that its rewards read.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from verifiers.v1 import Task, Trace, TraceTask
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.graph import MessageNode
from verifiers.v1.trace import AgentInfo
from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
from verifiers.v1.utils.loaders import load_taskset, taskset_config_type

from gapcast.contract.tasksets import check_taskset

MESSAGES = {"system": SystemMessage, "user": UserMessage, "assistant": AssistantMessage}


@lru_cache(maxsize=4)
def _tasks(name: str, config: str) -> Mapping[str, Task[Any]]:
    check_taskset(name, json.loads(config))
    taskset = load_taskset(taskset_config_type(name)(**{"id": name, **json.loads(config)}))
    return {str(next(one for one in (task.data.id, task.data.name, task.data.idx) if one is not None)): task
            for task in taskset}  # fmt: skip


def verify(completion: str, problem: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[float, str]:
    """Score a completion: the sum of the weighted rewards.

    Raises:
        FieldError: the options name other code than the taskset's.
        ValueError: this taskset has another problem than the one that is asked, or nothing scores it.
    """
    task = _tasks(options["taskset"], json.dumps(options["config"], sort_keys=True)).get(problem["id"])
    prompt = problem["prompt"]
    said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if task is None or said[-1]["content"] != _question(task):
        raise ValueError(
            f"{options['taskset']} with verifiers {version('verifiers')} has another problem of this id, and the task "
            f"was made with {options.get('version')}. Install that version on the worker, or make the task again"
        )
    messages = [MESSAGES[one["role"]](content=one["content"]) for one in said]
    messages.append(AssistantMessage(content=completion))
    nodes = [
        MessageNode(message=message, parent=place - 1 if place else None, sampled=place == len(said))
        for place, message in enumerate(messages)
    ]
    data = TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)
    trace = Trace(task=data, agent=AgentInfo(config=AgentConfig()), nodes=nodes)
    asyncio.run(task.score(trace))
    if not any(reward is not None for reward in trace.rewards.values()):
        raise ValueError(f"no reward of {options['taskset']} scores a trace without a runtime")
    score = float(trace.reward)
    return score, "The rewards are full." if score >= 1 else "The rewards are not full."


def _question(task: Task[Any]) -> str | None:
    prompt = task.data.prompt
    return prompt if isinstance(prompt, str) or not prompt else str(prompt[-1].content)
