import numpy as np
import pytest

from service.scores import arm_variance, estimate
from tests.support.training_results import training_metrics
from workers.opsd.degenerate import Output
from workers.opsd.passes import PassCounter, Passes, Scored
from workers.opsd.warnings import Warnings

RNG = np.random.default_rng(1)
IDS = [f"train-{number}" for number in range(16)]
BEFORE = (RNG.random((16, 4)) < 0.3).astype(float)
AFTER = (RNG.random((16, 4)) < 0.6).astype(float)


def passes_of(counter: PassCounter, steps: int, a_step: int = 4) -> Passes:
    """A run of some steps whose rollouts are always the same."""
    found = Passes()
    for step in range(1, steps + 1):
        first = (step - 1) * a_step
        drawn = [Scored(IDS[at % 16], AFTER[at % 16].tolist()) for at in range(first, first + a_step)]
        counter.add(found, step, drawn)
        found = Passes.read(found.as_dict())  # as a run that goes on from a checkpoint
    return found


class TestPasses:
    def test_one_pass_is_measured_as_an_evaluation_is(self) -> None:
        (look,) = passes_of(PassCounter(IDS, BEFORE, group=4, draws=16), 4).looks
        expected = estimate(AFTER, BEFORE)
        assert look.improvement.value == pytest.approx(expected.value)
        assert look.improvement.se == pytest.approx(expected.se)
        # the mean step is 2.5, whose weights have seen 1.5
        assert (look.step, look.passes, look.rollouts) == (2, 1, 64)

    def test_at_most_eight_looks_a_run(self) -> None:
        counter = PassCounter(IDS, BEFORE, group=4, draws=16 * 40)
        found = passes_of(counter, 160)
        assert (counter.passes, len(found.looks)) == (5, 8)
        assert [look.step for look in found.looks] == [10, 30, 50, 70, 90, 110, 130, 150]
        assert {look.rollouts for look in found.looks} == {5 * 64}

    def test_more_passes_leave_the_problems_own_variance(self) -> None:
        one = passes_of(PassCounter(IDS, BEFORE, 4, 16), 4).looks[0].improvement.se
        five = passes_of(PassCounter(IDS, BEFORE, 4, 16 * 40), 20).looks[0].improvement.se
        own = float(np.mean(np.var(AFTER, axis=1, ddof=1))) / 64
        spread = float(np.var(AFTER.mean(axis=1) - BEFORE.mean(axis=1), ddof=0)) * 80 / 79  # of 80 draws
        expected = max((spread - 16 * own) / 16, arm_variance(BEFORE)) + own / 5
        assert five**2 == pytest.approx(expected, rel=1e-6)
        assert five < one

    def test_a_pass_that_is_not_whole_is_no_look(self) -> None:
        assert passes_of(PassCounter(IDS, BEFORE, 4, 12), 3).looks == []

    def test_a_step_may_hold_several(self) -> None:
        found = Passes()
        drawn = [Scored(IDS[at % 16], AFTER[at % 16].tolist()) for at in range(32)]
        assert PassCounter(IDS, BEFORE, 4, 32).add(found, 1, drawn)
        assert [look.step for look in found.looks] == [1, 1]

    def test_where_all_fail_it_is_not_certain(self) -> None:
        nothing = np.zeros((16, 1))
        counter = PassCounter(IDS, nothing, group=1, draws=16)
        found = Passes()
        counter.add(found, 1, [Scored(name, [0.0]) for name in IDS])
        assert found.looks[0].improvement.value == 0
        assert found.looks[0].improvement.se == pytest.approx((2 / 18 / 16) ** 0.5)


class TestDegenerate:
    @pytest.mark.parametrize(("end", "warns"), [(0.07, True), (0.3, False)])
    def test_entropy_that_falls_is_warned_of_once(self, end: float, warns: bool) -> None:
        output, warnings = Output(), Warnings(lambda event: None)
        for step in range(1, 31):
            output.add(training_metrics(step, entropy=0.4 if step < 11 else end), warnings)
        assert [one.code for one in warnings.all] == ["degenerate_output"] * warns
        if warns:
            assert "the entropy of the student's rollouts is" in warnings.all[0].message

    def test_so_is_a_length(self) -> None:
        output, warnings = Output(), Warnings(lambda event: None)
        for step in range(1, 31):
            output.add(training_metrics(step, mean_tokens=300.0 if step < 11 else 20.0), warnings)
        assert "mean length" in warnings.all[0].message
