"""Slopes by model size."""

import numpy as np
import pytest
from scipy.stats import chi2

from service.law import GapLaw, Observations
from service.law.fitting import fit
from service.law.scaling import scaling

SIZES = (1e9, 4e9, 1.6e10)


def draw(seed, slopes, points=6, others=3, sigma=0.02, error=0.02, collapsed=None):
    """Family f0 with one slope a size, and others whose sizes nobody knows."""
    rng = np.random.default_rng(seed)
    size = np.concatenate([np.repeat(SIZES[: len(slopes)], points), np.full(others * 6, np.nan)])
    slope = np.concatenate([np.repeat(slopes, points), np.repeat(rng.normal(1.2, 0.4, others), 6)])
    family = ["f0"] * (len(slopes) * points) + [f"f{1 + i // 6}" for i in range(others * 6)]
    gap = rng.uniform(-0.02, 0.35, len(size))
    measured = gap + rng.normal(0, error, len(size))
    improvement = slope * gap + rng.normal(0, sigma, len(size)) + rng.normal(0, error, len(size))
    variance = np.full(len(size), error**2)
    observations = Observations(
        gap=measured,
        gap_var=variance,
        improvement=np.clip(improvement, -1, 1),
        improvement_var=variance,
        family=family,
        collapsed=None if collapsed is None else np.isin(np.arange(len(size)), collapsed),
    )
    return observations, size


def test_each_size_has_its_own_weighted_line():
    observations, size = draw(0, (0.6, 1.2, 1.8))
    (found,) = scaling(observations, size)
    assert found.family == "f0"
    assert [one.parameters for one in found.sizes] == list(SIZES)
    fitted = fit(
        Observations(
            **{name: getattr(observations, name) for name in ("gap", "gap_var", "improvement", "improvement_var")},
            family=[f"{name} {each}" for name, each in zip(observations.family, size, strict=True)],
        )
    )
    for one in found.sizes:
        inside = size[fitted.rows.order] == one.parameters
        x, y = fitted.rows.x[inside], fitted.rows.y[inside]
        weight = fitted.weight[inside] / fitted.residual_variance[inside]
        X = np.stack([np.ones_like(x), x], axis=1)
        covariance = np.linalg.inv(X.T * weight @ X)
        assert one.slope == pytest.approx((covariance @ (X.T * weight @ y))[1])
        assert one.se == pytest.approx(covariance[1, 1] ** 0.5)
        assert (one.lower, one.upper) == pytest.approx((one.slope - 1.96 * one.se, one.slope + 1.96 * one.se), abs=1e-3)
        assert one.n == 6
    # unshrunken: the ends lie farther apart than the law's own family would have them
    assert found.sizes[2].slope - found.sizes[0].slope > 0.6
    assert found.homogeneity.p_value < 0.05
    assert found.trend.lower > 0


def test_trend_and_homogeneity_by_hand():
    (found,) = scaling(*draw(1, (0.9, 1.3)))
    (one, two), trend, same = found.sizes, found.trend, found.homogeneity
    decades = np.log10(4)
    assert trend.per_tenfold == pytest.approx((two.slope - one.slope) / decades)
    assert trend.se == pytest.approx(np.hypot(one.se, two.se) / decades)
    assert (trend.lower, trend.upper) == pytest.approx(trend.per_tenfold + 1.959964 * trend.se * np.array([-1, 1]))
    assert same.q == pytest.approx((two.slope - one.slope) ** 2 / (one.se**2 + two.se**2))
    assert same.freedom == 1
    assert same.p_value == pytest.approx(chi2.sf(same.q, 1))


def test_order_does_not_matter(rows_of):
    observations, size = draw(2, (1.0, 1.2))
    turned = scaling(rows_of(observations, slice(None, None, -1)), size[::-1])
    forward = scaling(observations, size)
    for mine, theirs in zip(turned[0].sizes, forward[0].sizes, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)


def test_one_size_is_shown_and_not_compared():
    (found,) = scaling(*draw(3, (1.2,)))
    assert len(found.sizes) == 1
    assert found.trend is None
    assert found.homogeneity is None


def test_a_size_needs_three_usable_points_that_differ(rows_of):
    observations, size = draw(4, (1.2, 1.2, 1.2), points=3, collapsed=[0])
    (found,) = scaling(observations, size)
    assert [one.parameters for one in found.sizes] == [4e9, 1.6e10]  # a collapsed run is no point
    assert scaling(observations, [None] * len(size)) == ()
    assert scaling(rows_of(observations, slice(0)), []) == ()
    gap = np.concatenate([np.full(4, 0.1), np.linspace(0, 0.3, 4)])
    little = np.full(8, 1e-4)
    alike = Observations(gap=gap, gap_var=little, improvement=gap, improvement_var=little, family=["a"] * 8)
    (found,) = scaling(alike, np.repeat([1e9, 2e9], 4))
    assert [one.parameters for one in found.sizes] == [2e9]


def test_a_small_change_of_size_has_no_trend():
    observations, size = draw(5, (1.2, 1.2))
    size = np.where(size == SIZES[1], SIZES[0] * 1.001, size)
    (found,) = scaling(observations, size)
    assert found.trend is None
    assert found.homogeneity.freedom == 1


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf])
def test_sizes_are_positive(wrong):
    observations, size = draw(6, (1.2, 1.2))
    size[7] = wrong
    with pytest.raises(ValueError, match="parameters, row 7"):
        scaling(observations, size)
    with pytest.raises(ValueError, match="has shape"):
        scaling(observations, size[:5])


@pytest.mark.slow
@pytest.mark.parametrize("others", [0, 3])
def test_intervals_cover_and_one_slope_is_rarely_called_two(others):
    covered, rejected, rising = [], [], []
    for seed in range(150):
        (found,) = scaling(*draw(seed, (1.1, 1.1), points=3 + seed % 3, others=others))
        covered.extend(one.lower <= 1.1 <= one.upper for one in found.sizes)
        if found.homogeneity is not None:
            rejected.append(found.homogeneity.p_value < 0.05)
            rising.append(found.trend.lower <= 0 <= found.trend.upper)
    assert np.mean(covered) >= 0.92  # .93 less one standard error of 300
    assert np.mean(rejected) <= 0.09
    assert np.mean(rising) >= 0.91


def test_different_slopes_are_found_out():
    found = [scaling(*draw(seed, (0.7, 1.2, 1.7), points=5))[0] for seed in range(40)]
    assert np.mean([one.homogeneity.p_value < 0.05 for one in found]) > 0.7
    assert np.mean([one.trend.per_tenfold for one in found]) == pytest.approx(1.0 / np.log10(16), rel=0.15)


def test_the_law_itself_is_not_needed():
    observations, size = draw(8, (1.0, 1.4))
    law = GapLaw().fit(observations)
    before = law.to_record()
    scaling(observations, size)
    assert law.to_record() == before
