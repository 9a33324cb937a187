"""Elimination: within a group, by sequences that hold at every look."""

import numpy as np
import pytest

from service.deciding import Rules
from service.deciding.eliminating import eliminate, half_width
from tests.unit.deciding.conftest import configurations, known

NONE: frozenset[int] = frozenset()


def test_half_width_is_that_of_the_formula():
    # alpha .05: q = (5.991 + 1.945) / 131 = .06058; after 131 problems tq + 1 = 8.936
    expected = np.sqrt(2 * 8.936 / (131**2 * 0.06058) * np.log(np.sqrt(8.936) / 0.05))
    assert half_width(1.0, 131, 0.05) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_sequence_holds_at_all_looks_together(alpha):
    rng, looks = np.random.default_rng(0), np.arange(32, 1000)
    paths = np.cumsum(rng.standard_normal((1000, 1000)), axis=1)[:, looks - 1] / looks
    widths = np.array([half_width(1.0, int(t), alpha) for t in looks])
    left = (np.abs(paths) > widths).any(axis=1).mean()
    assert 0.2 * alpha < left < alpha + 0.01


def test_a_smaller_gap_is_eliminated_on_common_problems():
    assert eliminate(configurations(3), known([0.05, 0.3, 0.3], 128), Rules(), NONE) == {0}
    assert eliminate(configurations(3), known([0.0, 0.9, 0.9], [128, 32, 32]), Rules(), NONE) == {0}
    assert eliminate(configurations(3), known([0.0, 0.9, 0.9], [128, 31, 31]), Rules(), NONE) == NONE
    assert eliminate(configurations(3), known([0.25, 0.3, 0.3], 128), Rules(), NONE) == NONE


def test_gaps_of_different_groups_are_not_compared():
    apart = [*configurations(1, paired="another"), *configurations(2)]
    assert eliminate(apart, known([0.05, 0.3, 0.3], 128), Rules(), NONE) == NONE


def test_one_of_the_two_best_needs_two_that_beat_it():
    measured = known([0.05, 0.05, 0.3], 128)
    assert eliminate(configurations(3), measured, Rules(), NONE) == {0, 1}
    assert eliminate(configurations(3), measured, Rules(pick=2), NONE) == NONE
    assert eliminate(configurations(3), known([0.05, 0.3, 0.3], 128), Rules(pick=2), NONE) == {0}


def test_the_eliminated_stay_eliminated_and_eliminate_nobody():
    assert eliminate(configurations(2), known([0.3, 0.05], 128), Rules(), frozenset({0})) == {0}


def test_equal_scores_and_unmeasured_ones_eliminate_nobody():
    same = known([0.1], 128)[0]
    flat = same._replace(differences=np.zeros(128))
    assert eliminate(configurations(3), [same, same, None], Rules(), NONE) == NONE
    assert eliminate(configurations(2), [flat, flat], Rules(), NONE) == NONE


def test_more_configurations_ask_for_more_evidence():
    measured = known([0.18, 0.3], 128)
    assert eliminate(configurations(2), measured, Rules(), NONE) == {0}
    assert eliminate(configurations(50), measured + [None] * 48, Rules(), NONE) == NONE
