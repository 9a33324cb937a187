"""Stored rollouts for people: a student's and its self-teacher's side by side, whatever their texts hold."""

from collections.abc import Iterator

from rich.console import Console

from gapcast.contract.samples import shortened
from gapcast.display.visible import visible
from gapcast.models import Sample
from gapcast.sample_words import FLIPS, scored
from gapcast.words import arm_name

MOST = 1200
"""characters of a text that are shown: some 15 lines"""
LINES = 16
"""of a text that are shown"""
INDENT = "    "


def print_pair(console: Console, student: Sample, teacher: Sample | None, *, full: bool) -> None:
    """Print a student's rollout and the self-teacher's of the same number."""
    _head(console, student)
    _print(console, "Prompt", student.question, full=full)
    _answer(console, student, full=full)
    if teacher is not None:
        _print(console, "Context", teacher.context if teacher.context is not None else "(none)", full=full)
        _answer(console, teacher, full=full)


def print_sample(console: Console, sample: Sample, *, full: bool) -> None:
    """Print one rollout of an arm with what it was asked."""
    _head(console, sample)
    _print(console, "Prompt", sample.question, full=full)
    _answer(console, sample, full=full)


def _head(console: Console, sample: Sample) -> None:
    flip = f", {FLIPS[sample.flip]}" if sample.flip is not None else ""
    text = f"{visible(sample.problem_id)}, rollout {sample.rollout}{flip}"
    console.print(text, style="bold", highlight=False, markup=False, soft_wrap=True)


def _answer(console: Console, sample: Sample, *, full: bool) -> None:
    name = arm_name(sample.arm)
    title = f"{name[:1].upper()}{name[1:]}: {scored(sample)}"
    for label, text in (("read", sample.answer), ("expected", sample.expected)):
        if text is not None:
            title += f", {label} {' '.join(visible(shortened(text, MOST)).split())}"
    _print(console, title, sample.completion, full=full)


def _print(console: Console, title: str, text: str, *, full: bool) -> None:
    console.print(f"  {title}", highlight=False, markup=False, soft_wrap=True)
    for line in _lines(text if full else shortened(text, MOST), full=full):
        console.print(INDENT + line, highlight=False, markup=False, soft_wrap=True)


def _lines(text: str, *, full: bool) -> Iterator[str]:
    lines = visible(text).split("\n")
    if full or len(lines) <= LINES:
        yield from lines
        return
    half = LINES // 2
    yield from lines[:half]
    yield f"[... {len(lines) - LINES} lines are left out here ...]"
    yield from lines[-half:]
