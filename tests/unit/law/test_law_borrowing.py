"""Families that another pool lends: in the hierarchy, and nowhere else."""

import json
from dataclasses import fields

import numpy as np
import pytest

from service.law import Code, GapLaw, Observations, Probe, Status
from service.law.keys import Key

QUESTION = {"gap": [0.1, 0.3], "gap_var": 4e-4, "baseline": 0.3, "teacher": "frozen", "divergence": "reverse_kl"}
NOTHING = Observations(gap=[], gap_var=[], improvement=[], improvement_var=[], family=[], ids=[])


def with_columns(observations, **columns):
    """The same store with other columns."""
    mine = {field.name: getattr(observations, field.name) for field in fields(observations)}
    return Observations(**{**mine, **columns})


def answers(law, family="new", **columns):
    out = law.predict_improvement(Probe(**{**QUESTION, **columns}, family=family))
    return np.array([out.mean, *out.interval(0.95)])


def width(law, family="new", **columns):
    _, lower, upper = answers(law, family, **columns)
    return upper - lower


@pytest.fixture
def lent(store):
    """Five families with slopes near .6, far below those that the prior expects."""
    observations = store(11, (6, 5, 6, 5, 6))
    n = len(observations)
    rng = np.random.default_rng(4)
    return with_columns(
        observations,
        improvement=0.6 * observations.gap + rng.normal(0, 0.015, n),
        family=[f"lent{name[1:]}" for name in observations.family],
        cov=np.zeros(n),
        teacher=["frozen"] * n,
        divergence=["reverse_kl"] * n,
        ids=[f"lent_{row}" for row in range(n)],
    )


@pytest.fixture
def own(store):
    """Two points of one family, with gaps that say little of its slope."""
    observations = store(3, (2,))
    return with_columns(
        observations,
        gap=[0.03, 0.05],
        gap_var=[1e-4] * 2,
        improvement=[0.03, 0.06],
        improvement_var=[4e-4] * 2,
        cov=[0.0] * 2,
        teacher=["frozen"] * 2,
        divergence=["reverse_kl"] * 2,
    )


def test_nothing_lent_changes_nothing(store):
    observations = store(1, (6, 4))
    law, other = GapLaw().fit(observations), GapLaw().fit(observations, lent=NOTHING)
    np.testing.assert_array_equal(answers(law), answers(other))
    written, borrowed = law.to_record(), other.to_record()
    assert borrowed.pop("borrowed") == {"families": {}, "left_out": [], "ids_hash": other.state_.borrowed.ids_hash}
    assert written == borrowed


def test_families_far_from_data_are_pulled_towards_those_that_are_lent(own, lent):
    alone, beside = GapLaw().fit(own), GapLaw().fit(own, lent=lent)
    slopes = [law.coefficients("f0").slope.mean for law in (alone, beside)]
    assert slopes[0] > 0.9 > 0.75 > slopes[1]
    assert width(beside, "f0")[1] < 0.6 * width(alone, "f0")[1]


def test_a_family_with_many_points_keeps_its_slope(store, lent):
    observations = store(5, (30,))
    n = len(observations)
    rng = np.random.default_rng(8)
    steep = with_columns(
        observations,
        improvement=1.4 * observations.gap + rng.normal(0, 0.015, n),
        cov=np.zeros(n),
        teacher=["frozen"] * n,
        divergence=["reverse_kl"] * n,
    )
    alone, beside = (GapLaw().fit(steep, lent=rows).coefficients("f0").slope.mean for rows in (None, lent))
    assert beside == pytest.approx(alone, abs=0.1)


def test_an_empty_pool_answers_from_what_is_lent(lent):
    alone, beside = GapLaw().fit(NOTHING), GapLaw().fit(NOTHING, lent=lent)
    assert (width(beside) < 0.6 * width(alone)).all()
    out = beside.predict_improvement(Probe(**QUESTION, family="new"))
    assert beside.status("new", teacher="frozen") is Status.COLD
    assert {caution.code for caution in out.warnings} == {Code.COLD}
    assert "lent4" in out.warnings[0].message
    assert beside.status("new", teacher="ema") is Status.PRIOR_ONLY, "no strength from frozen teachers"
    np.testing.assert_array_equal(answers(beside, teacher="ema"), answers(alone, teacher="ema"))


def test_a_family_that_is_lent_answers_with_its_runs_and_stays_cold(lent):
    law = GapLaw().fit(NOTHING, lent=lent)
    assert (width(law, "lent0") < width(law)).all()
    assert law.status("lent0", teacher="frozen") is Status.COLD
    message = law.predict_improvement(Probe(**QUESTION, family="lent0")).warnings[0].message
    assert "6 lent run(s) of it" in message


