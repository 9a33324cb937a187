"""What a law of several links answers."""

import json

import numpy as np
import pytest

from service.law import Code, GapLaw, Kind, Observations, Probe
from service.law.components import at_leaves, at_places, by_link, exposed, normals
from service.law.links import EXP, LINKS, TANH, headroom
from service.law.mixture import NormalMixture
from service.law.predicting import conditions


def draw(name, seed=0, sizes=(20, 20, 20), slope=2.5, top=0.4, sigma=0.01, teacher="ema", baseline=0.4):
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(sizes)), sizes)
    n = len(family)
    gap = rng.uniform(0, top, n)
    eta = rng.normal(slope, 0.2, len(sizes))[family] * gap
    improvement = LINKS[name].at(eta, np.full(n, 1 - baseline)).value + rng.normal(0, sigma, n)
    return Observations(
        gap=gap, gap_var=np.full(n, 1e-4), improvement=np.clip(improvement, -1, 1), improvement_var=np.full(n, 1e-4),
        family=[f"f{i}" for i in family], baseline=np.full(n, baseline), teacher=[teacher] * n,
        ids=[f"obs_{i}" for i in range(n)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def bent():
    return GapLaw().fit(draw("exp"))


@pytest.fixture(scope="module")
def undecided():
    return GapLaw().fit(draw("exp", seed=3, sizes=(5, 5, 5), slope=1.6, top=0.15, sigma=0.02))


def probe(**change):
    return Probe(**{"gap": 0.2, "gap_var": 1e-4, "family": "f0", "teacher": "ema", "baseline": 0.4, **change})


def codes(out):
    return {caution.code for caution in out.warnings}


@pytest.mark.parametrize("link", [TANH, EXP], ids=["tanh", "exp"])
@pytest.mark.parametrize("cov", [0.0, 7e-4], ids=["apart", "shared"])
def test_one_models_normals_by_monte_carlo(link, cov):
    law = GapLaw(candidate_links=(link.name.value,)).fit(draw(link.name, sizes=(6, 6), sigma=0.03))
    state, exposure = law.state_.whole[0].models[0], law.state_.whole[0].exposure
    asked = probe(gap=0.25, gap_var=0.001, baseline=0.5, baseline_var=5e-4, improvement_var=0.001, cov=cov)
    at = at_leaves(state, [("f0", None)])
    node = int(np.argmax(at.weight))
    only = at._replace(
        weight=np.ones(1), mean=at.mean[:, :, [node]], cov=at.cov[:, :, [node]], sigma_square=at.sigma_square[[node]]
    )
    rng = np.random.default_rng(0)
    n = 400_000
    s00, s01, s11 = only.cov[:, 0, 0]
    b = rng.multivariate_normal(only.mean[:, 0, 0], [[s00, s01], [s01, s11]], n)
    found = exposed(exposure, asked, headroom(asked.baseline))
    priors = (exposure.mean, exposure.variance), (0.25, 1e6)  # a flat one is a very wide one
    for (_, part), (prior_mean, prior_var) in zip(found, priors, strict=True):
        gain, error_gain = prior_var / (prior_var + 0.001), cov / (prior_var + 0.001)
        centre = prior_mean + gain * (0.25 - prior_mean), error_gain * (0.25 - prior_mean)
        spread = [[gain * 0.001, -gain * cov], [-gain * cov, 0.001 - error_gain * cov]]
        x, dy = rng.multivariate_normal(centre, spread, n).T
        noise = at.sigma_square[node] * state.model.spread(np.array([centre[0]]))[0]
        eta = b[:, 0] + b[:, 1] * x + rng.normal(0, np.sqrt(0.8 * noise), n)
        H = np.full(n, 0.5) + (rng.normal(0, 5e-4**0.5, n) if cov == 0 else 0)
        y = link.at(eta, H).value + rng.normal(0, np.sqrt(0.2 * noise), n) + dy
        mixture = NormalMixture(*normals(link, only, part))
        assert mixture.weight.sum() == pytest.approx(1)
        assert mixture.centre[0] == pytest.approx(y.mean(), abs=0.003)
        probabilities = [0.025, 0.1, 0.5, 0.9, 0.975]
        np.testing.assert_allclose(mixture.quantiles(probabilities)[0], np.quantile(y, probabilities), atol=0.005)


def test_merged_mixtures_keep_their_quantiles():
    rng = np.random.default_rng(1)
    sd = rng.uniform(0.02, 0.06, (2, 20_000))
    mean = rng.normal(0.3, 0.05, (2, 20_000))
    weight = rng.exponential(size=(2, 20_000))
    whole = NormalMixture(weight / weight.sum(axis=1, keepdims=True), mean, sd)
    merged = whole.merged()
    assert merged.mean.shape[1] < 1000
    np.testing.assert_allclose(merged.weight.sum(axis=1), 1)
    np.testing.assert_allclose(merged.centre, whole.centre, atol=1e-12)
    probabilities = [0.025, 0.1, 0.5, 0.9, 0.975]
    np.testing.assert_allclose(merged.quantiles(probabilities), whole.quantiles(probabilities), atol=5e-5)
    far = NormalMixture(np.full((1, 2), 0.5), np.array([[-1e4, 1e4]]), np.array([[1e-4, 1e-4]])).merged()
    assert sorted(far.mean[0].tolist()) == pytest.approx([-1e4, 1e4])


def test_the_curve_bends_and_a_line_through_it_would_not(bent):
    gaps = np.array([0.05, 0.2, 0.35])
    curve = bent.curve("f0", gaps)
    assert (curve.lower < curve.mean).all()
    assert (curve.mean < curve.upper).all()
    np.testing.assert_allclose(curve.mean, EXP.at(2.5 * gaps, np.full(3, 0.6)).value, atol=0.07)
    rise = np.diff(curve.mean)
    assert rise[1] < 0.8 * rise[0]
    lower, upper = bent.predict_improvement(probe(gap=gaps, gap_var=0.0)).interval(0.95)
    assert (lower < curve.lower).all()
    assert (upper > curve.upper).all()
    # where it bends depends on the room that there is
    roomy, tight = (bent.curve("f0", gaps, baseline=baseline).mean for baseline in (0.1, 0.7))
    assert roomy[2] > curve.mean[2] + 0.05
    assert tight[2] < 0.3
    np.testing.assert_allclose(roomy[0], curve.mean[0], atol=0.02)
    np.testing.assert_array_equal(bent.curve("f0", gaps, baseline=0.4).mean, curve.mean)


def test_the_improvement_at_a_common_gap_is_the_curves(bent, undecided):
    for law in (bent, undecided):
        found, curve = law.coefficients("f0"), law.curve("f0", [0.15])
        assert found.improvement == pytest.approx([value[0] for value in curve])
        assert found.links == law.links("f0")
    assert not bent.coefficients("f0").depends_on_link
    assert not bent.coefficients("f0").warnings
    slope = undecided.coefficients("f0")
    assert slope.depends_on_link
    assert [caution.code for caution in slope.warnings] == [Code.LINK_UNDECIDED]
    # the links agree where the data are, and not on the slope at zero
    alone = [
        GapLaw(candidate_links=(name,)).fit(draw("exp", seed=3, sizes=(5, 5, 5), slope=1.6, top=0.15, sigma=0.02))
        for name in ("linear", "exp")
    ]
    line, exp = (law.coefficients("f0") for law in alone)
    assert exp.slope.mean - line.slope.mean > 4 * abs(exp.improvement.mean - line.improvement.mean)


def test_an_improvement_stays_in_its_room(bent):
    high = bent.predict_improvement(probe(gap=0.6))
    assert high.interval(0.999)[1] <= 0.6
    assert high.mean < 0.6
    assert bent.predict_improvement(probe(gap=0.6, improvement_var=1e-3)).interval(0.999)[1] > 0.6
    assert bent.predict_improvement(probe(gap=0.6, improvement_var=1e-3, cov=2e-4)).interval(0.999)[1] <= 0.6


def test_a_bent_law_extrapolates_into_the_ceiling_and_a_line_refuses(bent):
    assert not bent.predict_improvement(probe(gap=0.9)).refused
    line = GapLaw(candidate_links=("linear",)).fit(draw("linear", slope=1.2))
    assert line.predict_improvement(probe(gap=0.9)).refused


def test_both_sides_are_shown_beyond_the_data_while_the_link_is_open(undecided, bent):
    out = undecided.predict_improvement(probe(gap=[0.1, 0.35, 0.4]))
    assert 0.05 < undecided.links("f0")["linear"] < 0.95
    linear, bending = out.branches
    assert [branch.kind for branch in out.branches] == [Kind.LINEAR, Kind.SATURATING]
    assert linear.probes == bending.probes == (1, 2)
    assert linear.weight + bending.weight == pytest.approx(1)
    assert linear.weight == pytest.approx(undecided.links("f0")["linear"])
    assert (linear.prediction.mean > bending.prediction.mean + 0.05).all()
    mixed = linear.weight * linear.prediction._mixture.centre + bending.weight * bending.prediction._mixture.centre
    np.testing.assert_allclose(out._mixture.centre[1:], mixed)
    said = [caution for caution in out.warnings if caution.code is Code.LINK_UNDECIDED]
    assert [caution.probe for caution in said] == [1, 2]
    assert f"{linear.prediction.mean[0]:+.3f}" in said[0].message
    assert f"{bending.prediction.interval(0.95)[0][1]:+.3f}" in said[1].message
    assert not bent.predict_improvement(probe(gap=0.6)).branches


@pytest.mark.parametrize(("teacher", "warned"), [("ema", True), (None, True), ("frozen", False)])
def test_a_small_gap_under_a_moving_teacher_is_warned_of(teacher, warned):
    law = GapLaw().fit(draw("exp", teacher=teacher))
    out = law.predict_improvement(probe(gap=[0.05, -0.05, 0.07, -0.07], teacher=teacher))
    found = [caution.probe for caution in out.warnings if caution.code is Code.SMALL_GAP]
    assert found == ([0, 1] if warned else [])


def test_a_vague_baseline_widens_the_interval_where_the_curve_has_bent(bent):
    def width(**change):
        lower, upper = bent.predict_improvement(probe(improvement_var=1e-3, **change)).interval(0.9)
        return upper - lower

    vague = {"baseline_var": 0.05**2}
    assert width(gap=0.35, **vague) > 1.02 * width(gap=0.35, baseline_var=0.0)
    assert width(gap=-0.1, **vague) == pytest.approx(width(gap=-0.1, baseline_var=0.0), rel=2e-3)
    # an improvement that starts from the same measured baseline does not
    shared = {"gap": 0.35, "cov": 1e-5}
    assert width(**shared, **vague) == pytest.approx(width(**shared, baseline_var=0.0), rel=1e-9)


def test_an_unknown_baseline_is_the_familys(bent):
    known, unknown = (bent.predict_improvement(probe(baseline=baseline)) for baseline in (0.4, None))
    np.testing.assert_allclose(unknown.interval(0.8), known.interval(0.8), atol=1e-9)


def test_curvature_is_no_news_to_a_law_that_bends(bent):
    (pool,) = bent.state_.pools.values()
    assert pool.curvature < 0.01
    assert np.isnan(bent.curvature_)
    assert Code.CURVATURE not in codes(bent.predict_improvement(probe()))
    line = GapLaw(candidate_links=("linear",)).fit(draw("exp"))
    assert Code.CURVATURE in codes(line.predict_improvement(probe()))


def test_an_update_of_bent_links_is_a_refit(bent, rows_of):
    observations = draw("exp", seed=8)
    law = GapLaw().fit(rows_of(observations, slice(58)))
    law.update(rows_of(observations, [58])).update(rows_of(observations, [59]))
    refit = GapLaw().fit(observations)
    assert law.to_record() == refit.to_record()
    np.testing.assert_array_equal(law.diagnostics_.residual, refit.diagnostics_.residual)
    replayed = GapLaw.from_record(law.to_record())
    with pytest.raises(ValueError, match="no rows"):
        replayed.update(rows_of(observations, [0]))


def test_a_record_keeps_links_and_pools(bent, undecided):
    for law in (bent, undecided):
        written = json.loads(json.dumps(law.to_record(), allow_nan=False))
        replayed = GapLaw.from_record(written)
        asked = probe(gap=[0.1, 0.5], improvement_var=1e-3)
        mine, theirs = law.predict_improvement(asked), replayed.predict_improvement(asked)
        np.testing.assert_array_equal(mine.interval(0.95), theirs.interval(0.95))
        assert mine.warnings == theirs.warnings
        assert replayed.links("f0") == law.links("f0")
        assert replayed.coefficients("f0") == law.coefficients("f0")
        np.testing.assert_array_equal(replayed.curve("f0", [0.1, 0.3]), law.curve("f0", [0.1, 0.3]))
        assert replayed.to_record() == law.to_record()
        assert replayed.get_params() == law.get_params()


def test_unknown_links_are_refused():
    with pytest.raises(ValueError, match="'cubic' is none of linear, tanh, exp"):
        GapLaw(candidate_links=("cubic",)).fit(draw("exp"))
    with pytest.raises(ValueError, match="at least one"):
        GapLaw(candidate_links=()).fit(draw("exp"))


@pytest.mark.parametrize("gaps", [0.2, [0.05, 0.2, 0.4]], ids=["one", "several"])
def test_models_of_one_link_answer_together_as_each_alone(gaps):
    """Part 2 weighs nine models, three of each link."""
    law = GapLaw().fit(draw("exp", seed=3, sizes=(5, 5), slope=1.3, top=0.2, sigma=0.02))
    pool, asked = law.state_.whole[0], probe(gap=gaps, improvement_var=4e-4, cov=1e-4)
    H, w, places = conditions(pool, asked)
    parts = exposed(pool.exposure, asked, H, w)
    alone, together = (
        NormalMixture.beside([normals(link, at, part) for link, at in each for _, part in parts])
        for each in (
            [(state.model.link, at_places(state, places)) for state in pool.models],
            by_link(pool, pool.models, places),
        )
    )
    assert len({state.model.extra for state in pool.models}) == 3
    assert alone.mean.shape == together.mean.shape
    for one, other in zip(
        (alone.weight, alone.mean, alone.sd), (together.weight, together.mean, together.sd), strict=True
    ):
        np.testing.assert_allclose(np.sort(one), np.sort(other), rtol=1e-13)
    np.testing.assert_allclose(
        (alone.weight * alone.mean * alone.sd).sum(axis=1), (together.weight * together.mean * together.sd).sum(axis=1)
    )


def test_another_baseline_is_another_improvement_at_the_common_gap(undecided):
    found = [undecided.coefficients("f0", baseline=baseline).improvement for baseline in (0.1, 0.8, 0.1, None)]
    assert found[0] == found[2]
    assert len({one.mean for one in found}) == 3
