"""The published runs: what is read of pairs.csv, and what it assumes."""

import pytest

from studies.published.pairs import Pair, pairs

ROWS = pairs()


def test_the_rows_that_are_used() -> None:
    assert len(ROWS) == len({row.name for row in ROWS}) == 18
    assert [row.on for row in ROWS].count("held_out") == 13
    eleven = [row for row in ROWS if row.source.startswith("arXiv 2602.12275") and row.teacher == "frozen"]
    assert len(eleven) == 11
    assert {row.steps for row in eleven} == {50}
    assert max(len(row.name) for row in ROWS) <= 255


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_standard_errors_are_those_that_are_assumed_of_means(row: Pair) -> None:
    n, left = row.problems, (1 + 1 / (row.rollouts or 1)) / 2
    own, gap, improvement = (p * (1 - p) for p in (row.baseline, row.self_teacher, row.trained))
    assert row.gap_se == pytest.approx((0.6 * (own + gap) / n * left) ** 0.5, abs=6e-5)  # four decimals are stored
    assert row.improvement_se == pytest.approx((0.6 * (own + improvement) / n * left) ** 0.5, abs=6e-5)
    assert row.cov == pytest.approx(0.3 * own / n * left, abs=1e-6)


def test_numbers_that_a_source_does_not_give_are_marked() -> None:
    assert {row.source: row.inferred for row in ROWS if "2601.19897" in row.source}.popitem()[1] == ("problems",)
    live = [row for row in ROWS if row.teacher == "live"]
    assert [(row.collapsed, row.best_of_run) for row in live] == [(True, True), (False, False)]
    assert live[1].inferred == ("baseline", "self_teacher")
