"""Which runs lend each other strength."""

import json
from dataclasses import fields

import numpy as np
import pytest

from service.law import Code, GapLaw, Observations, Probe, Status
from service.law.keys import ANY, Key, Rule, divided

pytestmark = pytest.mark.slow


def told(observations, **columns):
    """The same store with other columns."""
    mine = {field.name: getattr(observations, field.name) for field in fields(observations)}
    return Observations(**{**mine, **columns})


def answers(law, **said):
    out = law.predict_improvement(Probe(gap=[0.1, 0.3], gap_var=4e-4, family="f0", baseline=0.3, **said))
    return np.array([out.mean, *out.interval(0.95)])


@pytest.fixture
def mixed(store):
    """Four families, of which two have a frozen teacher and two a moving one, in two divergences each."""
    observations = store(1, (6, 6, 6, 6))
    return told(
        observations,
        teacher=["frozen"] * 12 + ["ema"] * 12,
        divergence=["forward_kl", "reverse_kl"] * 12,
    )


def test_frozen_and_moving_teachers_are_never_pooled(mixed):
    law = GapLaw().fit(mixed)
    moved = mixed.improvement.copy()
    moved[:12] *= -0.5
    other = GapLaw().fit(told(mixed, improvement=moved))
    np.testing.assert_array_equal(answers(law, teacher="ema"), answers(other, teacher="ema"))
    assert np.abs(answers(law, teacher="frozen") - answers(other, teacher="frozen")).max() > 0.1
    assert law.links("f0") != law.links("f3")


@pytest.mark.parametrize("beside", ["frozen", "ema", None])
def test_a_live_teacher_is_a_rule_of_its_own(store, beside):
    observations = store(1, (6, 6, 6, 6))
    teachers = ["live"] * 12 + [beside] * 12
    law = GapLaw().fit(told(observations, teacher=teachers))
    alone = GapLaw().fit(told(observations, teacher=teachers).take(np.arange(12)))
    np.testing.assert_array_equal(answers(law, teacher="live"), answers(alone, teacher="live"))
    assert {key.rule for _, key in law.recipes_} == {Rule.LIVE, Key.of(beside, None).rule}
    again = GapLaw.from_record(json.loads(json.dumps(law.to_record())))
    np.testing.assert_array_equal(answers(again, teacher="live"), answers(law, teacher="live"))
    moving = GapLaw().fit(told(observations, teacher=["ema"] * 24).take(np.arange(12)))
    np.testing.assert_array_equal(answers(alone, teacher="live"), answers(moving, teacher="ema"))  # one prior


@pytest.mark.parametrize(("teacher", "rule"), [("trust_region", "frozen"), (None, "ema")])
def test_a_trust_region_counts_as_frozen_and_an_unknown_teacher_as_moving(store, teacher, rule):
    observations = store(2, (5, 5))
    laws = [GapLaw().fit(told(observations, teacher=[name] * 10)) for name in (teacher, rule)]
    np.testing.assert_array_equal(*(answers(law, teacher=rule) for law in laws))
    np.testing.assert_array_equal(*(answers(law, teacher=teacher) for law in laws))


def test_a_divergence_answers_alone_with_two_others_of_its_own(store):
    observations = store(3, (6, 6, 6, 6, 6))
    said = ["forward_kl"] * 18 + ["reverse_kl"] * 12  # f0 to f2, and f3 and f4
    law = GapLaw().fit(told(observations, teacher=["ema"] * 30, divergence=said))
    forward = GapLaw().fit(told(observations, teacher=["ema"] * 30, divergence=said).take(np.arange(18)))
    every = GapLaw().fit(told(observations, teacher=["ema"] * 30))
    said = {"teacher": "ema", "divergence": "forward_kl"}
    np.testing.assert_array_equal(answers(law, **said), answers(forward, **said))
    # f0 has no other cells of this divergence, and none at all of that
    for divergence in ("js", None):
        np.testing.assert_array_equal(answers(law, teacher="ema", divergence=divergence), answers(every, teacher="ema"))
    # f3 has one other, a new family two
    state = law.state_
    reverse = Key(Rule.CO_MOVING, "reverse_kl")
    assert state.answering(reverse, ("f3", None)) is state.pools[Key(Rule.CO_MOVING, ANY)]
    assert state.answering(reverse, ("new", None)) is state.pools[reverse]


