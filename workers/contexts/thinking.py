"""Parts a completion into thinking and answer."""

OPENS, CLOSES = "<think>", "</think>"
"""The tags of Qwen3, DeepSeek and Olmo."""


def answer_part(text: str) -> str:
    """The completion without its thinking: what verifiers see. A text without tags is unchanged.

    It is what follows the last closing tag, as in Qwen3's own chat template, so a completion may begin inside the
    thinking that its prompt has opened. Thinking that is not closed reaches to the end.
    """
    if OPENS not in text and CLOSES not in text:
        return text
    return text.rpartition(CLOSES)[2].partition(OPENS)[0].strip()
