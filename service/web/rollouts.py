"""Stored rollouts as the pages show them: a student's and its self-teacher's beside each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from sqlalchemy.orm import Session

from gapcast import sample_words, words
from gapcast.contract.lists import SampleQuery
from gapcast.contract.samples import ArmName, Flip, Sample, shortened
from service.samples import service as samples

MOST = 1200
"""characters of a text that are shown: some 15 lines; the API has all that is stored"""


class Written(NamedTuple):
    """What one arm wrote, and what the verifier found."""

    arm: str
    scored: str
    text: str


class Pair(NamedTuple):
    """The rollouts of one number of the student and of the self-teacher."""

    title: str
    prompt: str
    shown: str
    """the context of the self-teacher"""
    expected: str
    written: list[Written]


def flips(session: Session, probe_id: str, most: int) -> list[Pair]:
    """Return pairs of which one is right: first those where it is the self-teacher."""
    found: list[Pair] = []
    for flip in sample_words.FLIPS:
        left = most - len(found)
        if left:
            asked = SampleQuery(flip=cast(Flip, flip), limit=min(100, 2 * left))
            found += _pairs(samples.page(session, probe_id, asked).data, flip)[:left]
    return found


def _pairs(rows: Sequence[Sample], flip: str) -> list[Pair]:
    of = {(one.problem_id, one.rollout, one.arm): one for one in rows}
    return list(_paired(of, flip))


def _paired(of: Mapping[tuple[str, int, ArmName], Sample], flip: str) -> Iterator[Pair]:
    for (problem, rollout, arm), student in of.items():
        teacher = of.get((problem, rollout, "context"))
        if arm == "student" and teacher is not None:
            yield Pair(
                title=f"{problem}, {sample_words.FLIPS[flip]}",
                prompt=shortened(student.question, MOST),
                shown=shortened(teacher.context, MOST) if teacher.context is not None else "",
                expected=shortened(student.expected, MOST) if student.expected is not None else "",
                written=[_written(one) for one in (student, teacher)],
            )


def _written(one: Sample) -> Written:
    return Written(words.sentence(words.arm_name(one.arm)), sample_words.scored(one), shortened(one.completion, MOST))
