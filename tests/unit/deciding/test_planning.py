"""Plans for a budget: what the law, the gaps and the runs are worth, on the same draws for every plan."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from service.deciding import Configuration, Known, Limits, Outlook, Planned, Prices, make_plan, outlook, run_variance
from service.law import GapLaw, Observations

RULE = {"teacher": "frozen", "divergence": "forward_kl"}
FREE = 1e-9
"""hours of a rollout that nobody counts"""


def law_of(slopes: dict[str, float], sd: float) -> GapLaw:
    """A law of families with these slopes, whose runs end so far from their lines."""
    rng = np.random.default_rng(1)
    family = [name for name in slopes for _ in range(6)]
    gap = rng.uniform(-0.02, 0.35, len(family))
    improvement = np.array([slopes[name] for name in family]) * gap + sd * rng.standard_normal(len(gap))
    small = np.full(len(gap), 0.0004)
    rest: dict[str, Any] = {name: [value] * len(gap) for name, value in RULE.items()} | {
        "baseline": np.full(len(gap), 0.3)
    }
    seen = Observations(gap=gap, gap_var=small, improvement=improvement, improvement_var=small, family=family, **rest)
    return GapLaw().fit(seen)


@pytest.fixture(scope="module")
def sharp() -> GapLaw:
    return law_of({"a": 1.2, "b": 1.2, "c": 1.2}, 0.02)


@pytest.fixture(scope="module")
def wide() -> GapLaw:
    return law_of({"a": 0.3, "b": 2.0, "c": 1.2, "d": 0.8, "e": 1.7}, 0.06)


@pytest.fixture(scope="module")
def noisy() -> GapLaw:
    return law_of({"a": 1.2, "b": 1.2, "c": 1.2}, 0.06)


def configuration(name: str, family: str = "a") -> Configuration:
    question: dict[str, Any] = {"family": family, "cell": None, "context": None, "model": family} | RULE
    return Configuration(0, question, family, family, f"{family} {name}", rollouts=4, most=2000)


def known(gap: float, problems: int = 1024) -> Known:
    noise = np.random.default_rng(int(1e6 * abs(gap))).standard_normal(problems) * 0.35
    differences = gap + noise - noise.mean()
    return Known(differences, float(differences.var()) / problems, 0.3, 0.05)


def view_of(law: GapLaw, configurations: Sequence[Configuration], measured: Sequence[Known | None]) -> Outlook:
    return outlook([law], configurations, measured, np.random.SeedSequence(0))


def planned(
    law: GapLaw,
    configurations: Sequence[Configuration],
    measured: Sequence[Known | None] | None = None,
    *,
    hours: float = np.inf,
    runs: int = 1,
    learns: bool = True,
    run: float | Sequence[float] = 1.0,
    rollout: float = 1e-4,
    least: float = 0.0,
    had: float = -np.inf,
    trained: Sequence[int] = (),
    seeds: bool = False,
    now: bool = False,
    pilots: bool = True,
) -> Planned:
    P = len(configurations)
    prices = Prices(np.broadcast_to(run, P).astype(float), np.full(P, rollout), np.full(P, 128.0 * 12))
    limits = Limits(hours, runs, learns, least, np.full(P, 128.0), 0.0004, had, pilots)
    view = view_of(law, configurations, measured or [None] * P)
    known_ones = measured or [None] * P
    apart = run_variance([law], configurations, known_ones, view, np.random.SeedSequence(0)) if seeds else None
    return make_plan(configurations, view, prices, limits, trained, apart=apart, now=now)


def several(number: int, family: str = "a") -> list[Configuration]:
    return [configuration(str(index), family) for index in range(number)]


def test_unknown_gaps_under_a_sharp_law_are_probed(sharp: GapLaw) -> None:
    found = planned(sharp, several(6))
    assert found.plan is not None
    assert found.bottleneck == "gap"
    assert 32 <= found.plan.problems < 2000, "the last tenth of a point is not bought"
    assert found.plan.probed == found.plan.train
    assert found.plan.gain > found.without + 0.03
    assert found.plan.gain >= found.naive - 0.001


def test_where_one_is_far_ahead_no_probing_pays(sharp: GapLaw) -> None:
    found = planned(sharp, several(4), [known(0.05), known(0.32), known(0.02), known(0.04)])
    assert found.plan is not None
    assert (found.plan.problems, found.plan.runs, found.plan.hours) == (0, 1, 1.0)
    assert found.plan.train[0] == 1
    assert found.plan.gain == pytest.approx(found.without)
    assert found.bottleneck in {"none", "runs"}


FAMILIES = [*several(4, "x"), *several(4, "y")]
ALIKE = [known(gap) for gap in np.linspace(0.25, 0.2, 8)]
"""gaps that say little of two families without a stored run: the first half is of one"""


def test_under_a_wide_law_runs_come_first(wide: GapLaw) -> None:
    found = planned(wide, FAMILIES, ALIKE, runs=5)
    assert found.plan is not None
    assert found.bottleneck == "law"
    assert {row // 4 for row in found.plan.first} == {0, 1}, "a run of each family"
    assert found.plan.gain > found.at_once + 0.01
    assert found.law_share > 0.9
    assert found.considered[0] == found.plan


def test_runs_that_the_law_does_not_see_teach_nothing(wide: GapLaw) -> None:
    found = planned(wide, FAMILIES, ALIKE, runs=5, learns=False, pilots=False)
    assert found.plan is not None
    assert not any(plan.teaches for plan in found.considered)
    assert found.plan.gain == pytest.approx(found.at_once, abs=0.001)


def test_training_everything_is_worth_the_best_of_all_outcomes(sharp: GapLaw) -> None:
    configurations = several(4)
    best = view_of(sharp, configurations, [None] * 4).draws.max(axis=1).mean()
    found = planned(sharp, configurations, runs=4, rollout=1.0)
    assert max(plan.gain for plan in found.considered) == pytest.approx(best)


def test_more_problems_are_worth_no_less_and_less_than_exact_gaps(sharp: GapLaw) -> None:
    gains = {}
    configurations = several(6)
    view = view_of(sharp, configurations, [None] * 6)
    for problems in (32, 128, 512, 2000):
        few = [each._replace(most=problems) for each in configurations]
        prices = Prices(np.ones(6), np.full(6, FREE), np.zeros(6))
        limits = Limits(np.inf, 1, False, 0.0, np.full(6, float(problems)), 0.0004)
        gains[problems] = make_plan(few, view, prices, limits).naive
    assert gains[32] < gains[128] < gains[512] <= gains[2000] + 1e-3
    exact = view.draws.max(axis=1).mean()
    assert gains[2000] < exact, "a run's own luck is not known before it"


def test_no_plan_takes_more_than_the_budget(sharp: GapLaw) -> None:
    found = planned(sharp, several(6), hours=2.2, runs=3, rollout=1e-4)
    assert all(plan.hours <= 2.2 + 1e-9 for plan in found.considered)
    assert found.plan is not None
    assert found.plan.runs <= 2
    tight = planned(sharp, several(6), hours=1.05, runs=3, rollout=1e-4)
    assert tight.plan is not None
    assert tight.plan.problems == 0
    assert tight.naive == pytest.approx(tight.without), "there is no hour left to probe"


def test_a_run_that_is_too_dear_is_not_chosen(sharp: GapLaw) -> None:
    found = planned(sharp, several(3), [known(0.3), known(0.1), known(0.05)], hours=2.0, run=[5.0, 1.5, 1.5])
    assert found.plan is not None
    assert found.plan.gain < found.without - 0.1
    assert found.plan.hours <= 2.0


def test_below_the_least_gain_nothing_is_trained(sharp: GapLaw) -> None:
    measured = [known(0.02), known(0.01), known(0.03)]
    assert planned(sharp, several(3), measured, least=0.2).plan is None
    assert planned(sharp, several(3), measured, least=0.2).bottleneck == "none"
    assert planned(sharp, several(3), measured, least=0.0).plan is not None


AHEAD = [known(0.05), known(0.32), known(0.02), known(0.04)]


def test_a_second_seed_of_one_that_is_far_ahead_is_worth_more_than_another_one(noisy: GapLaw) -> None:
    once = planned(noisy, several(4), AHEAD, runs=2)
    found = planned(noisy, several(4), AHEAD, runs=2, seeds=True)
    assert found.plan is not None
    assert once.plan is not None
    assert found.plan.train == (1, 1)
    assert found.plan.hours == 2
    view = view_of(noisy, several(4), AHEAD)
    noise = run_variance([noisy], several(4), AHEAD, view, np.random.SeedSequence(0))[1] ** 0.5
    larger_of_two = noise / np.pi**0.5
    assert found.plan.gain == pytest.approx(found.without + larger_of_two, abs=0.004)
    assert found.plan.gain > once.plan.gain + 0.02


def test_of_several_alike_another_one_is_worth_more_than_a_second_seed(noisy: GapLaw) -> None:
    rough = [known(0.3 + place / 1e5, 64) for place in range(4)]
    found = planned(noisy, several(4), rough, runs=2, seeds=True, rollout=1.0)
    assert found.plan is not None
    assert found.plan.runs == 2
    assert len(set(found.plan.train[:2])) == 2
    everything = planned(noisy, several(2), rough[:2], runs=4, seeds=True, rollout=1.0)
    assert max(plan.runs for plan in everything.considered) == 4, "two seeds of each"


def test_a_second_seed_shares_all_but_the_runs_own_noise(noisy: GapLaw, sharp: GapLaw) -> None:
    for law in (noisy, sharp):
        view = view_of(law, several(4), AHEAD)
        total = view.draws.var(axis=0)
        own = run_variance([law], several(4), AHEAD, view, np.random.SeedSequence(0))
        assert np.all(own < total)
        assert np.all(own > 0.15 * total)
        unknown: list[Known | None] = [None] * 4
        view = view_of(law, several(4), unknown)
        own = run_variance([law], several(4), unknown, view, np.random.SeedSequence(0))
        assert np.all(own < 0.7 * view.draws.var(axis=0)), "its gap is shared"


def test_noise_that_the_draws_do_not_hold_is_taken_as_far_as_they_do(noisy: GapLaw) -> None:
    view = view_of(noisy, several(4), AHEAD)
    own = run_variance([noisy], several(4), AHEAD, view, np.random.SeedSequence(0))
    prices, limits = Prices(np.ones(4), np.ones(4), np.ones(4)), Limits(np.inf, 2, False, 0.0, np.ones(4), 0.0004)
    gains = [
        make_plan(several(4), view, prices, limits, apart=factor * own).considered[0].gain for factor in (1, 9, 99)
    ]
    assert gains[1] == pytest.approx(gains[2])
    assert gains[0] <= gains[1] < gains[0] + 0.02


def test_what_was_trained_once_may_be_trained_with_another_seed(noisy: GapLaw) -> None:
    again = planned(noisy, several(4), AHEAD, trained=[1], had=0.37, seeds=True)
    assert again.plan is not None
    assert again.plan.train == (1,)
    twice = planned(noisy, several(4), AHEAD, trained=[1, 1], had=-np.inf, seeds=True)
    assert twice.plan is not None
    assert 1 not in twice.plan.train


def test_what_follows_a_probe_may_be_trained_with_two_seeds(noisy: GapLaw) -> None:
    found = planned(noisy, several(2), runs=3, seeds=True)
    assert max(plan.runs for plan in found.considered if plan.problems) == 3
    once = planned(noisy, several(2), runs=3)
    assert found.plan is not None
    assert once.plan is not None
    assert found.plan.gain > once.plan.gain + 0.01


def test_a_plan_to_train_now_probes_nothing(noisy: GapLaw) -> None:
    found = planned(noisy, several(4), runs=3, seeds=True, now=True)
    assert {(plan.problems, plan.teaches) for plan in found.considered} == {(0, False)}
    assert found.plan is not None
    assert len(found.plan.train) == found.plan.runs == 3


def test_what_was_trained_is_not_trained_again_and_sets_the_bar(sharp: GapLaw) -> None:
    measured = [known(0.3), known(0.1), known(0.05)]
    found = planned(sharp, several(3), measured, trained=[0])
    assert found.plan is not None
    assert 0 not in found.plan.train
    assert planned(sharp, several(3), measured, trained=[0], had=0.5).plan is None


@pytest.mark.slow
def test_the_same_question_has_the_same_plan(wide: GapLaw) -> None:
    assert planned(wide, FAMILIES, runs=3) == planned(wide, FAMILIES, runs=3)