def test_pools_hold_the_rows_that_they_should(mixed):
    pools = divided(mixed)
    frozen, moving = Key(Rule.FROZEN, ANY), Key(Rule.CO_MOVING, ANY)
    assert pools[frozen].tolist() == list(range(12))
    assert pools[moving].tolist() == list(range(12, 24))
    assert pools[Key(Rule.FROZEN, "reverse_kl")].tolist() == list(range(1, 12, 2))
    assert len(pools) == 6
    alone = divided(told(mixed, divergence=[None] * 24))
    assert list(alone) == [frozen, moving]  # one divergence is its whole rule


def test_a_rule_of_which_nothing_is_stored_has_its_prior(mixed):
    law = GapLaw().fit(mixed.take(np.arange(12)))
    out = law.predict_improvement(Probe(gap=0.2, gap_var=1e-4, family="f0", teacher="ema", baseline=0.3))
    assert Code.PRIOR_ONLY in {caution.code for caution in out.warnings}
    assert law.status("f0") is Status.FITTED
    assert law.status("f0", teacher="ema") is Status.PRIOR_ONLY
    assert law.links("f0", teacher="ema") == pytest.approx({"linear": 1 / 3, "tanh": 1 / 3, "exp": 1 / 3})
    empty = GapLaw().fit(mixed.take(np.arange(0)))
    assert empty.links("f0", teacher="frozen") == pytest.approx({"linear": 0.8, "tanh": 0.1, "exp": 0.1})


def test_probes_of_several_pools_keep_their_order(mixed):
    law = GapLaw().fit(mixed)
    teachers = ["ema", "frozen", None, "ema", "frozen"]
    families = ["f0", "f0", "f3", "f2", "new"]
    gaps = [0.1, 0.2, 0.02, 0.9, 0.2]
    both = law.predict_improvement(Probe(gap=gaps, gap_var=4e-4, family=families, teacher=teachers, baseline=0.3))
    for i in range(5):
        one = law.predict_improvement(
            Probe(gap=gaps[i], gap_var=4e-4, family=families[i], teacher=teachers[i], baseline=0.3)
        )
        assert one.mean == pytest.approx(both.mean[i], abs=1e-12)
        np.testing.assert_allclose(one.interval(0.8), [bound[i] for bound in both.interval(0.8)], atol=1e-9)
        assert [caution.code for caution in one.warnings] == [
            caution.code for caution in both.warnings if caution.probe == i
        ]
        mine = [branch for branch in both.branches if i in branch.probes]
        assert [branch.kind for branch in one.branches] == [branch.kind for branch in mine]


def test_one_missing_baseline_leaves_the_line_alone(mixed):
    baseline = mixed.baseline.copy()
    baseline[20] = np.nan
    law = GapLaw().fit(told(mixed, baseline=baseline))
    assert law.links("f3") == {"linear": 1, "tanh": 0, "exp": 0}
    assert law.links("f0")["linear"] < 1
    said = law.predict_improvement(Probe(gap=0.2, gap_var=1e-4, family="f3", teacher="ema")).warnings
    assert Code.BASELINE_MISSING in {caution.code for caution in said}
    assert Code.BASELINE_MISSING in {caution.code for caution in law.coefficients("f3").warnings}
    assert not law.coefficients("f0").warnings or law.coefficients("f0").warnings[0].code is Code.LINK_UNDECIDED
    linear = GapLaw(candidate_links=("linear",)).fit(mixed)
    np.testing.assert_array_equal(answers(law, teacher="ema"), answers(linear, teacher="ema"))


def test_a_question_without_a_teacher_means_where_most_runs_of_the_family_are(mixed):
    law = GapLaw().fit(told(mixed, family=["a"] * 7 + ["b"] * 5 + ["a"] * 6 + ["b"] * 6))
    assert law.links("a") == law.links("a", teacher="frozen", divergence="forward_kl")
    assert law.links("b") == law.links("b", teacher="ema", divergence="forward_kl")
    assert law.links("never") == law.links("never", teacher="ema", divergence="forward_kl"), "as most runs of all are"
    assert law.families_ == {"a": 13, "b": 11}


def test_rows_are_diagnosed_by_the_pool_that_answers_for_them(store):
    observations = store(4, (6, 6, 6, 6, 6))
    said = told(observations, teacher=["ema"] * 30, divergence=["forward_kl"] * 18 + ["reverse_kl"] * 12)
    law = GapLaw().fit(said)
    forward = GapLaw().fit(said.take(np.arange(18)))
    every = GapLaw().fit(told(observations, teacher=["ema"] * 30))
    for name, column in vars(law.diagnostics_).items():
        np.testing.assert_allclose(column[:18], getattr(forward.diagnostics_, name), atol=1e-12)
        np.testing.assert_allclose(column[18:], getattr(every.diagnostics_, name)[18:], atol=1e-12)
