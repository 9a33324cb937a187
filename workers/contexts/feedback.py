"""The verifier's feedback on an attempt as a text."""

from gapcast.contract.contexts import FeedbackOptions
from workers.contexts.matching import stands_in
from workers.contexts.templates import CASE_EXPECTED, CASE_GOT, CASE_INPUT, LEFT_OUT, fill
from workers.tasks import Verdict

SHOWN_WHOLE = 2048
"""Characters of an input or output that are shown whole, some 600 tokens: inputs of 100,000 numbers are common in code
tasks, and what is wrong shows at the ends. A longer one says how much was left out of its middle. Verifiers quote at
most 2,000 characters of an attempt, which are not shortened again."""


def feedback_text(verdict: Verdict, options: FeedbackOptions) -> str:
    """The note and at most `max_cases` failing cases; expected outputs only with `show_expected`.

    What an attempt without an input came to is not repeated where the note has named it.
    """
    parts = [verdict.note]
    for case in verdict.failures[: options.max_cases]:
        lines = [] if case.input is None else [fill(CASE_INPUT, text=_shortened(case.input))]
        if options.show_expected:
            lines.append(fill(CASE_EXPECTED, text=_shortened(case.expected)))
        if case.input is not None or not stands_in(case.got, verdict.note):
            lines.append(fill(CASE_GOT, text=_shortened(case.got)))
        parts.append("\n".join(lines))
    return "\n\n".join(part for part in parts if part)


def _shortened(text: str) -> str:
    if len(text) <= SHOWN_WHOLE:
        return text
    half = SHOWN_WHOLE // 2
    return fill(LEFT_OUT, head=text[:half], count=str(len(text) - 2 * half), tail=text[-half:])
