"""One look: standings, the reason to stop, and where the next problems go."""

import numpy as np
import pytest

from service.deciding import Known, Rules, cost, decide
from tests.unit.deciding.conftest import configurations, known

PLENTY = 1e6


def look(law, measured, rules=None, *, budget=PLENTY, compared=None, eliminated=frozenset(), round=1):
    compared = configurations(len(measured)) if compared is None else compared
    return decide([law], compared, measured, rules or Rules(), budget=budget, eliminated=eliminated, round=round)


class TestFirstRound:
    def test_everyone_gets_the_first_problems(self, sharp):
        found = look(sharp, [None] * 3, round=0)
        assert found.stop is None
        assert found.more == {0: 32, 1: 32, 2: 32}
        assert [each.p_best for each in found.standings] == pytest.approx([1 / 3] * 3, abs=0.03)

    def test_never_more_than_there_are(self, sharp):
        assert look(sharp, [None] * 2, compared=configurations(2, most=20)).more == {0: 20, 1: 20}

    def test_only_those_that_lack_them(self, sharp):
        assert look(sharp, [*known([0.1, 0.2], [64, 8]), None]).more == {1: 32, 2: 32}

    @pytest.mark.parametrize("budget", [0, 383])
    def test_a_budget_that_is_too_small_stops(self, sharp, budget):
        found = look(sharp, [None], budget=budget)
        assert (found.stop, found.more) == ("budget", {})
        assert look(sharp, [None], budget=384).more == {0: 32}


class TestStandings:
    def test_the_largest_gap_leads(self, sharp):
        found = look(sharp, known([0.1, 0.3, 0.2], 64))
        means = [each.mean for each in found.standings]
        assert found.leader == 1
        assert np.argsort(means).tolist() == [0, 2, 1]
        np.testing.assert_allclose(means, [0.1, 0.3, 0.2], atol=0.03)
        assert all(each.lower < each.mean < each.upper for each in found.standings)
        assert sum(each.p_best for each in found.standings) == pytest.approx(1)
        losses = [each.loss for each in found.standings]
        assert np.argsort(losses).tolist() == [1, 2, 0]
        assert losses[0] - losses[1] == pytest.approx(means[1] - means[0], abs=0.01)

    def test_the_same_input_gives_the_same_decision(self, sharp):
        measured = known([0.1, 0.15, 0.2], [64, 40, 64])
        assert look(sharp, measured) == look(sharp, measured)
        again = look(sharp, measured, Rules(seed=1))
        assert again.standings != look(sharp, measured).standings
        assert look(sharp, measured, round=2).standings != look(sharp, measured).standings
        assert again.standings[0].p_best == pytest.approx(look(sharp, measured).standings[0].p_best, abs=0.03)

    def test_the_law_says_how_far_gaps_decide(self, sharp, blunt):
        measured = known([0.1, 0.2], 512)
        assert look(sharp, measured).standings[1].p_best > 0.99
        assert 0.6 < look(blunt, measured).standings[1].p_best < 0.9

    def test_shared_problems_sharpen_the_difference(self, sharp):
        apart = [known([0.1], 64, seed=1)[0], known([0.16], 64, seed=2)[0]]
        together = known([0.1, 0.16], 64, seed=1)
        assert together[0].gap_var == pytest.approx(apart[0].gap_var)
        assert look(sharp, together).standings[1].p_best > look(sharp, apart).standings[1].p_best + 0.02

    def test_two_laws_are_asked_each_for_its_own(self, sharp, blunt):
        compared = [*configurations(1), *configurations(1, law=1, paired="another", student="another")]
        found = decide([sharp, blunt], compared, known([0.1, 0.2], 512), Rules(), budget=PLENTY, round=1)
        assert 0.6 < found.standings[1].p_best < 0.95
        assert found.leader == 1

    def test_a_refused_prediction_ranks_by_its_draws_and_is_marked(self, sharp):
        found = look(sharp, known([0.1, 0.65], 128))
        assert [each.refused for each in found.standings] == [False, True]
        assert found.leader == 1
        assert np.isfinite(found.standings[1].mean)

    def test_two_are_picked(self, sharp):
        found = look(sharp, known([0.1, 0.3, 0.31, 0.2], 64), Rules(pick=2))
        assert found.picked == (2, 1)
        assert found.p_best_picked == pytest.approx(found.standings[1].p_best + found.standings[2].p_best)
        assert sum(each.p_picked for each in found.standings) == pytest.approx(2)
        assert look(sharp, known([0.1, 0.2], 64), Rules(pick=5)).picked == (1, 0)

    def test_those_that_the_leader_does_not_beat_are_alike(self, sharp):
        assert look(sharp, known([0.1, 0.29, 0.3], 256)).alike == (1,)
        apart, measured = [*configurations(1, paired="another"), *configurations(1)], known([0.24, 0.3], 512)
        assert look(sharp, measured, compared=apart).alike == ()
        # beaten, and by less than what matters
        assert look(sharp, measured, Rules(indifference=0.1), compared=apart).alike == (0,)


