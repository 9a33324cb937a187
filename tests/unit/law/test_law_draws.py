"""Joint draws: each question's own answer, and what several share."""

import numpy as np
import pytest

from service.law import GapLaw, Observations, Probe
from tests.unit.law.test_law_contexts import ask, draw, key

N = 20_000


@pytest.fixture(scope="module", params=["frozen", "ema"])
def teacher(request):
    return request.param


@pytest.fixture(scope="module")
def law(teacher):
    return GapLaw().fit(draw(21, contexts=10, tau=0.05, cells=2, teacher=teacher))


def asked(teacher, **more):
    contexts, models = [key(1), key(1), key(2), "another", None], ["m0", "m7", "m0", "m0", None]
    return ask(contexts, models, teacher=teacher, gap=[0.1, 0.2, 0.3, 0.15, 0.2], gap_var=4e-4, **more)


@pytest.mark.parametrize("improvement_var", [0.0, 6e-4])
def test_each_question_is_drawn_from_its_own_prediction(law, teacher, improvement_var):
    probe = asked(teacher, improvement_var=improvement_var, cov=0.3 * (4e-4 * improvement_var) ** 0.5)
    found = law.draws(probe, N, seed=0)
    assert found.shape == (N, 5)
    out = law.predict_improvement(probe)
    lower, upper = out.interval(0.8)
    width = upper - lower
    np.testing.assert_allclose(found.mean(axis=0), out.mean, atol=0.02 * width.max())
    for level in (0.1, 0.5, 0.9):
        share = (found <= out.quantiles([level])[:, 0]).mean(axis=0)
        np.testing.assert_allclose(share, level, atol=0.02)


def test_new_families_and_cells_are_drawn_too(law, teacher):
    probe = Probe(gap=0.2, gap_var=4e-4, family=["f", "f", "g"], cell=["c9", None, "c0"], baseline=0.4, teacher=teacher)
    found, out = law.draws(probe, N, seed=1), law.predict_improvement(probe)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose((found <= out.quantiles([level])[:, 0]).mean(axis=0), level, atol=0.02)


def test_the_same_seed_draws_the_same(law, teacher):
    np.testing.assert_array_equal(law.draws(asked(teacher), 50, seed=4), law.draws(asked(teacher), 50, seed=4))
    assert (law.draws(asked(teacher), 50, seed=4) != law.draws(asked(teacher), 50, seed=5)).any()
    with pytest.raises(ValueError, match="draw"):
        law.draws(asked(teacher), 0, seed=1)


def test_questions_of_one_context_share_its_effect():
    """What two questions share does not count between them: exactly the case in which intervals mislead."""
    law = GapLaw().fit(draw(22, contexts=12, models=1, tau=0.1, sigma=0.005))
    twice = ask(["another", "another"], ["m0", "m0"])
    apart = ask(["another", "one more"], ["m0", "m0"])
    unknown = ask([None, None])
    spread = [np.diff(law.draws(probe, N, seed=2), axis=1).std() for probe in (twice, apart, unknown)]
    assert spread[0] < 0.7 * spread[1]
    assert spread[2] == pytest.approx(spread[1], rel=0.05)
    single = [law.draws(probe, N, seed=2)[:, 0].std() for probe in (twice, apart)]
    assert single[0] == pytest.approx(single[1], rel=0.03)


def test_questions_of_one_family_share_its_line(store):
    law = GapLaw(candidate_links=("linear",)).fit(store(3, (8, 8, 8)))
    probe = Probe(gap=[0.2, 0.2], gap_var=0.0, family="newcomer", baseline=0.3)
    found = law.draws(probe, N, seed=3)
    assert np.corrcoef(found.T)[0, 1] > 0.5
    apart = law.draws(Probe(gap=0.2, gap_var=0.0, family=["one", "two"], baseline=0.3), N, seed=3)
    assert np.diff(apart, axis=1).std() > 1.5 * np.diff(found, axis=1).std()


def test_gaps_that_share_the_students_samples(store):
    law = GapLaw(candidate_links=("linear",)).fit(store(4, (20, 20)))
    variance, shared = 2e-3, 1.8e-3
    probe = Probe(gap=[0.1, 0.12], gap_var=variance, family="f0", baseline=0.3)
    cov = np.array([[variance, shared], [shared, variance]])
    together, alone = law.draws(probe, N, seed=5, gap_cov=cov), law.draws(probe, N, seed=5)
    assert np.diff(together, axis=1).std() < 0.8 * np.diff(alone, axis=1).std()
    np.testing.assert_allclose(together.std(axis=0), alone.std(axis=0), rtol=0.08)
    same = law.draws(probe, N, seed=6, gap_cov=np.diag([variance] * 2))
    np.testing.assert_allclose(same.mean(axis=0), alone.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(same.std(axis=0), alone.std(axis=0), rtol=0.03)
    for wrong in (np.eye(3), np.eye(2), np.array([[variance, 2 * variance], [2 * variance, variance]])):
        with pytest.raises(ValueError, match="gap_cov"):
            law.draws(probe, 5, seed=0, gap_cov=wrong)


def test_what_is_impossible_is_not_drawn(store):
    law = GapLaw().fit(store(5, (6, 6)))
    found = law.draws(Probe(gap=0.6, gap_var=0.02, family="f0", baseline=0.7), N, seed=7)
    assert found.max() <= 0.3 + 1e-12
    assert found.min() >= -0.7


def test_teachers_of_two_rules_are_drawn_side_by_side():
    both = Observations.joined([draw(23, teacher="frozen"), draw(24, teacher="ema")])
    law = GapLaw().fit(both)
    probe = ask([key(1), key(2), key(3)], "m0", teacher=["ema", "frozen", "ema"])
    found, out = law.draws(probe, N, seed=8), law.predict_improvement(probe)
    for level in (0.1, 0.9):
        np.testing.assert_allclose((found <= out.quantiles([level])[:, 0]).mean(axis=0), level, atol=0.02)
