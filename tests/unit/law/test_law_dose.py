"""Doses, collapses by dose, and names that are nearly the same."""

import pytest

from service.law.dose import Dose, Look, by_dose, collapses, outside
from service.law.similar import similar

CURVE = [Look(10, 0.02, 1e-4), Look(20, 0.05, 4e-4), Look(100, 0.13, 9e-4), Look(200, 0.15, 1e-4)]


@pytest.mark.parametrize(
    ("steps", "dose"),
    [
        (1, Dose.TO_15),
        (15, Dose.TO_15),
        (16, Dose.TO_50),
        (150, Dose.TO_150),
        (151, Dose.TO_500),
        (100_000, Dose.OVER_500),
    ],
)
def test_bins(steps, dose):
    assert Dose.of(steps) is dose
    assert dose.first <= steps <= dose


def test_no_steps_have_no_bin():
    with pytest.raises(ValueError, match="steps"):
        Dose.of(0)


def test_a_curve_answers_every_bin_that_it_reaches():
    found = by_dose(CURVE, constant=True)
    assert list(found) == [Dose.TO_15, Dose.TO_50, Dose.TO_150, Dose.TO_500]
    assert found[Dose.TO_15].step == 15
    assert found[Dose.TO_15].improvement == pytest.approx(0.035)
    assert found[Dose.TO_15].variance == pytest.approx(0.015**2)
    assert found[Dose.TO_50].improvement == pytest.approx(0.05 + 30 / 80 * 0.08)
    assert found[Dose.TO_150].improvement == pytest.approx(0.14)
    assert found[Dose.TO_500] == CURVE[-1]


def test_before_the_first_look_is_the_baseline():
    found = by_dose([Look(60, 0.12, 4e-4)], constant=True)
    assert found[Dose.TO_15] == pytest.approx((15, 0.03, 0.005**2, 0))
    assert found[Dose.TO_150] == (60, 0.12, 4e-4, 0)


def test_a_schedule_counts_for_its_own_length():
    assert by_dose(CURVE, constant=False) == {Dose.TO_500: CURVE[-1]}
    assert by_dose([], constant=False) == {}


@pytest.mark.parametrize("steps", [[0, 5], [5, 5], [7, 3]])
def test_looks_out_of_order_are_refused(steps):
    with pytest.raises(ValueError, match="ascend"):
        by_dose([Look(step, 0.0, 0.0) for step in steps], constant=True)


def test_doses_beyond_the_stored_ones():
    assert not outside(150, [100, 400])
    assert not outside(600, [100, 400])
    assert outside(601, [100, 400])
    assert outside(66, [100, 400])
    assert outside(1e-3, [])


def test_collapses_by_dose():
    """Good short runs do not make long ones safe, and a collapse counts for every longer dose."""
    found = collapses([(150, False, 400), (1000, True, 3)])
    assert found[Dose.OVER_500][1:] == (3, 3)
    assert found[Dose.OVER_500].probability == pytest.approx(4 / 23)
    assert found[Dose.TO_150][1:] == (0, 403)
    assert found[Dose.TO_150].probability == pytest.approx(1 / 423)
    early = collapses([(20, True, 1), (1000, False, 1)])
    assert early[Dose.TO_15][1:] == (0, 2)
    assert early[Dose.TO_50][1:] == (1, 2)
    assert early[Dose.OVER_500][1:] == (1, 2)


def test_collapse_is_monotone_in_dose():
    found = collapses([(10, True, 4), (10, False, 4), (1000, False, 200)])
    probabilities = [each.probability for each in found.values()]
    assert probabilities == sorted(probabilities)
    assert [each.probability for each in collapses([]).values()] == [0.05] * 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3", "Qwen3"),
        ("Qwen-3", "Qwen3"),
        ("Qwn3", "Qwen3"),
        ("Qwenn3", "Qwen3"),
        ("Quen3", "Qwen3"),
        ("Qwen3", None),
        ("Qwen2", None),
        ("Qwen", None),
        ("Olmo-3-Base", None),
        ("llama", "Llama"),
        ("", None),
    ],
)
def test_similar_families(name, expected):
    assert similar(name, ["Qwen3", "Olmo-3", "Llama"]) == expected