def test_a_family_of_the_same_name_keeps_its_own_rows_alone(own, lent):
    same = with_columns(lent, family=["f0" if name == "lent0" else name for name in lent.family])
    law = GapLaw().fit(own, lent=same)
    others = GapLaw().fit(own, lent=lent.take(np.flatnonzero([name != "lent0" for name in lent.family])))
    assert law.not_lent_ == ("f0",)
    assert others.not_lent_ == ()
    assert set(law.lent_) == {"lent1", "lent2", "lent3", "lent4"}
    np.testing.assert_array_equal(answers(law, "f0"), answers(others, "f0"))


def test_lent_rows_count_in_the_hierarchy_alone(own, lent):
    away = with_columns(
        lent, gap=lent.gap * 0 + 0.9, baseline=lent.baseline * 0 + 0.05, collapsed=np.arange(len(lent)) < 9
    )
    alone, beside = GapLaw().fit(own), GapLaw().fit(own, lent=away)
    (pool,), (other,) = alone.state_.pools.values(), beside.state_.pools.values()
    assert (pool.exposure, pool.families, pool.gaps) == (other.exposure, other.families, other.gaps)
    assert beside.families_ == {"f0": 2}
    assert beside.recipes_ == {("f0", Key.of("frozen", "reverse_kl")): 2}
    assert beside.points("f0") == 2
    assert beside.points("lent0") == 0
    assert beside.cells_ == alone.cells_ == set()
    assert len(beside.diagnostics_.residual) == 2
    assert beside.state_.ids_hash == alone.state_.ids_hash
    assert np.isnan(beside.curvature_)
    assert beside.p_collapse_ == pytest.approx(1 / 22, rel=0.1), "nine lent runs that collapsed are not the pool's"


def test_gaps_of_lent_rows_are_not_shrunk_towards_those_of_the_pool(own, lent):
    noisy = with_columns(lent, gap_var=np.full(len(lent), 1.6e-3))
    narrow = Observations.joined([own] * 20)  # their true gaps differ by .03, those of the lent rows by .1
    laws = [GapLaw().fit(rows, lent=noisy) for rows in (own, narrow)]
    slopes = [law.coefficients("lent0", teacher="frozen").slope.mean for law in laws]
    assert slopes[1] == pytest.approx(slopes[0], abs=0.05)


def test_a_divergence_without_two_own_leaves_is_pooled_with_the_rule(own, lent):
    forward = with_columns(own, divergence=["forward_kl"] * 2)
    law = GapLaw().fit(forward, lent=lent)
    assert set(law.state_.pools) == {Key.of("frozen", None).whole}
    alone = GapLaw().fit(forward)
    assert (width(law, "f0", divergence="forward_kl") < width(alone, "f0", divergence="forward_kl")).all()


def test_contexts_of_lent_rows_are_not_independent(lent):
    context = [f"{name}{row // 3}" for row, name in enumerate(lent.family)]
    law = GapLaw().fit(NOTHING, lent=with_columns(lent, context=context))
    assert law.context_sd("new", teacher="frozen").mean >= 0
    assert (width(law, context="another") < 0.7 * width(GapLaw().fit(NOTHING))).all()
    assert law.context_effects() == ()


def test_a_record_replays(own, lent):
    law = GapLaw().fit(own, lent=lent)
    read = GapLaw.from_record(json.loads(json.dumps(law.to_record())))
    for family in ("f0", "new", "lent0"):
        np.testing.assert_array_equal(answers(law, family), answers(read, family))
    assert (read.lent_, read.not_lent_) == (law.lent_, law.not_lent_)
    assert read.state_.borrowed.ids_hash == law.state_.borrowed.ids_hash
    assert read.to_record() == json.loads(json.dumps(law.to_record()))
    assert read.predict_improvement(Probe(**QUESTION, family="new")).warnings == (
        law.predict_improvement(Probe(**QUESTION, family="new")).warnings
    )


def test_an_update_is_a_full_fit(store, lent):
    line = ("linear",)
    observations = store(6, (8,))
    said = {"teacher": ["frozen"] * 8, "divergence": ["reverse_kl"] * 8}
    observations = with_columns(observations, **said)
    law = GapLaw(candidate_links=line).fit(observations.take(np.arange(7)), lent=lent)
    law.update(observations.take(np.array([7])))
    whole = GapLaw(candidate_links=line).fit(observations, lent=lent)
    np.testing.assert_array_equal(answers(law, "f0"), answers(whole, "f0"))
    read = GapLaw.from_record(law.to_record())
    with pytest.raises(ValueError, match="holds no rows"):
        read.update(observations.take(np.array([7])))
