"""Rollouts of a round: arms of its own for each configuration, two that a student's configurations share."""

import pytest

from service.deciding import Configuration, cost


def configuration(student="m", rollouts=4, teacher="a"):
    return Configuration(0, {}, "g", student, f"{student} {teacher}", rollouts, 1000)


THREE = [configuration(teacher=teacher) for teacher in "abc"]


@pytest.mark.parametrize(
    ("configurations", "have", "want", "rollouts"),
    [
        (THREE, {}, {0: 32, 1: 32, 2: 32}, 32 * 4 * (3 + 2)),
        (THREE, {0: 32, 1: 32, 2: 32}, {0: 40}, 8 * 4 * (1 + 2)),
        (THREE, {0: 40, 1: 32}, {1: 40}, 8 * 4),  # the student has been there
        (THREE, {0: 40, 1: 40}, {0: 40, 1: 32}, 0),  # nothing is given back
        ([configuration("m"), configuration("n")], {}, {0: 8, 1: 8}, 8 * 4 * (2 + 4)),
        # 8 problems with 8 rollouts, and 8 more with 2
        (
            [configuration(rollouts=8), configuration(rollouts=2, teacher="b")],
            {},
            {0: 8, 1: 16},
            64 + 32 + 2 * (64 + 16),
        ),
        ([configuration(), configuration()], {}, {0: 8, 1: 16}, 16 * 4 * (1 + 2)),  # one context under two recipes
        ([configuration()], {}, {}, 0),
    ],
)
def test_student_and_none_are_paid_once(configurations, have, want, rollouts):
    assert cost(configurations, have, want) == rollouts
