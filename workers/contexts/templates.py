"""Templates of privileged contexts: data with placeholders, filled by plain substitution.

Change a template and `TEMPLATE_VERSION` in `service.catalog.schemas` changes with it: a probe's content address
contains it.
"""

import re
from collections.abc import Mapping

from service.catalog.contexts import ContextKind

BLOCKS: Mapping[ContextKind, str] = {
    ContextKind.static: "{text}",
    ContextKind.feedback: "Feedback: {feedback}",
    ContextKind.hints: "Hints: {hints}",
    ContextKind.reference_solution: "Solution: {solution}",
    ContextKind.placebo: "Solution: {solution}",
}

TEACHER_PROMPT = "{context}\n\n{prompt}"
"""A model without a chat template goes on from the end of its prompt, so the question comes last."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(template: str, **values: str) -> str:
    """The template with every placeholder replaced in one pass, so that braces inside a value stay as they are.

    Raises:
        KeyError: the template names a value that is not given.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)
