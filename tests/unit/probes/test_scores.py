import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.law import paired
from service.scores import (
    arm_variance,
    counts,
    differences,
    estimate,
    guarded,
    sampling_covariance,
    variance_components,
    within_variance,
)


class TestEstimate:
    def test_paired_standard_error_by_hand(self) -> None:
        student = np.array([[0, 0], [1, 1], [0, 0]], dtype=float)
        teacher = np.array([[1, 1], [1, 1], [1, 0]], dtype=float)
        # d = 1, 0, .5: mean 1/2, variance 1/4, se = sqrt(1/4 / 3)
        found = estimate(teacher, student)
        assert found.value == 0.5
        assert found.se == pytest.approx((1 / 12) ** 0.5)

    @pytest.mark.parametrize("score", [0.0, 1.0])
    @pytest.mark.parametrize("shape", [(48, 1), (12, 4)])
    def test_48_rollouts_that_all_end_alike_allow_6_points(self, score: float, shape: tuple[int, int]) -> None:
        arm = np.full(shape, score)
        found = estimate(arm, arm)
        assert found.value == 0
        assert found.se == pytest.approx(0.029, abs=0.0005)
        assert 1.96 * found.se == pytest.approx(0.06, abs=0.005)
        assert guarded(arm, arm).se >= found.se

    @pytest.mark.parametrize("outcome", range(16))
    def test_two_problems_with_one_rollout_never_look_exact(self, outcome: int) -> None:
        scores = np.array([float(outcome >> bit & 1) for bit in range(4)])
        student, teacher = scores[:2, None], scores[2:, None]
        assert estimate(teacher, student).se >= 0.5
        assert guarded(teacher, student).se >= estimate(teacher, student).se

    def test_problems_that_agree_by_chance_keep_their_rollouts_noise(self) -> None:
        arm = np.tile([1.0, 0.0, 0.0, 0.0], (25, 1))
        # every problem's accuracy is .25 in both arms; w = .25 .75 4/3 = .25, and each arm is a mean of 100 rollouts
        assert estimate(arm, arm).se == pytest.approx((2 * 0.25 / 100) ** 0.5)

    def test_scores_between_0_and_1_that_do_not_vary_are_known_better_than_0_and_1(self) -> None:
        arm = np.full((25, 4), 0.5)
        assert estimate(arm, arm).se == pytest.approx((2 / 102 / 100) ** 0.5)

    @given(st.data())
    @settings(max_examples=50, deadline=None)
    def test_a_guarded_error_is_never_below_the_plain_one(self, data: st.DataObject) -> None:
        shape = data.draw(st.tuples(st.integers(2, 12), st.integers(1, 5)))
        one = st.lists(st.sampled_from([0.0, 1.0]), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
        arm, base = (np.array(data.draw(one)).reshape(shape) for _ in range(2))
        assert guarded(arm, base).se >= estimate(arm, base).se

    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(0)
        z = []
        for _ in range(2000):
            p = rng.beta(1, 3, 64)
            q = np.clip(p + rng.uniform(0, 0.4, 64), 0, 1)  # the population's gap is E[q - p]
            z.append(estimate(*(rng.binomial(1, each[:, None], (64, 4)) * 1.0 for each in (q, p))))
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
    """A probe here and the service make one number of the same scores; where the floor binds, but for rounding."""

    @pytest.mark.parametrize("seed", range(20))
    def test_bit_by_bit(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        problems, rollouts = int(rng.integers(2, 200)), int(rng.integers(2, 9))
        accuracy = rng.beta(1, 2, problems) * (seed % 5 > 0)
        student, teacher, after = (rng.binomial(1, accuracy[:, None], (problems, rollouts)) * 1.0 for _ in range(3))
        dx, dy = differences(teacher, student), differences(after, student)
        theirs, ours = (
            paired.paired_arms(student.mean(axis=1), teacher.mean(axis=1), rollouts),
            estimate(teacher, student),
        )
        assert (ours.value, ours.se) == (theirs.value, pytest.approx(theirs.se, rel=1e-12))
        if ours.se > np.sqrt(arm_variance(student) + arm_variance(teacher)):
            assert ours.se == theirs.se
        assert sampling_covariance(dx, dy) == paired.covariance(dx, dy, problems, problems)
        w_student, w_teacher = within_variance(student), within_variance(teacher)
        assert w_student is not None
        assert w_teacher is not None
        found = paired.measured_components(dx, w_student, w_teacher, rollouts)
        assert variance_components(student, teacher).model_dump() == found._asdict()
        assert w_student == pytest.approx(paired.within_variance(student.mean(axis=1), rollouts))

    @pytest.mark.parametrize("seed", range(20))
    def test_single_rollouts(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        student, teacher = rng.binomial(1, rng.uniform(), (2, int(rng.integers(2, 200)), 1)) * 1.0
        theirs = paired.paired_arms(student[:, 0], teacher[:, 0], 1)
        assert (estimate(teacher, student).value, estimate(teacher, student).se) == (theirs.value, theirs.se)
