"""The size of a probe, against LAW's closed form and against probes of that size."""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from service.law import GapLaw, Observations, Probe
from service.law.paired import Components, assumed_components, paired
from service.law.sizing import LARGEST_VARIANCE, needed_variance, plan

ASKED = {"gap": 0.2, "family": "f0", "cell": None, "baseline": 0.4, "improvement_var": 0.0, "level": 0.9}
PARTS = Components(0.03, 0.1, 0.12)


@pytest.fixture(scope="module")
def informed():
    """A law of long probes that span many gaps: what is left is sigma, and the probe's own error."""
    rng = np.random.default_rng(0)
    gap, family = rng.uniform(-0.2, 0.6, 400), np.arange(400) % 4
    improvement = (1.0 + 0.1 * family) * gap + rng.normal(0, 0.02, 400)
    little = np.full(400, 1e-5)
    return GapLaw().fit(
        Observations(
            gap=gap, gap_var=little, improvement=improvement, improvement_var=little, family=[f"f{i}" for i in family]
        )
    )


def half_width(law, gap_var, asked=ASKED):
    probe = {name: value for name, value in asked.items() if name != "level"}
    lower, upper = law.predict_improvement(Probe(**probe, gap_var=gap_var)).interval(asked["level"])
    return (upper - lower) / 2


class TestNeed:
    @pytest.mark.parametrize("target", [0.05, 0.08, 0.12])
    def test_the_interval_at_the_needed_variance_has_the_target(self, informed, target):
        need = needed_variance(informed, **ASKED, half_width=target)
        assert half_width(informed, need.gap_var) == pytest.approx(target, abs=1e-5)
        assert half_width(informed, need.gap_var) <= target
        assert need.floor == half_width(informed, 0.0)

    def test_a_target_under_the_floor_is_refused(self, informed):
        floor = needed_variance(informed, **ASKED, half_width=0.5).floor
        assert floor == pytest.approx(norm.ppf(0.95) * 0.02, rel=0.1)
        assert needed_variance(informed, **ASKED, half_width=0.99 * floor) == (None, floor)
        assert needed_variance(informed, **ASKED, half_width=1.01 * floor).gap_var > 0

    def test_a_measured_improvement_has_a_higher_floor(self, informed):
        noisy = needed_variance(informed, **{**ASKED, "improvement_var": 0.03**2}, half_width=0.08)
        clean = needed_variance(informed, **ASKED, half_width=0.08)
        assert noisy.floor == pytest.approx(np.hypot(clean.floor, norm.ppf(0.95) * 0.03), rel=0.03)
        assert noisy.gap_var < clean.gap_var

    def test_any_probe_may_do(self, informed):
        assert needed_variance(informed, **ASKED, half_width=1.0).gap_var == LARGEST_VARIANCE

    @pytest.mark.parametrize("gap", [-0.5, 0.5, 0.9])
    def test_the_safe_side_where_a_wide_probe_has_a_narrow_interval(self, gap):
        nothing = Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[])
        law = GapLaw(candidate_links=("linear",)).fit(nothing)
        asked = {**ASKED, "gap": gap, "baseline": None, "level": 0.8}
        se = np.linspace(0, LARGEST_VARIANCE**0.5, 200)
        widths = half_width(law, se**2, asked)
        peak = int(np.argmax(widths))
        assert widths[-1] < widths[peak]  # not monotone
        target = (max(widths[0], widths[-1]) + widths[peak]) / 2
        need = needed_variance(law, **asked, half_width=target)
        assert 0 < need.gap_var < se[peak] ** 2
        assert (half_width(law, np.linspace(0, need.gap_var, 50), asked) <= target).all()


