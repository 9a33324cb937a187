"""Rollouts in a terminal: whatever a model wrote is text, and long texts are short."""

import re
from io import StringIO

from rich.console import Console

from gapcast.cli.printing.samples import LINES, MOST, print_pair
from gapcast.contract.samples import SampleOut, shortened
from gapcast.display.visible import visible

HOSTILE = "\x1b]0;title\x07\x1b[2J[red]a\rb\u202e\u200b\ud800[/]"
SHOWN = r"\x1b]0;title\x07\x1b[2J[red]a\rb\u202e\u200b\ud800[/]"


def sample(arm: str, score: float, completion: str, context: str | None = None) -> SampleOut:
    fields = {"id": "sample_1", "probe_id": "probe_1", "flip": "gained", "problem_id": "p\x1b[1m", "rollout": 3}
    texts = {"prompt": "1+1=\n\u2066", "context": context, "completion": completion, "answer": "2", "expected": "2\x9b"}
    return SampleOut.model_validate(fields | texts | {"arm": arm, "score": score, "finish_reason": "length"})


def printed(student: SampleOut, teacher: SampleOut | None = None, *, full: bool = False) -> str:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=80, emoji=False)
    print_pair(console, student, teacher, full=full)
    return screen.getvalue()


def test_a_pair_is_read_line_by_line() -> None:
    assert printed(sample("student", 0, "3"), sample("context", 1, "so\n2", "it is 2")).splitlines() == [
        r"p\x1b[1m, rollout 3, gained: the student is wrong, the self-teacher right",
        "  Prompt",
        "    1+1=",
        r"    \u2066",
        r"  Student: score 0, truncated at max_tokens, read 2, expected 2\x9b",
        "    3",
        "  Context",
        "    it is 2",
        r"  Self-teacher: score 1, truncated at max_tokens, read 2, expected 2\x9b",
        "    so",
        "    2",
    ]


def test_hostile_texts_are_shown_as_text() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("Größe 数 🙂\nok") == "Größe 数 🙂\nok"
    shown = printed(sample("student", 0, HOSTILE.replace("\ud800", "")), sample("context", 1, "x", HOSTILE[:-4]))
    assert f"    {SHOWN}".replace(r"\ud800", "") in shown
    assert not {one for one in shown if not one.isprintable()} - {"\n"}


def test_long_texts_are_short_unless_asked_for() -> None:
    word, lines = "x" * 100_000, "\n".join(map(str, range(500)))
    short = printed(sample("student", 0, word), sample("context", 1, lines))
    assert len(short) < 3 * MOST
    assert "characters are left out here" in short
    assert len(short.splitlines()) < 3 * LINES
    assert f"    {word}" in printed(sample("student", 0, word), full=True)
    for most in range(200, 300):
        cut = shortened(word + "end", most)
        assert most - 5 < len(cut) <= most
        parts = re.fullmatch(r"(x+)\n\[\.\.\. (\d+) characters are left out here \.\.\.\]\n(x+end)", cut)
        assert parts is not None
        assert len(parts[1]) + int(parts[2]) + len(parts[3]) == 100_003
