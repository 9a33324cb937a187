"""Tasks that another library makes: a description in place of a task's name becomes problems and their scorer.

    task: {generator: reasoning-gym, name: leg_counting, config: {max_animals: 4}}
    task: {taskset: gsm8k-v1}

The problems are made where the request is sent from, and stored like those of a file; a worker scores with the library
itself. Both need the library: `pip install 'gapcast[reasoning-gym]'` or `'gapcast[verifiers]'`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gapcast.contract.base import JsonObject
from gapcast.contract.faults import shown
from gapcast.contract.nearest import did_you_mean

OF_ALL = ("config", "problems", "held_out", "max_tokens")
"""fields of every description"""
USUAL_PROBLEMS, USUAL_HELD_OUT = 512, 256
"""as the lab's tasks have"""


class GeneratorError(ValueError):
    """A described task cannot be made; the message says why, and the way out."""


@dataclass(frozen=True)
class Generated:
    """A task that a library has made.

    Attributes:
        name: ends in a hash of its description.
        verifier: the name of the plugin that scores it.
        options: the plugin's.
        problems: as lines of a task file.
        max_tokens: of a completion; None: the usual.
    """

    name: str
    verifier: str
    options: JsonObject
    problems: list[JsonObject]
    max_tokens: int | None = None

    @property
    def lines(self) -> bytes:
        """The task's file."""
        return b"".join(json.dumps(problem).encode() + b"\n" for problem in self.problems)

    @property
    def header(self) -> dict[str, str]:
        """The parameters that it is stored with; its scorer is the library's own, so no self-check judges it."""
        options = {"name": self.verifier, "options": self.options}
        header = {"name": self.name, "verifier": "plugin", "options": json.dumps(options), "accept": "true"}
        return header | ({"max_tokens": str(self.max_tokens)} if self.max_tokens is not None else {})


def described(body: Any) -> Iterator[JsonObject]:  # noqa: ANN401
    """Yield the parts of a request's body whose `task` is a description."""
    parts = list(body) if isinstance(body, list) else [body]
    if isinstance(body, dict):
        parts += [body.get("base"), *(body.get("configurations") or [])]
    yield from (part for part in parts if isinstance(part, dict) and isinstance(part.get("task"), dict))


def generated(task: Mapping[str, Any]) -> Generated:
    """Make the task of a description.

    Raises:
        GeneratorError: the library is not installed, or cannot make it.
    """
    if "taskset" in task:
        from gapcast.generators import verifiers

        return verifiers.make(fields_of(task, ("taskset", *OF_ALL)))
    if task.get("generator") == "reasoning-gym":
        from gapcast.generators import reasoning_gym

        return reasoning_gym.make(
            fields_of(task, ("generator", "name", "config", "problems", "held_out", "instruction", "max_tokens"))
        )
    message = f"task.generator: expected reasoning-gym, got {shown(task.get('generator'))}."
    raise GeneratorError(f"{message} Send it, or the id of a taskset of verifiers in task.taskset.")


def fields_of(task: Mapping[str, Any], known: tuple[str, ...]) -> JsonObject:
    """Return a description's fields.

    Raises:
        GeneratorError: it has a field that is not known, or a number is not one that can be used.
    """
    for field in task:
        if field not in known:
            near = did_you_mean(str(field), known)
            raise GeneratorError(f"task.{field}: expected one of the fields {', '.join(known)}, got another.{near}")
    fields = dict(task)
    for field, usual, least in (("problems", USUAL_PROBLEMS, 2), ("held_out", USUAL_HELD_OUT, 0)):
        number = fields.setdefault(field, usual)
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise GeneratorError(f"task.{field}: expected a whole number of at least {least}, got {shown(number)}.")
    if not isinstance(fields.setdefault("config", {}), dict):
        raise GeneratorError(f"task.config: expected a mapping, got {shown(fields['config'])}.")
    if not isinstance(fields.get("instruction", ""), str):
        raise GeneratorError(f"task.instruction: expected a text, got {shown(fields['instruction'])}.")
    return fields


def name_of(library: str, name: str, description: Mapping[str, Any]) -> str:
    """Name a task by what it was made by and a hash of its description."""
    text = json.dumps(description, sort_keys=True, default=str)
    return f"{library}/{name[:50]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
