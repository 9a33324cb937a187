"""Means of paired differences and what their errors are made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from service.law.paired import (
    VARIANCE_FLOOR,
    Components,
    assumed_components,
    covariance,
    measured_components,
    paired,
    paired_arms,
    within_variance,
)


def test_a_paired_mean_by_hand():
    # d = .5, 0, .5: mean 1/3, variance 1/12
    found = paired([0.5, 0.0, 0.5])
    assert found == pytest.approx((1 / 3, 1 / 36))
    assert found.se == pytest.approx(1 / 6)
    assert paired([0.4] * 25) == pytest.approx((0.4, VARIANCE_FLOOR / 25))


@pytest.mark.parametrize("few", [[], [0.3], [[0.1, 0.2]]])
def test_a_variance_takes_two_problems(few):
    with pytest.raises(ValueError, match="2 problems"):
        paired(few)


def test_covariance_of_all_problems_is_that_of_the_law():
    dx, dy = np.random.default_rng(0).normal(size=(2, 40)) * 0.3
    assert covariance(dx, dy, 40, 40) == np.cov(dx, dy)[0, 1] / 40


def test_covariance_of_some_problems_by_simulation():
    rng = np.random.default_rng(1)
    n_x, n_y, shared, draws = 30, 50, 20, 40_000
    base, x, y = (rng.normal(size=(draws, n)) * 0.2 for n in (60, n_x, n_y))
    # problems 0 to 29 and 10 to 59 share 10 to 29, where both differences contain the same baseline
    dx, dy = x - base[:, :30], y - base[:, 10:]
    truth = np.cov(dx.mean(axis=1), dy.mean(axis=1))[0, 1]
    found = np.mean([covariance(a[10:], b[:20], n_x, n_y) for a, b in zip(dx[:2000], dy[:2000], strict=True)])
    assert truth == pytest.approx(shared * 0.04 / (n_x * n_y), rel=0.05)
    assert found == pytest.approx(truth, rel=0.05)


def test_too_few_shared_problems_say_nothing_and_too_many_are_an_error():
    assert covariance([], [], 10, 10) == 0
    assert covariance([0.3], [0.5], 10, 10) == 0
    with pytest.raises(ValueError, match="shared differences"):
        covariance([0.1, 0.2], [0.1, 0.2, 0.3], 10, 10)
    with pytest.raises(ValueError, match="shared differences"):
        covariance([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 2, 10)


difference = st.floats(-1, 1)


@given(
    shared=st.lists(st.tuples(difference, difference), max_size=8),
    only_x=st.lists(difference, max_size=8),
    only_y=st.lists(difference, max_size=8),
    alike=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_a_covariance_never_breaks_its_variances(shared, only_x, only_y, alike):
    dx, dy = np.array(shared).reshape(-1, 2).T
    dy = -0.7 * dx if alike else dy
    x, y = np.concatenate([dx, only_x]), np.concatenate([dy, only_y])
    if len(x) < 2 or len(y) < 2:
        return
    most = np.sqrt(paired(x).variance * paired(y).variance)
    assert abs(covariance(dx, dy, len(x), len(y))) <= most * (1 + 1e-12)


def test_two_shared_problems_that_say_everything_are_cut():
    # all other 98 problems agree: the plain formula gives twice what the variances allow
    d = np.array([1.0, -1.0])
    variance = paired(np.concatenate([d, np.zeros(98)])).variance
    assert covariance(d, d, 100, 100) == pytest.approx(variance)
    assert 2 / 100**2 * np.var(d, ddof=1) > 1.9 * variance
    # under the floor of the variances there is room
    assert covariance(d / 1000, d / 1000, 100, 100) == pytest.approx(2 / 100**2 * 2e-6)


def test_components_add_up_and_are_floored():
    parts = Components(0.02, 0.1, 0.14)
    assert parts.variance(50, 4) == pytest.approx((0.02 + 0.06) / 50)
    assert Components(-0.5, 0.1, 0.1).variance(50, 4) == pytest.approx(VARIANCE_FLOOR / 50)


def test_components_are_measured_from_accuracies():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.1, 0.5, 60_000)
    q = p + rng.uniform(0.0, 0.5, 60_000)
    student, teacher = rng.binomial(4, p) / 4, rng.binomial(4, q) / 4
    w_student, w_teacher = within_variance(student, 4), within_variance(teacher, 4)
    found = measured_components(teacher - student, w_student, w_teacher, 4)
    truth = Components(np.var(q - p), np.mean(p * (1 - p)), np.mean(q * (1 - q)))
    assert found == pytest.approx(truth, abs=0.002)
    assert found.variance(60_000, 4) == pytest.approx(paired(teacher - student).variance)
    assert within_variance(student, 1) is None


@pytest.mark.parametrize(("student", "gap"), [(0.3, 0.25), (0.05, 0.4), (0.6, -0.2), (0.97, 0.02)])
def test_assumed_components_are_those_of_the_process(student, gap):
    rng = np.random.default_rng(3)
    grid = np.linspace(-14, 14, 561)
    z = rng.normal(size=100_000)

    def centre(sd, mean):
        means = [expit(c + sd * z[:20_000]).mean() for c in grid]
        return np.interp(mean, means, grid)

    difficulty = 2 * rng.normal(size=1_000_000)
    s = expit(centre(2, student) + difficulty)
    t = expit(centre(5**0.5, student + gap) + difficulty + rng.normal(size=1_000_000))
    found = assumed_components(student, gap)
    assert found == pytest.approx((np.var(t - s), np.mean(s * (1 - s)), np.mean(t * (1 - t))), abs=0.004)


@given(student=st.floats(0, 1), gap=st.floats(-1, 1))
@settings(deadline=None, max_examples=100)
def test_assumed_components_are_always_a_variance(student, gap):
    found = assumed_components(student, gap)
    assert np.isfinite(found).all()
    assert min(found) >= 0
    assert VARIANCE_FLOOR / 100 <= found.variance(100, 4) <= 1 / 100


@pytest.mark.parametrize(("student", "gap"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, -1.0), (0.0, -1.0)])
def test_at_the_ends_the_floor_rules(student, gap):
    assert assumed_components(student, gap).variance(10, 1) < 1e-4


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_arms_at_the_ends_are_not_exact(right):
    """0 of 48 in both arms leave room for 6 points, 48 of 48 as well."""
    arm = np.full(48, right)
    value, variance = paired_arms(arm, arm, 1)
    assert value == 0
    assert variance**0.5 == pytest.approx(0.029, abs=5e-4)
    assert 1.96 * variance**0.5 == pytest.approx(0.06, abs=0.005)
    four = paired_arms(arm, arm, 4)
    assert four.variance == pytest.approx(2 / (4 * 48 + 2) / (4 * 48))


def test_two_single_rollouts_are_never_exact():
    assert paired_arms([0, 1], [0, 1], 1).se == pytest.approx(0.5)
    assert paired_arms([0, 0], [1, 1], 1).se == pytest.approx(0.5)


def test_arms_that_vary_are_as_paired():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 200)
    student, other = rng.binomial(8, p) / 8, rng.binomial(8, np.clip(p + 0.05 + rng.normal(0, 0.2, 200), 0, 1)) / 8
    assert paired_arms(student, other, 8) == paired(other - student)
    with pytest.raises(ValueError, match="other"):
        paired_arms(student, other[:10], 8)


def test_single_rollouts_keep_their_nominal_coverage_near_the_ends():
    """Of 1 % and 3 %, 95 % intervals hold the gap of 2 points at least that often; floored at 1e-4 they do not."""
    rng = np.random.default_rng(1)
    inside = {"arms": 0, "paired": 0}
    for _ in range(2000):
        student, other = rng.binomial(1, [[0.01], [0.03]], (2, 48))
        for name, found in (("arms", paired_arms(student, other, 1)), ("paired", paired(other - student))):
            inside[name] += abs(found.value - 0.02) <= 1.96 * found.se
    assert inside["arms"] / 2000 >= 0.95
    assert inside["paired"] / 2000 < 0.9


def test_components_at_the_ends_are_floored_as_the_arms_are():
    assert Components(0.0, 0.0, 0.0).measured_variance(48, 1) == pytest.approx(
        paired_arms(np.zeros(48), np.zeros(48), 1).variance
    )
    assert Components(0.05, 0.1, 0.1).measured_variance(48, 4) == pytest.approx((0.05 + 0.05) / 48)
