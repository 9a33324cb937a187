"""Parts a completion into thinking and answer, in every format that models use."""

import re

_TAG = re.compile(
    r"<(?P<closes>/?)(?:think|thinking|thought|seed:think)>|\[(?P<closes_>/?)THINK\]|◁(?P<closes__>/?)think▷"
)
"""Qwen3, DeepSeek, Olmo and others; Seed-OSS; Magistral; Kimi."""
_OPENED = re.compile(rf"(?:{_TAG.pattern})\s*\Z")

_CHANNEL = re.compile(r"(?:<\|start\|>)?\s*(?:assistant)?\s*<\|channel\|>\s*(?P<channel>\w+)[^<]{0,100}<\|message\|>")
"""gpt-oss: the head of a message, with its special tokens."""
_END = re.compile(r"<\|(?:end|return|call)\|>")
_BARE = re.compile(r"(?:analysis|commentary)(?=[^a-z\s]|\Z)")
_BARE_FINAL = re.compile(r"final(?=[^a-z\s]|\Z)")
_BARE_LATER = "assistantfinal"
"""gpt-oss: the same where the special tokens have been left out, `analysisWe get 42.assistantfinal42`."""


def answer_part(text: str, *, opened: bool = False) -> str:
    """Return a completion without its thinking: what verifiers see. A text without any is unchanged.

    A completion that ends inside its thinking has no answer. A tag that an answer mentions stays in it: an opening tag
    begins thinking only at the start of a line, or if it is closed later.

    Args:
        text: the completion, without its prompt.
        opened: True if the prompt has opened a thinking part (`opens_thinking`), so that the completion begins inside.
    """
    if "<|channel|>" in text:
        return _final_channel(text)
    if text.startswith(("analysis", "commentary")) and _BARE_LATER in text:
        return text.rpartition(_BARE_LATER)[2].strip()
    if _BARE.match(text):
        return ""
    if _BARE_FINAL.match(text):
        return text[len("final") :].strip()
    tags = [(found.start(), found.end(), any(found.groups())) for found in _TAG.finditer(text)]
    if not tags:
        return "" if opened else text
    last_closing = max((index for index, (_, _, closes) in enumerate(tags) if closes), default=-1)
    start = tags[last_closing][1] if last_closing >= 0 else 0
    if last_closing < 0 and opened:
        return ""
    for begin, _, _ in tags[last_closing + 1 :]:
        line = text.rfind("\n", 0, begin) + 1
        if not text[max(line, start) : begin].strip():
            return text[start:begin].strip()
    return text[start:].strip()


def opens_thinking(prompt: str) -> bool:
    """True if a prompt ends with a tag that opens thinking, so that its completions begin inside."""
    found = _OPENED.search(prompt[-100:])
    return found is not None and not any(found.groups())


def closes_thinking(text: str) -> bool:
    """True if a completion has a tag that ends thinking."""
    return any(any(found.groups()) for found in _TAG.finditer(text))


def _final_channel(text: str) -> str:
    heads = list(_CHANNEL.finditer(text))
    final = [head for head in heads if head["channel"] == "final"]
    if not final:
        return ""
    answer = text[final[-1].end() :]
    end = _END.search(answer)
    return (answer[: end.start()] if end else answer).strip()
