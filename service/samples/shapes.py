"""Stored rollouts as lines of JSON in the shapes of other harnesses.

lm-eval writes one line a problem, with all its rollouts (`lm_eval/loggers/evaluation_tracker.py`, `samples_*.jsonl`).
verifiers writes one line an episode, here one rollout (`verifiers/v1/episode.py` and `trace.py`, `traces.jsonl`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from gapcast.contract.base import JsonObject
from gapcast.contract.samples import SampleOut, SampleShape

SCORE = "score"
"""the name of the metric, and of the reward"""


def lines(samples: Sequence[SampleOut], shape: SampleShape, model: str) -> Iterator[str]:
    """Yield the lines of a file, each with its line break; they are of one arm, but for `ndjson`."""
    if shape == "ndjson":
        yield from (one.model_dump_json() + "\n" for one in samples)
        return
    for number, (_, rows) in enumerate(groupby(samples, key=lambda one: one.problem_id)):
        of_problem = list(rows)
        found = [_lm_eval(number, of_problem)] if shape == "lm-eval" else _verifiers(number, of_problem, model)
        yield from (json.dumps(one, ensure_ascii=False) + "\n" for one in found)


def _prompt(sample: SampleOut) -> str | list[JsonObject]:
    """The prompt as plain JSON."""
    return sample.prompt if isinstance(sample.prompt, str) else [one.model_dump() for one in sample.prompt]


def _lm_eval(number: int, rollouts: Sequence[SampleOut]) -> JsonObject:
    """One problem: `score` is the mean of its rollouts, `scores` are all of them."""
    first, prompt = rollouts[0], _prompt(rollouts[0])
    asked = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
    answers = [one.completion if one.answer is None else one.answer for one in rollouts]
    doc = {"id": first.problem_id, "prompt": prompt, "answer": first.expected}
    target = first.expected or ""
    scores = [one.score for one in rollouts]
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": asked}},
        "resps": [[one.completion for one in rollouts]],
        "filtered_resps": [answers] if len(answers) > 1 else answers,
        "filter": "none",
        "metrics": [SCORE],
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(asked),
        "target_hash": _hash(target),
        SCORE: sum(scores) / len(scores),
        "scores": scores,
        "arm": first.arm,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _verifiers(number: int, rollouts: Iterable[SampleOut], model: str) -> Iterator[JsonObject]:
    for one in rollouts:
        asked = _prompt(one)
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        data = {"idx": number, "name": one.problem_id, "prompt": asked}
        if one.expected is not None:
            data["answer"] = one.expected
        task = {"type": "Task", "data": data, "key": one.problem_id}
        nodes: list[dict[str, Any]] = [
            {"parent": place - 1 if place else None, "message": message, "sampled": False}
            for place, message in enumerate(messages)
        ]
        nodes.append(
            {
                "parent": len(messages) - 1,
                "message": {"role": "assistant", "content": one.completion},
                "sampled": True,
            }
        )
        call: JsonObject = {"node": len(messages), "model": model, "finish_reason": one.finish_reason}
        trace = {
            "version": 1,
            "id": one.id.removeprefix("sample_"),
            "task": task,
            "agent": {"config": {"model": model}, "name": one.arm},
            "nodes": nodes,
            "calls": [call],
            "rewards": {SCORE: {"score": one.score, "weight": 1.0}},
            "info": {"answer": one.answer, "context": one.context, "note": one.note, "rollout": one.rollout},
            "is_completed": True,
            "ok": True,
        }
        yield {"id": trace["id"], "task": task, "ok": True, "traces": [trace]}
