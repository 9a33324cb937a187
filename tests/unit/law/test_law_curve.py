"""Where a run ends, given its looks: against dense integration, and on curves that are made by the model."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import multivariate_normal, norm

from service.law.curve import (
    BOW,
    GRID,
    MOST_LOOKS,
    STRAYING,
    TYPICAL_T,
    Cell,
    Curve,
    Finished,
    T,
    cell,
    forecast,
    prior,
    threshold,
)
from service.law.mixture import NormalMixture
from service.law.observations import FloatArray

SHARES = np.arange(1, 11) / 10
BASELINE = 0.3
LAW = NormalMixture(np.array([[0.7, 0.3]]), np.array([[0.2, 0.05]]), np.array([[0.06, 0.1]]))
SEEN = Curve(
    np.array([0.1, 0.25, 0.6]), np.array([0.09, 0.14, 0.16]), np.array([0.0004, 0.0002, 0.0003]), baseline_var=0.0003
)


def shape(t: FloatArray, time: float) -> tuple[FloatArray, FloatArray]:
    """LIVE's h and x, as written there."""
    h = (1 - np.exp(-t / time)) / (1 - np.exp(-1 / time))
    return h, h - t


def spread(curve: Curve, time: float, part: float = 1.0) -> FloatArray:
    """LIVE's C, entry by entry; the run strays by a part of R."""
    h, x = shape(curve.t, time)
    C = np.empty((len(h), len(h)))
    for i, j in np.ndindex(*C.shape):
        s, t = curve.t[i], curve.t[j]
        C[i, j] = part**2 * (0.1**2 * x[i] * x[j] + 0.1**2 * (min(s, t) - s * t))
        C[i, j] += curve.baseline_var * (1 - h[i]) * (1 - h[j])
        if i == j:
            C[i, j] += curve.var[i] + part**2 * 0.03**2
    return C


def density(curve: Curve, end: float, time: float, bow: float) -> float:
    h, x = shape(curve.t, time)
    return float(multivariate_normal.pdf(curve.gain, end * h + bow * x, spread(curve, time)))


def made(
    rng: np.random.Generator, end: float, time: float, bow: float, shares: FloatArray, var: float, part: float = 1.0
) -> Curve:
    """Draw a run's looks from the model."""
    curve = Curve(shares, np.zeros_like(shares), np.full(len(shares), var), baseline_var=var)
    h, x = shape(shares, time)
    return curve._replace(gain=rng.multivariate_normal(end * h + bow * x, spread(curve, time, part)))


def finished(rng: np.random.Generator, time: float, bow: float, count: int, part: float = 1.0) -> list[Finished]:
    ends = rng.normal(0.2, 0.1, count)
    return [
        Finished(made(rng, end, time, bow, SHARES[:-1], 3e-4, part), end + rng.normal(0, 3e-4**0.5), 3e-4)
        for end in ends
    ]


def before(baseline: float = BASELINE) -> FloatArray:
    return prior(LAW, 0.0012, 0.0005, baseline)


def dense(curve: Curve, run: Finished, part: float, ends: FloatArray) -> FloatArray:
    """(T, bows) densities of looks at a run whose end was measured, by the trapezoid rule over the true end."""
    whole, measured = np.empty((len(T), len(BOW))), norm.pdf(ends, run.end, run.end_var**0.5)
    for i, time in enumerate(T):
        h, x = shape(curve.t, time)
        off = multivariate_normal(np.zeros(len(h)), spread(curve, time, part))
        for j, bow in enumerate(BOW):
            density = off.pdf(curve.gain - ends[:, None] * h - bow * x)
            whole[i, j] = np.trapezoid(density * measured, ends)
    return whole


