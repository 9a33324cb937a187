"""Templates of privileged contexts: data with placeholders, filled by plain substitution.

Change one and `gapcast.contract.contexts.TEMPLATE_VERSION` changes with it: a probe's content address contains it.
The completion shape is for models without a chat template, which go on from the end of their prompt: the lab's models
were pre-trained on exactly these texts. The chat shape is for models that are asked.
"""

import re
from collections.abc import Mapping
from typing import Literal

from gapcast.contract.contexts import TEMPLATE_VERSION
from workers.failures import JobError

Shape = Literal["chat", "completion"]

TEACHER_PROMPT = "{context}\n\n{prompt}"
"""A model without a chat template goes on from the end of its prompt, so the question comes last."""

CHAT_PROMPT = (
    "{prompt}\n\n{context}\n\n## What to do\n\n"
    "Now answer the original question above. You must still write your own full solution, from its first step to the "
    "final answer and in the form that the question asks for, as if the question stood alone: do not mention what was "
    "given after it."
)
"""The last sentence keeps the self-teacher's answers such as the student, who sees none of this, can write."""

CHAT_PREAMBLE = "{context}\n\n{prompt}"
"""`static` says who is to answer, not how: it comes first and nothing follows the question."""

CASE_INPUT = "Input:\n{text}"
CASE_EXPECTED = "Expected:\n{text}"
CASE_GOT = "Got:\n{text}"
"""The lines of one failing case, in both shapes."""

LEFT_OUT = "{head}\n[{count} characters left out]\n{tail}"
"""A long input or output of a failing case."""

EXTRACTION: Mapping[Shape, str] = {
    "chat": (
        "Here are a problem and a correct solution of it.\n\n## Problem\n\n{problem}\n\n## Solution\n\n{solution}\n\n"
        "## What to do\n\n"
        "Write at most three short hints that would help someone who has not seen the solution to find it: the idea "
        "that it rests on, the first step, the mistake to avoid. Do not give away the final answer, and do not copy "
        "the solution or its code. Write the hints and nothing else."
    ),
    "completion": (
        "Problem: {problem}\n\nSolution: {solution}\n\n"
        "Hint: the idea of this solution, without giving away its final answer, is to"
    ),
}
"""Asks the model for hints, which the context kind `hints` with source `model` shows."""

EXTRACTION_STOP: Mapping[Shape, tuple[str, ...]] = {"chat": (), "completion": ("\n\n",)}
"""A model without a chat template would go on with a problem of its own: its hints are one paragraph."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(template: str, **values: str) -> str:
    """The template with every placeholder replaced in one pass, so that braces inside a value stay as they are.

    Raises:
        KeyError: the template names a value that is not given.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def require_template_version(version: str) -> None:
    """Refuses a configuration that was made for other templates than this worker has."""
    if version != TEMPLATE_VERSION:
        raise JobError(
            "template_version_mismatch",
            f"This worker's context templates have version {TEMPLATE_VERSION!r}, not {version!r}.",
            "template_version",
            "server",
        )
