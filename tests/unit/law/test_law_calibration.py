"""Outcomes against stored quantiles."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from service.law.calibration import calibrate, running

PROBABILITIES = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])


def promised(mean, sd):
    return mean[:, None] + sd[:, None] * norm.ppf(PROBABILITIES)


@pytest.fixture(scope="module")
def honest():
    rng = np.random.default_rng(0)
    mean, sd = rng.uniform(0, 0.3, 4000), rng.uniform(0.02, 0.08, 4000)
    return rng.normal(mean, sd), mean, sd


def test_honest_predictions_keep_their_promises(honest):
    outcome, mean, sd = honest
    found = calibrate(outcome, mean, PROBABILITIES, promised(mean, sd), [0.5, 0.8, 0.95])
    assert found.n == 4000
    assert abs(found.bias) < 3 * found.bias_se
    assert found.bias_se == pytest.approx(np.sqrt(np.mean(sd**2) / 4000), rel=0.05)
    assert found.mae == pytest.approx(np.mean(sd) * np.sqrt(2 / np.pi), rel=0.05)
    for one in found.levels:
        assert one.coverage == pytest.approx(one.level, abs=0.02)
        assert one.lower < one.coverage < one.upper
        assert one.width == pytest.approx(2 * norm.ppf((1 + one.level) / 2) * sd.mean())
    np.testing.assert_allclose(found.pit, norm.cdf(outcome, mean, sd), atol=1e-12)  # exact in the tails, too
    assert found.mean_pit == pytest.approx(0.5, abs=0.015)
    assert running(found.inside[1])[-1] == found.levels[1].coverage


def test_too_narrow_and_too_low_is_seen(honest):
    outcome, mean, sd = honest
    narrow = calibrate(outcome, mean, PROBABILITIES, promised(mean, sd / 2), [0.8])
    assert narrow.levels[0].upper < 0.6
    low = calibrate(outcome + 0.05, mean, PROBABILITIES, promised(mean, sd), [0.8])
    assert low.bias == pytest.approx(0.05, abs=0.003)
    assert low.mean_pit > 0.65


def test_by_hand():
    # quantiles at .1, .5, .9 of two predictions; the second outcome is over its interval
    found = calibrate([0.1, 0.5], [0.2, 0.2], [0.1, 0.5, 0.9], [[0.0, 0.2, 0.4]] * 2, [0.8])
    assert (found.bias, found.bias_se, found.mae) == pytest.approx((0.1, 0.2, 0.2))
    one = found.levels[0]
    interval = binomtest(1, 2).proportion_ci(method="wilson")
    assert (one.coverage, one.lower, one.upper, one.width) == pytest.approx((0.5, *interval, 0.4))
    assert found.inside.tolist() == [[True, False]]
    z = norm.ppf(0.9)
    assert found.pit == pytest.approx([norm.cdf(-z / 2), norm.cdf(1.5 * z)])


@pytest.mark.parametrize("hits", [0, 7, 10])
def test_bounds_of_a_share(hits):
    outcome = np.where(np.arange(10) < hits, 0.0, 9.0)
    one = calibrate(outcome, np.zeros(10), [0.1, 0.9], [[-1.0, 1.0]] * 10, [0.8]).levels[0]
    assert (one.lower, one.upper) == pytest.approx(tuple(binomtest(hits, 10).proportion_ci(method="wilson")))


def test_a_level_between_the_stored_ones():
    mean, sd = np.array([0.1]), np.array([0.05])
    found = calibrate([0.1], mean, PROBABILITIES, promised(mean, sd), [0.9])
    assert found.levels[0].width == pytest.approx(2 * norm.ppf(0.95) * 0.05)  # exact for a normal
    with pytest.raises(ValueError, match=r"level 0\.99 needs quantiles beyond"):
        calibrate([0.1], mean, PROBABILITIES, promised(mean, sd), [0.99])


def test_levels_do_not_cross_on_a_skewed_prediction():
    levels = np.linspace(0.05, 0.95, 40)
    quantiles = [[-0.1, 0.0, 0.0, 0.02, 0.1, 0.5, 0.5]]
    widths = [one.width for one in calibrate([0.1], [0.1], PROBABILITIES, quantiles, levels).levels]
    assert (np.diff(widths) >= 0).all()


def test_an_outcome_on_a_clipped_end_is_inside_it():
    clipped = [[0.1, 0.2, 0.3, 0.4, 0.6, 0.6, 0.6]] * 3
    found = calibrate([0.6, 0.7, 0.5999], [0.4] * 3, PROBABILITIES, clipped, [0.8])
    assert found.inside.tolist() == [[True, False, True]]
    middle, beyond, before = found.pit
    assert 0.75 < middle < 0.975
    assert beyond == 1
    assert before == pytest.approx(0.75, abs=1e-3)
    below = calibrate([-0.1, 0.0], [0.4] * 2, [0.1, 0.5, 0.9], [[0.0, 0.0, 0.4]] * 2, [0.8]).pit
    assert below[0] == 0
    assert 0.1 < below[1] < 0.5


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.98])
def test_an_interval_ends_exactly_at_its_quantiles(level):
    tail = round((1 - level) / 2, 6)
    stored = [tail / 2, tail, 0.5, round(1 - tail, 6), 1 - tail / 2]
    quantiles = [[-0.37, -0.3, 0.1, 0.7, 0.77]] * 2
    found = calibrate([-0.3, 0.7], [0.1] * 2, stored, quantiles, [level])
    assert found.inside.all()
    assert found.levels[0].width == 1.0


def test_nothing_to_compare():
    for quantiles in ([], np.empty((0, 2))):
        found = calibrate([], [], [0.1, 0.9], quantiles, [0.8])
        assert (found.n, found.bias, found.bias_se, found.mae, found.mean_pit, found.levels) == (0, *[None] * 4, ())
        assert found.pit.shape == (0,)
        assert found.inside.shape == (1, 0)
    assert calibrate([0.1], [0.1], [0.1, 0.9], [[0.0, 0.2]], [0.8]).bias_se is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": [0.1]}, "do not match"),
        ({"predicted": [[0.1], [0.2]]}, "do not match"),
        ({"quantiles": [[0.0], [0.2]]}, "do not match"),
        ({"outcome": [0.1, np.nan]}, "row 1"),
        ({"quantiles": [[0.2, 0.0], [0.0, 0.2]]}, "row 0"),
        ({"quantiles": [[0.0, np.nan], [0.0, 0.2]]}, "row 0"),
        ({"probabilities": [0.9, 0.1]}, "ascend"),
        ({"probabilities": [0.0, 0.9]}, "ascend"),
        ({"levels": [1.0]}, r"level 1\.0 is not inside"),
    ],
)
def test_what_cannot_be_compared(change, said):
    asked = {
        "outcome": [0.1, 0.2],
        "predicted": [0.1, 0.2],
        "probabilities": [0.1, 0.9],
        "quantiles": [[0.0, 0.2]] * 2,
        "levels": [0.8],
    }
    with pytest.raises(ValueError, match=said):
        calibrate(**{**asked, **change})


def test_running_means():
    assert running([1, 0, 1, 1]).tolist() == [1, 0.5, 2 / 3, 0.75]
    assert running([]).shape == (0,)