class TestPlan:
    def test_rollouts_alone_are_best_one_a_problem(self):
        size = plan(PARTS, 1e-3)
        assert (size.problems, size.rollouts, size.cost) == (250, 1, 500)
        assert size.gap_var == pytest.approx(1e-3)

    def test_a_problems_price_buys_more_rollouts(self):
        size = plan(PARTS, 1e-4, cost_per_problem=20.0)
        assert size.rollouts == pytest.approx((0.22 / 0.03 * 20 / 2) ** 0.5, abs=1)

    def test_few_problems_take_many_rollouts(self):
        sizes = [plan(PARTS, 1e-3, most_problems=most) for most in (300, 100, 50, 35)]
        assert [size.rollouts for size in sizes] == [1, 4, 11, 44]
        assert plan(PARTS, 1e-3, most_problems=30) is None  # sigma_d2 / 30 alone is too much

    def test_a_fixed_number_of_rollouts(self):
        size = plan(PARTS, 1e-3, rollouts=8, cost_per_problem=3, cost_per_rollout=0.5)
        assert (size.problems, size.rollouts, size.cost) == (58, 8, 58 * (3 + 8))
        assert plan(PARTS, 1e-3, rollouts=100).rollouts == 100

    @pytest.mark.parametrize("parts", [PARTS, Components(-0.01, 0.002, 0.01), Components(0.2, 0.0, 0.0)])
    def test_the_cheapest_of_all(self, parts):
        for variance, per_problem, most in product((1e-2, 1.7e-3, 3e-4), (0.0, 1.0, 7.5), (None, 40)):
            found = plan(parts, variance, cost_per_problem=per_problem, most_problems=most)
            p, k = (axis.reshape(-1) for axis in np.meshgrid(np.arange(2, (most or 1000) + 1), np.arange(1, 65)))
            enough = np.maximum(parts.sigma_d2 + (parts.w_student + parts.w_teacher) / k, 1e-4) / p <= variance
            p, k = p[enough], k[enough]
            order = np.lexsort((p, p * k, p * per_problem + 2 * p * k))
            assert (found and found[:2]) == ((p[order[0]], k[order[0]]) if len(order) else None)

    def test_of_equal_costs_the_fewest_rollouts(self):
        assert plan(PARTS, 0.01, cost_per_rollout=0.0)[:2] == (25, 1)  # all free: fewest rollouts

    def test_two_problems_at_least_and_no_size_for_no_variance(self):
        assert plan(Components(0.0, 0.0, 0.0), 0.25)[:2] == (2, 1)
        assert plan(PARTS, 0.0) is None
        assert plan(PARTS, 1e-310) is None

    @pytest.mark.parametrize("wrong", [{"cost_per_problem": -1.0}, {"cost_per_rollout": -1.0}, {"rollouts": 0}])
    def test_what_cannot_be_planned(self, wrong):
        with pytest.raises(ValueError, match=r"prices|rollouts"):
            plan(PARTS, 1e-3, **wrong)


@pytest.mark.parametrize("rollouts", [1, 4])
@pytest.mark.parametrize("target", [0.045, 0.06, 0.09])
def test_the_closed_form(informed, rollouts, target):
    slope = informed.coefficients("f0").slope.mean
    need = needed_variance(informed, **ASKED, half_width=target)
    found = plan(PARTS, need.gap_var, rollouts=rollouts)
    left = (target / norm.ppf(0.95)) ** 2 - 0.02**2  # v_par of 100 points is nothing beside it
    expected = (PARTS.sigma_d2 + (PARTS.w_student + PARTS.w_teacher) / rollouts) * slope**2 / left
    assert found.problems == pytest.approx(expected, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("price", [0.0, 10.0])
def test_a_probe_of_the_planned_size_meets_its_target(informed, price):
    target, student, gap = 0.07, 0.4, 0.2
    need = needed_variance(informed, **ASKED, half_width=target)
    size = plan(assumed_components(student, gap), need.gap_var, cost_per_problem=price)
    rng = np.random.default_rng(4)
    grid = np.linspace(-8, 8, 801)
    theta, own = 2 * rng.normal(size=(2, 50_000)) * [[1], [0.5]]
    m, m_teacher = (
        np.interp(mean, [expit(c + z).mean() for c in grid], grid)
        for mean, z in ((student, theta), (student + gap, theta + own))
    )
    widths = []
    for _ in range(200):
        drawn = rng.choice(50_000, size.problems, replace=False)
        accuracies = (expit(m + theta[drawn]), expit(m_teacher + theta[drawn] + own[drawn]))
        s, t = (rng.binomial(size.rollouts, p) / size.rollouts for p in accuracies)
        measured = paired(t - s)
        widths.append(half_width(informed, measured.variance, {**ASKED, "gap": measured.value}))
    assert np.mean(widths) == pytest.approx(target, rel=0.04)
