import numpy as np
import pytest

from service.law import paired
from workers.sampling.statistics import (
    counts,
    differences,
    estimate,
    sampling_covariance,
    variance_components,
    within_variance,
)


class TestEstimate:
    def test_paired_standard_error_by_hand(self) -> None:
        student = np.array([[0, 1], [1, 1], [0, 0]], dtype=float)
        teacher = np.array([[1, 1], [1, 1], [1, 0]], dtype=float)
        # d = .5, 0, .5: mean 1/3, variance 1/12, se = sqrt(1/12 / 3) = 1/6
        found = estimate(differences(teacher, student))
        assert found.value == pytest.approx(1 / 3)
        assert found.se == pytest.approx(1 / 6)

    def test_the_variance_has_a_floor(self) -> None:
        assert estimate(np.full(25, 0.4)).se == pytest.approx((1e-4 / 25) ** 0.5)

    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(0)
        z = []
        for _ in range(2000):
            p = rng.beta(1, 3, 64)
            q = np.clip(p + rng.uniform(0, 0.4, 64), 0, 1)  # the population's gap is E[q - p]
            d = rng.binomial(4, q) / 4 - rng.binomial(4, p) / 4
            z.append(estimate(d))
        truth = np.mean([e.value for e in z])
        covered = np.mean([abs(e.value - truth) < 1.96 * e.se for e in z])
        assert covered == pytest.approx(0.95, abs=0.02)


class TestCovariance:
    def test_shared_baseline_gives_its_variance(self) -> None:
        rng = np.random.default_rng(0)
        base, x, y = rng.normal(size=(3, 20_000))
        # d_x = x - b, d_y = y - b: their covariance is Var(b) = 1
        assert sampling_covariance(x - base, y - base) * 20_000 == pytest.approx(1.0, abs=0.05)

    def test_independent_arms_have_none(self) -> None:
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(2, 20_000))
        assert sampling_covariance(x, y) * 20_000 == pytest.approx(0.0, abs=0.04)


class TestVariance:
    def test_within_variance_is_p_one_minus_p_corrected(self) -> None:
        scores = np.array([[1, 0, 0, 0], [1, 1, 0, 0]], dtype=float)
        p = scores.mean(axis=1)
        assert within_variance(scores) == pytest.approx(np.mean(p * (1 - p)) * 4 / 3)

    def test_one_rollout_tells_nothing_about_it(self) -> None:
        one = np.ones((5, 1))
        assert within_variance(one) is None
        assert variance_components(one, one).sigma_d2 is None

    def test_components_are_recovered_from_a_simulation(self) -> None:
        rng = np.random.default_rng(2)
        p = rng.uniform(0.1, 0.5, 40_000)
        q = p + rng.uniform(0.0, 0.5, 40_000)
        arms = [(rng.uniform(size=(40_000, 4)) < rate[:, None]).astype(float) for rate in (p, q)]
        found = variance_components(*arms)
        assert found.sigma_d2 == pytest.approx(np.var(q - p), abs=0.003)
        assert found.w_student == pytest.approx(np.mean(p * (1 - p)), abs=0.003)
        assert found.w_teacher == pytest.approx(np.mean(q * (1 - q)), abs=0.003)


class TestCounts:
    def test_successes_are_whole_numbers_and_part_scores_stay(self) -> None:
        assert counts(np.array([[1.0, 1.0], [0.5, 0.0]])) == [2, 0.5]
        assert isinstance(counts(np.array([[1.0, 1.0]]))[0], int)


class TestSameAsTheService:
    """What a probe measures here and what the service makes of the same scores is one number, to the last bit."""

    @pytest.mark.parametrize("seed", range(20))
    def test_bit_by_bit(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        problems, rollouts = int(rng.integers(2, 200)), int(rng.integers(2, 9))
        accuracy = rng.beta(1, 2, problems)
        student, teacher, after = (rng.binomial(1, accuracy[:, None], (problems, rollouts)) * 1.0 for _ in range(3))
        dx, dy = differences(teacher, student), differences(after, student)
        theirs = paired.paired(dx)
        assert (estimate(dx).value, estimate(dx).se) == (theirs.value, theirs.se)
        assert sampling_covariance(dx, dy) == paired.covariance(dx, dy, problems, problems)
        w_student, w_teacher = within_variance(student), within_variance(teacher)
        assert w_student is not None
        assert w_teacher is not None
        found = paired.measured_components(dx, w_student, w_teacher, rollouts)
        assert variance_components(student, teacher).model_dump() == found._asdict()
        assert w_student == pytest.approx(paired.within_variance(student.mean(axis=1), rollouts))
