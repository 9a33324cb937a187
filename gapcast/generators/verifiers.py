"""Single-turn tasksets of verifiers v1: they make the problems, and their own rewards score them."""

import inspect
from importlib.metadata import version
from itertools import islice
from typing import Any

from gapcast.contract.base import FieldError, JsonObject
from gapcast.contract.tasksets import check_taskset
from gapcast.generators import Generated, GeneratorError, name_of

ELSEWHERE = "Evaluate it with vf-eval, and import its traces: gapcast probes import."


def make(fields: JsonObject) -> Generated:
    """Make the task of a description.

    Raises:
        GeneratorError: the library or the taskset is not installed, or it is not single-turn.
    """
    name = str(fields["taskset"])
    try:
        check_taskset(fields["taskset"], fields["config"])
    except FieldError as fault:
        raise GeneratorError(f"task.{fault.param}: {fault.message}") from None
    try:
        from verifiers.v1.utils.loaders import load_taskset, taskset_config_type
    except ImportError as error:
        raise GeneratorError(
            "task.taskset: verifiers is not installed here. Install it: pip install 'gapcast[verifiers]'."
        ) from error
    problems = fields["problems"]
    try:
        taskset = load_taskset(taskset_config_type(name)(**{"id": name, **fields["config"]}))
        tasks = list(islice(taskset, problems + fields["held_out"]))
    except Exception as error:  # whatever a taskset may raise
        raise GeneratorError(f"task.taskset: {name} cannot be loaded: {type(error).__name__}: {error}"[:500]) from error
    if len(tasks) < 2:
        raise GeneratorError(f"task.taskset: expected 2 tasks or more, got {len(tasks)}. Set config.")
    _require_single_turn(name, tasks[0])
    held_out = max(0, len(tasks) - problems) if len(tasks) > problems else min(fields["held_out"], len(tasks) // 3)
    options = {"taskset": name, "config": fields["config"], "version": version("verifiers")}
    return Generated(
        name=name_of("verifiers", name.lower().replace("_", "-"), options | {"problems": problems, "held": held_out}),
        verifier="verifiers",
        options=options,
        problems=[
            _line(one) | ({"split": "held_out"} if number >= len(tasks) - held_out else {})
            for number, one in enumerate(tasks)
        ],
        max_tokens=fields.get("max_tokens"),
    )


def _require_single_turn(name: str, task: Any) -> None:  # noqa: ANN401
    """Refuse what a prompt and a completion do not make a rollout of.

    Raises:
        GeneratorError: it needs a container, tools, or a runtime to be scored.
    """
    from verifiers.v1 import Task

    needs = [fn.__name__ for fn in task.hooks("reward") if "runtime" in inspect.signature(fn).parameters]
    why = (
        "needs a container"
        if task.NEEDS_CONTAINER
        else "has tools"
        if type(task).toolsets.__func__ is not Task.toolsets.__func__
        else f"is scored in a runtime ({', '.join(needs)})"
        if needs
        else None
    )
    if why is not None:
        raise GeneratorError(f"task.taskset: expected a single-turn taskset, got {name}, which {why}. {ELSEWHERE}")


def _line(task: Any) -> JsonObject:  # noqa: ANN401
    data = task.data
    line: JsonObject = {"id": str(next(one for one in (data.id, data.name, data.idx) if one is not None))}
    line["prompt"] = prompt_of(data)
    answer = getattr(data, "answer", None)
    return line | ({"answer": answer, "reference_solution": answer} if isinstance(answer, str) and answer else {})


def prompt_of(data: Any) -> str | list[dict[str, str]]:  # noqa: ANN401
    """Return a task's prompt as a problem has it: a text, or chat messages.

    Raises:
        GeneratorError: it shows more than text.
    """
    if isinstance(data.prompt, str) and data.system_prompt is None:
        return data.prompt
    said = [{"role": "system", "content": data.system_prompt}] if data.system_prompt is not None else []
    if isinstance(data.prompt, str):
        return [*said, {"role": "user", "content": data.prompt}]
    for message in data.prompt or []:
        if not isinstance(message.content, str) or message.role not in {"system", "user", "assistant"}:
            raise GeneratorError(
                f"task.taskset: expected prompts of text, got a message of {message.role}. {ELSEWHERE}"
            )
        said.append({"role": message.role, "content": message.content})
    return said