class TestStops:
    def test_decided(self, sharp):
        found = look(sharp, known([0.1, 0.3], 256))
        assert (found.stop, found.more) == ("decided", {})
        assert found.p_best_picked >= 0.95

    def test_indifferent(self, sharp):
        assert look(sharp, known([0.2, 0.2], 256), Rules(indifference=0.05)).stop == "indifferent"
        assert look(sharp, known([0.2, 0.2], 256)).stop is None

    def test_law(self, blunt):
        found = look(blunt, known([0.1, 0.25], 512))
        assert found.stop == "law"
        assert found.p_best_picked < 0.95

    def test_law_when_nobody_is_left(self, blunt):
        found = look(blunt, known([0.05, 0.25], 128))
        assert found.eliminated == {0}
        assert found.stop == "law"

    def test_budget(self, sharp):
        measured = known([0.2, 0.21], 64)
        assert look(sharp, measured, budget=8 * 4 * 3 - 1).stop == "budget"
        assert look(sharp, measured, budget=8 * 4 * 3).more in ({0: 72}, {1: 72})

    def test_most_problems(self, sharp):
        assert look(sharp, known([0.2, 0.21], 64), compared=configurations(2, most=64)).stop == "most_problems"


class TestNextRound:
    def test_it_goes_to_the_rivals(self, sharp):
        apart = [configurations(1, paired=name)[0] for name in "abcd"]
        found = look(sharp, known([0.02, 0.2, 0.21, 0.01], 64), compared=apart, budget=3000)
        assert (found.stop, found.eliminated) == (None, frozenset())
        assert set(found.more) == {1, 2}

    @pytest.mark.parametrize("seed", range(6))
    def test_it_keeps_to_blocks_budget_and_most(self, sharp, seed):
        rng = np.random.default_rng(seed)
        problems = 8 * rng.integers(4, 12, 5)
        measured = known(rng.uniform(0.15, 0.25, 5), problems, seed=seed)
        compared = configurations(5, most=100, paired="one" if seed % 2 else "two")
        budget = int(rng.integers(100, 2000))
        have = dict(enumerate(problems.tolist()))
        found = look(sharp, measured, budget=budget, compared=compared)
        if found.stop is None:
            assert 0 < cost(compared, have, found.more) <= budget
        for row, total in found.more.items():
            assert have[row] < total <= min(100, 2 * have[row] + 7)
            assert total % 8 == 0 or total == 100
            assert row not in found.eliminated

    def test_the_eliminated_get_nothing(self, sharp):
        found = look(sharp, known([0.2, 0.21, 0.2], 64), eliminated=frozenset({1}))
        assert found.eliminated == {1}
        assert found.leader != 1
        assert found.standings[1].eliminated
        assert 1 not in found.picked
        assert set(found.more) == {0, 2}
        assert look(sharp, known([0.2, 0.3, 0.25], 64), Rules(pick=2), eliminated=frozenset({1})).picked == (2, 0)
        short = look(sharp, known([0.2, 0.21, 0.2], [64, 8, 64]), eliminated=frozenset({1}))
        assert set(short.more) == {0, 2}

    def test_nobody_more_than_doubles(self, sharp):
        found = look(sharp, known([0.2, 0.2], [32, 512]))
        assert found.more[0] <= 64

    def test_the_last_problems_are_a_round_of_their_own(self, sharp):
        found = look(sharp, known([0.2, 0.2], 64), compared=configurations(2, most=67))
        assert set(found.more.values()) == {67}

    def test_a_budget_lasts_for_about_forty_looks(self, sharp):
        compared, have = configurations(2, most=100_000), 32
        spent, rounds = 0, 0
        budget = 8 * 4 * 4 * 400
        while spent < budget and rounds < 100:
            rounds += 1
            found = look(
                sharp, known([0.2, 0.2], have, noise=2.0), compared=compared, budget=budget - spent, round=rounds
            )
            if found.stop:
                break
            spent += cost(compared, {0: have, 1: have}, dict.fromkeys((0, 1), max(found.more.values())))
            have = max(found.more.values())
        assert 5 < rounds <= 42
        assert spent > 0.9 * budget


class TestOddInput:
    @pytest.mark.parametrize("problems", [1, 2, 3])
    def test_few_problems(self, sharp, problems):
        measured = [Known(np.full(problems, gap), 0.25, 0.3, None) for gap in (0.0, 1.0)]
        compared = configurations(2, most=problems)
        found = look(sharp, measured, compared=compared)
        assert found.stop in {"most_problems", "law", "indifferent"}
        assert found.leader == 1

    @pytest.mark.parametrize("gap_var", [0.0, 1e-9])
    def test_scores_without_variance(self, sharp, gap_var):
        measured = [Known(np.full(64, gap), gap_var, 0.3, 0.0) for gap in (0.1, 0.1, 0.2)]
        found = look(sharp, measured)
        assert found.leader == 2
        assert found.stop == "decided"

    def test_all_equal(self, sharp):
        found = look(sharp, [known([0.2], 64)[0]] * 4)
        assert found.eliminated == frozenset()
        assert [each.p_best for each in found.standings] == pytest.approx([0.25] * 4, abs=0.03)

    def test_all_right_and_all_wrong(self, sharp):
        measured = [Known(np.full(32, gap), 0.03, student, None) for gap, student in ((1.0, 0.0), (0.0, 1.0))]
        found = look(sharp, measured)
        assert found.leader == 0
        assert all(np.isfinite([each.mean, each.loss]).all() for each in found.standings)

    def test_one_configuration(self, sharp):
        found = look(sharp, known([0.2], 32))
        assert found.stop == "decided"
        assert found.p_best_picked == 1
