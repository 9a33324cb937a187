"""When a hopeless run is stopped, and whether the promises hold."""

import json

import numpy as np
import pytest

from service.law.curve import (
    ALPHA,
    BOW,
    GRID,
    STRAYING,
    Begun,
    Cell,
    Curve,
    Forecast,
    Grounds,
    T,
    cell,
    forecast,
    is_checked,
    lowest,
    most_good_stopped,
    needed,
    prior,
    rule,
    stopped_at,
    threshold,
)
from service.law.estimator import GapLaw
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray, Observations
from tests.unit.law.test_law_curve import made

SHARES = np.array([0.02, 0.05, 0.2, 0.5, 0.75, 0.9])
LAW = NormalMixture(np.ones((1, 1)), np.full((1, 1), 0.15), np.full((1, 1), 0.05))
BASELINE = 0.4


class TestRule:
    def test_it_is_learnt_once_enough_good_runs_are_known(self) -> None:
        few, enough = rule(np.full(18, 0.3)), rule(np.full(19, 0.3))
        assert (few.threshold, few.learnt, few.good_runs) == (ALPHA, False, 18)
        assert (enough.threshold, enough.learnt, enough.good_runs) == (0.3, True, 19)
        assert (needed(0.05), needed(0.02), needed(0.1)) == (19, 49, 9)

    def test_whoever_states_no_error_has_a_threshold_of_his_own(self) -> None:
        found = rule(np.full(40, 0.3), None, 0.2)
        assert (found.threshold, found.learnt) == (0.2, False)

    def test_it_stops_below_its_threshold_between_5_and_75_percent(self) -> None:
        found = rule([], alpha=0.1)
        assert [t for t in SHARES if found.stops(t, 0.09, is_cold=False)] == [0.05, 0.2, 0.5, 0.75]
        assert not found.stops(0.2, 0.1, is_cold=False)

    def test_it_is_off_in_a_cold_cell_unless_asked(self) -> None:
        assert not rule([]).stops(0.2, 0.0, is_cold=True)
        assert rule([], cold=True).stops(0.2, 0.0, is_cold=True)

    def test_looks_that_may_not_stop_do_not_count(self) -> None:
        p = np.array([0.0, 0.5, 0.3, 0.2, 0.4, 0.0])
        assert lowest(SHARES, p) == 0.2
        assert stopped_at(SHARES, p, 0.25) == 0.5
        assert stopped_at(SHARES, p, 0.2) is None
        assert lowest(np.array([0.9]), np.array([0.0])) == 1.0

    def test_one_stop_in_ten_is_not_carried_out(self) -> None:
        assert [draw for draw in range(30) if is_checked(draw)] == [0, 10, 20]


def runs(rng: np.random.Generator, of_cell: Cell, count: int) -> list[tuple[float, Forecast]]:
    """Draw runs from the very model by which they are forecast: true ends and forecasts."""
    ends = np.array([GRID[rng.choice(401, p=BEFORE)] for _ in range(count)])
    places = rng.choice(of_cell.weight.size, size=count, p=of_cell.weight.ravel())
    found = []
    for end, place in zip(ends, places, strict=True):
        way, bow = np.unravel_index(place, of_cell.weight.shape)
        part, time = STRAYING[way // len(T)], T[way % len(T)]
        curve = made(rng, end, float(time), float(BOW[bow]), SHARES[:-1], 3e-4, float(part))
        found.append((end, forecast(BEFORE, of_cell, curve, BASELINE)))
    return found


BEFORE: FloatArray = prior(LAW, 6e-4, 3e-4, BASELINE)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[float, Forecast]]:
    return runs(np.random.default_rng(1), cell([]), 400)