class TestCell:
    def test_too_few_runs_are_the_prior(self) -> None:
        runs = finished(np.random.default_rng(1), 0.05, 0.3, 3)
        few, enough = cell(runs[:2]), cell(runs)
        assert (few.runs, few.cold) == (2, True)
        assert (enough.runs, enough.cold) == (3, False)
        np.testing.assert_array_equal(few.weight, cell([]).weight)
        assert np.abs(enough.weight - few.weight).sum() > 0.2

    def test_it_is_what_dense_integration_finds(self) -> None:
        runs = finished(np.random.default_rng(2), 0.2, 0.2, 3)
        ends = np.linspace(-0.6, 1.0, 801)
        of_typical = norm.pdf(np.log(T), np.log(TYPICAL_T)[:, None], 0.5)
        of_typical /= of_typical.sum(axis=1, keepdims=True)
        prior = np.array([0.1, 0.2, 0.7])
        joints, densities = [], np.empty((len(runs), len(STRAYING)))
        for place, part in enumerate(STRAYING):
            expected = np.outer(norm.pdf(np.log(TYPICAL_T), np.log(0.1), 0.6), norm.pdf(BOW, 0, 0.12))
            for run in runs:
                told = run.curve.take(np.array([0, 1, 2, 4]))  # those nearest to 5, 10, 20, 30 and 50 %
                expected *= of_typical @ dense(told, run, part, ends)
            joints.append(of_typical.T @ (expected / expected.sum()))
            for number, run in enumerate(runs):
                look = run.curve.take(np.array([2]))  # at 30 %
                densities[number, place] = (joints[-1] * dense(look, run, part, ends)).sum()

        def improbable(logits: FloatArray) -> float:
            share = softmax(logits)
            return float(-(np.log(densities @ share).sum() + 4 * prior @ np.log(share)))

        parts = softmax(minimize(improbable, np.log(prior), tol=1e-12).x)
        joint = np.concatenate([one * part for one, part in zip(joints, parts, strict=True)])
        np.testing.assert_allclose(cell(runs).weight, joint, atol=1e-5)

    @pytest.mark.parametrize("part", STRAYING)
    def test_it_finds_how_far_such_runs_stray(self, part: float) -> None:
        """As under a frozen teacher, whose curve is over at 30 %: then the last value is the forecast."""
        known = cell(finished(np.random.default_rng(8), 0.04, 0.0, 40, part))
        of_part, _, _ = known.of_each
        assert of_part[list(STRAYING).index(part)] > 0.35
        curve = Curve(np.array([0.1, 0.2, 0.3]), np.array([0.28, 0.3, 0.3]), np.full(3, 3e-4), 3e-4)
        lower, upper = forecast(before(), known, curve, BASELINE).quantiles([0.025, 0.975])[-1]
        assert upper - lower == pytest.approx({0.25: 0.16, 0.5: 0.23, 1.0: 0.30}[part], abs=0.02)

    def test_the_runs_of_a_cold_cell_stray_as_runs_do(self) -> None:
        np.testing.assert_allclose(cell([]).of_each[0], [0, 0, 1])
        np.testing.assert_allclose(cell(finished(np.random.default_rng(8), 0.04, 0.0, 2, 0.25)).of_each[0], [0, 0, 1])

    @pytest.mark.parametrize(("time", "bow"), [(0.08, 0.05), (0.25, 0.25), (0.04, -0.05)])
    def test_it_recovers_how_such_runs_go(self, time: float, bow: float) -> None:
        _, of_time, of_bow = cell(finished(np.random.default_rng(3), time, bow, 40)).of_each
        assert float(of_bow @ BOW) == pytest.approx(bow, abs=0.06)
        assert float(np.exp(of_time @ np.log(T))) == pytest.approx(time, rel=0.4)

    def test_the_order_of_its_runs_makes_no_difference_and_the_same_runs_say_the_same(self) -> None:
        runs = finished(np.random.default_rng(4), 0.1, 0.1, 5)
        np.testing.assert_allclose(cell(runs).weight, cell(runs[::-1]).weight, atol=1e-12)
        np.testing.assert_array_equal(cell(runs).weight, cell(list(runs)).weight)


class TestPrior:
    def test_it_is_the_laws_mixture_wider_with_a_share_that_ends_anywhere(self) -> None:
        density = np.zeros_like(GRID)
        for weight, mean, sd in zip([0.7, 0.3], [0.2, 0.05], [0.06, 0.1], strict=True):
            density += 0.9 * weight * norm.pdf(GRID, mean, (sd**2 - 0.0005 + 0.1**2) ** 0.5)
        density += 0.1 / 1.06
        density[(GRID < -0.33) | (GRID > 0.73)] = 0
        np.testing.assert_allclose(before(), density / density.sum(), rtol=1e-9)

    def test_a_prediction_that_is_surer_than_its_measurement_keeps_a_spread(self) -> None:
        sure = NormalMixture(np.ones((1, 1)), np.full((1, 1), 0.2), np.full((1, 1), 0.001))
        assert np.isfinite(prior(sure, 0.01, 0.01, 0.5)).all()


