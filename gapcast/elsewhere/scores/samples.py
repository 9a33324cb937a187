"""Lines of JSON that harnesses write of each rollout: traces of verifiers, samples of lm-eval, generations of verl.

Sources: verifiers 0.4 (v1/episode.py, v1/trace.py), lm-eval 0.4.13 (loggers/evaluation_tracker.py), verl 0.7
(`_dump_generations` of trainer/ppo/ray_trainer.py).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gapcast.elsewhere.scores.lines import Row, ScoresError, field, name_of, objects


def verifiers_rows(path: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rollouts of a `traces.jsonl` of verifiers v1: one episode a line.

    A problem is the task's `id`, else its `name`, else its place in the taskset: the key is a hash of the prompt, which
    differs with a context. The score is the sum of the weighted rewards, or the reward that is named.

    Raises:
        ScoresError: an episode has several traces, or a rollout was not scored.
        OSError: the file cannot be read.
    """
    for where, episode in objects(path):
        traces = episode.get("traces")
        if not isinstance(traces, list) or len(traces) != 1:
            agents = ", ".join(str(_at(trace, "agent", "name")) for trace in traces or [])
            raise ScoresError(
                f"{where}: expected one trace, got {len(traces or [])}{f' (agents {agents})' if agents else ''}. Keep "
                "the traces of one agent."
            )
        trace = traces[0]
        data = _at(trace, "task", "data") or _at(episode, "task", "data") or {}
        wanted = [names["problem"]] if "problem" in names else ["id", "name", "idx"]
        problem = next((data[one] for one in wanted if data.get(one) is not None), None)
        yield Row(where, name_of(where, problem), _reward(where, trace, names.get("score")))


def _reward(where: str, trace: Mapping[str, Any], name: str | None) -> float:
    rewards = {one: found for one, found in (trace.get("rewards") or {}).items() if isinstance(found, dict)}
    if not rewards:
        errors = ", ".join(str(error.get("type")) for error in trace.get("errors") or [])
        raise ScoresError(
            f"{where}: expected rewards, got a rollout that was not scored{f' ({errors})' if errors else ''}. Run it "
            "again with --resume."
        )
    if name is None:
        return float(sum(one["score"] * one.get("weight", 1.0) for one in rewards.values()))
    return float(field(where, rewards, {"score": name}, "score", ())["score"])


def lm_eval_rows(path: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield the documents of a `samples_TASK.jsonl` of lm-eval; `--map score=METRIC,FILTER` names one of several.

    Raises:
        ScoresError: there are several metrics or filters, and none is named.
        OSError: the file cannot be read.
    """
    metric, _, wanted = names.get("score", "").partition(",")
    seen: set[str] = set()
    for where, row in objects(path):
        kind = str(row.get("filter", "none"))
        if wanted and kind != wanted:
            continue
        seen.add(kind)
        metrics = [str(one) for one in row.get("metrics") or []]
        if (not metric and len(metrics) != 1) or len(seen) > 1:
            of = [f"{one},{each}" for one in metrics for each in sorted(seen)]
            raise ScoresError(
                f"{where}: expected one metric and filter, got {', '.join(of)}. Name one, --map score=NAME."
            )
        score = field(where, row, {"score": metric or metrics[0]}, "score", ())
        yield Row(where, name_of(where, field(where, row, names, "problem", ("doc_id",))), score)


def verl_rows(path: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rollouts of a `STEP.jsonl` of verl's `trainer.validation_data_dir`.

    A validation goes through its problems in one order, so a problem is the place of its prompt: the prompt itself
    differs with a context. `--map problem=NAME` takes a field in its place.

    Raises:
        ScoresError: a line is not a rollout.
        OSError: the file cannot be read.
    """
    places: dict[str, int] = {}
    for where, row in objects(path):
        prompt = str(field(where, row, {}, "problem", ("input",)))
        place = places.setdefault(prompt, len(places))
        problem = field(where, row, names, "problem", ()) if "problem" in names else place
        yield Row(where, name_of(where, problem), field(where, row, names, "score", ("acc", "score")))


def _at(value: object, *way: str) -> Any:  # noqa: ANN401
    for part in way:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