class TestPromises:
    """Of runs that the model draws: 400, a standard error of .011 at 5 %."""

    def test_of_those_that_are_stopped_few_would_have_been_good(self, drawn: list[tuple[float, Forecast]]) -> None:
        stopped = [end for end, after in drawn if lowest(SHARES[:-1], after.p_above(0.05)) < 0.2]
        assert len(stopped) > 40
        assert np.mean(np.array(stopped) > 0.05) < 0.2 + 0.04

    def test_of_the_good_ones_no_more_are_stopped_than_the_bound(self, drawn: list[tuple[float, Forecast]]) -> None:
        p_good = float(BEFORE[GRID > 0.05].sum())
        bound = most_good_stopped(0.1, p_good)
        assert 0.02 < bound < 0.1
        stopped = [lowest(SHARES[:-1], after.p_above(0.05)) < 0.1 for end, after in drawn if end > 0.05]
        assert np.mean(stopped) < bound + 0.02

    def test_the_bound_is_lives(self) -> None:
        assert most_good_stopped(0.1, 0.7) == pytest.approx(0.048, abs=0.0005)
        assert most_good_stopped(0.5, 0.1) == 1.0

    def test_a_learnt_threshold_keeps_its_word_where_the_model_is_wrong(self) -> None:
        """The runs stray twice as far as the model thinks."""
        rng, of_cell = np.random.default_rng(2), cell([])
        kept = []
        for _ in range(300):
            end = float(rng.normal(0.15, 0.1))
            curve = made(rng, end, 0.3, 0.3, SHARES[:-1], 3e-4)
            kept.append((end, lowest(SHARES[:-1], forecast(BEFORE, of_cell, curve, BASELINE).p_above(0.05))))
        good = np.array([low for end, low in kept if end > 0.05])
        wrong = [new < (threshold(np.delete(good, place)[:60], 0.1) or 0.0) for place, new in enumerate(good)]
        assert np.mean(wrong) < 0.1 + 0.05


class TestGrounds:
    @pytest.fixture
    def grounds(self) -> Grounds:
        rng = np.random.default_rng(3)
        gap = rng.uniform(0, 0.5, 12)
        law = GapLaw().fit(
            Observations(
                gap=gap,
                gap_var=np.full(12, 9e-4),
                improvement=gap * 0.8 + rng.normal(0, 0.04, 12),
                improvement_var=np.full(12, 9e-4),
                family=["f"] * 12,
                cell=["f|t|ema-forward_kl"] * 12,
            )
        )
        return Grounds(law, {"family": "f", "cell": "f|t|ema-forward_kl"}, cell([]))

    def test_a_record_forecasts_as_what_it_was_written_from(self, grounds: Grounds) -> None:
        read = Grounds.from_record(json.loads(json.dumps(grounds.to_record())))
        begun = Begun(BASELINE, 0.3, 9e-4, 3e-4)
        seen = Curve(SHARES[:3], np.array([0.02, 0.05, 0.1]), np.full(3, 3e-4), 3e-4)
        one, other = (each.begin(begun, 3e-4, 3e-4).after(seen) for each in (grounds, read))
        np.testing.assert_allclose(other.end, one.end, atol=1e-12)
        assert read.cell.runs == grounds.cell.runs

    def test_a_later_look_changes_nothing_of_an_earlier_forecast(self, grounds: Grounds) -> None:
        expected = grounds.begin(Begun(BASELINE, 0.3, 9e-4, 3e-4), 3e-4, 3e-4)
        seen = Curve(SHARES[:3], np.array([0.02, 0.05, 0.1]), np.array([3e-4, 9e-4, 1e-4]), 3e-4)
        whole, first = expected.after(seen), expected.after(seen.take(np.arange(1)))
        np.testing.assert_allclose(whole.end[0], first.end[0], atol=1e-12)
        assert whole.p_above(0.05)[0] == pytest.approx(first.p_above(0.05)[0])

    def test_the_gap_moves_what_is_expected(self, grounds: Grounds) -> None:
        seen = Curve(SHARES[:1], np.array([0.02]), np.full(1, 3e-4), 3e-4)
        small, large = (
            grounds.begin(Begun(BASELINE, gap, 9e-4, 3e-4), 3e-4, 3e-4).after(seen).mean[0] for gap in (0.0, 0.4)
        )
        assert large > small + 0.1