class TestForecast:
    def test_it_is_what_dense_integration_finds(self) -> None:
        of_cell = cell(finished(np.random.default_rng(5), 0.2, 0.2, 6))
        found = forecast(before(), of_cell, SEEN, BASELINE)
        for k in range(3):
            seen = SEEN.take(np.arange(k + 1))
            likelihood = np.zeros_like(GRID)
            ways = [(part, time) for part in STRAYING for time in T]
            for way, (part, time) in enumerate(ways):
                h, x = shape(seen.t, time)
                off = multivariate_normal(np.zeros(k + 1), spread(seen, time, part))
                for j, bow in enumerate(BOW):
                    likelihood += of_cell.weight[way, j] * off.pdf(seen.gain - GRID[:, None] * h - bow * x)
            expected = before() * likelihood
            expected /= expected.sum()
            np.testing.assert_allclose(found.end[k], expected, atol=1e-8)
            assert found.mean[k] == pytest.approx(expected @ GRID)
            flat = np.where(before() > 0, likelihood, 0)
            flat /= flat.sum()
            assert found.alone_mean[k] == pytest.approx(flat @ GRID)
            assert found.alone_sd[k] == pytest.approx((flat @ GRID**2 - (flat @ GRID) ** 2) ** 0.5)
            for probability, value in zip([0.025, 0.5, 0.9], found.quantiles([0.025, 0.5, 0.9])[k], strict=True):
                measured = expected @ norm.cdf((value - GRID) / seen.var[k] ** 0.5)
                assert measured == pytest.approx(probability, abs=0.002)
            assert found.p_above(0.1)[k] == pytest.approx(
                expected @ norm.sf((0.1 - GRID) / seen.var[k] ** 0.5), abs=0.002
            )

    def test_the_looks_that_come_later_change_nothing_of_an_earlier_forecast(self) -> None:
        of_cell = cell([])
        whole, first = (forecast(before(), of_cell, SEEN.take(np.arange(k)), BASELINE) for k in (3, 1))
        np.testing.assert_allclose(whole.end[0], first.end[0], atol=1e-12)

    def test_no_end_is_outside_of_what_an_accuracy_can_be(self) -> None:
        seen = Curve(np.array([0.5, 1.0]), np.array([0.05, 0.05]), np.full(2, 4e-4), 4e-4)
        found = forecast(before(0.95), cell([]), seen, 0.95)
        assert found.quantiles([0.999]).max() <= 0.05 + 1e-12
        assert (found.p_above(0.06) < found.p_above(0.0)).all()

    def test_a_run_that_ends_where_the_law_did_not_expect_it_is_believed(self) -> None:
        seen = Curve(SHARES, np.full(10, -0.1), np.full(10, 3e-4), 3e-4)
        found = forecast(before(), cell([]), seen, BASELINE)
        assert found.mean[-1] == pytest.approx(-0.1, abs=0.02)
        assert found.p_above(0.0)[-1] < 0.01
        assert found.mean[0] > -0.05

    @pytest.mark.slow
    def test_made_runs_end_where_they_were_expected_and_surer_the_later(self) -> None:
        rng = np.random.default_rng(6)
        of_cell = cell(finished(rng, 0.21, 0.25, 12))
        held, error, blind = scores(rng, of_cell, 150, 0.21, 0.25)
        assert held.mean(axis=0).min() >= 0.91  # of .95, and 150 runs
        assert (np.diff(error.mean(axis=0)[[0, 4, 8]]) < 0).all()
        assert (error.mean(axis=0)[1:5] < 0.95 * blind.mean(axis=0)[1:5]).all()


def scores(rng: np.random.Generator, of_cell: Cell, count: int, time: float, bow: float) -> Sequence[FloatArray]:
    """(count, looks): whether the 95 % interval holds the measured end, its error, and that without the cell's runs."""
    law = NormalMixture(np.ones((1, 1)), np.full((1, 1), 0.2), np.full((1, 1), 0.02))
    expected = prior(law, 6e-4, 3e-4, BASELINE)
    rows = []
    for _ in range(count):
        end = float(rng.normal(0.2, 0.1))
        measured = end + rng.normal(0, 3e-4**0.5)
        seen = made(rng, end, time, bow, SHARES[:-1], 3e-4)
        found, cold = (forecast(expected, known, seen, BASELINE) for known in (of_cell, cell([])))
        lower, upper = found.quantiles([0.025, 0.975]).T
        rows.append(
            ((lower <= measured) & (measured <= upper), np.abs(found.mean - measured), np.abs(cold.mean - measured))
        )
    held, error, blind = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return held, error, blind


class TestCurve:
    def test_both_evaluations_share_the_variance_of_an_improvement(self) -> None:
        curve = Curve.of_improvements([0.1, 0.2], [0.0, 0.1], [0.02, 0.04])
        np.testing.assert_allclose(curve.var, [0.0002, 0.0008])
        assert curve.baseline_var == pytest.approx(0.0002)

    def test_of_many_looks_some_are_used_with_the_first_and_the_last(self) -> None:
        t = np.arange(1, 501) / 500
        curve = Curve(t, t, np.full(500, 1e-3), 1e-3).thinned
        assert len(curve.t) == MOST_LOOKS
        assert (curve.t[0], curve.t[-1]) == (t[0], 1.0)
        assert (np.diff(curve.t) > 0).all()

    def test_a_finished_run_is_learnt_from_by_what_came_before_its_end(self) -> None:
        run = Finished.of_improvements([0.5, 1.0], [0.1, 0.2], [0.02, 0.02], 0.2, 0.02)
        assert run is not None
        np.testing.assert_array_equal(run.curve.t, [0.5])
        assert run.end_var == pytest.approx(0.0002)
        assert Finished.of_improvements([1.0], [0.2], [0.02], 0.2, 0.02) is None


class TestThreshold:
    def test_too_few_runs_can_promise_nothing(self) -> None:
        assert threshold(np.arange(18) / 18, 0.05) is None
        assert threshold(np.arange(19)[::-1] / 19, 0.05) == 0.0
        assert threshold(np.arange(39)[::-1] / 39, 0.05) == pytest.approx(1 / 39)

    def test_it_stops_as_many_runs_like_those_as_it_states(self) -> None:
        lowest = np.random.default_rng(7).beta(0.3, 2, (4000, 41))  # far from uniform: no model has to be right
        stops = [new < (threshold(known, 0.1) or 0.0) for *known, new in lowest.tolist()]
        assert np.mean(stops) == pytest.approx(4 / 41, abs=0.015)
