"""Fits with bent links: where they arrive, what they are worth, and what they leave of the line."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from service.law import GapLaw, Observations, Probe
from service.law.fitting import Passed, Stored, fit
from service.law.grid import Grid
from service.law.likelihood import Likelihood
from service.law.links import EXP, LINEAR, LINKS, TANH
from service.law.models import EXTRA, PUBLISHED, Model
from service.law.posterior import Posterior
from service.law.weighing import most_likely, weighed

BENT = pytest.mark.parametrize("link", [TANH, EXP], ids=["tanh", "exp"])
PART_ONE = json.loads((Path(__file__).parent / "part_one.json").read_text())


def draw(link, seed=0, sizes=(8, 8, 8), slope=3.0, baseline=0.4, sigma=0.02):
    """A store of families whose improvements bend."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(sizes)), sizes)
    n = len(family)
    gap = rng.uniform(0, 0.45, n)
    H = np.full(n, 1 - baseline)
    improvement = link.at(rng.normal(slope, 0.3, len(sizes))[family] * gap, H).value + rng.normal(0, sigma, n)
    gap_var, improvement_var = np.full(n, 4e-4), np.full(n, 2e-4)
    return Observations(
        gap=gap + rng.normal(0, 0.02, n),
        gap_var=gap_var,
        improvement=np.clip(improvement + rng.normal(0, 0.014, n), -1, 1),
        improvement_var=improvement_var,
        family=[f"f{i}" for i in family],
        baseline=np.full(n, baseline),
        teacher=["ema"] * n,
    )


@pytest.mark.parametrize("case", PART_ONE, ids=range(len(PART_ONE)))
def test_the_line_alone_answers_as_before_there_were_links(store, case):
    """Figures of the law when the line was all there was, on the grid of sigma of today."""
    law = GapLaw(candidate_links=("linear",)).fit(store(**case["store"]))
    for family, expected in case["quantiles"].items():
        probe = Probe(
            gap=[0.05, 0.2, 0.5],
            gap_var=4e-4,
            improvement_var=[0.0, 5e-4, 5e-4],
            cov=[0.0, 0.0, 2e-4],
            cell="c1" if case["store"].get("cells") else None,
            family=family,
        )
        found = law.predict_improvement(probe).quantiles([0.025, 0.1, 0.5, 0.9, 0.975])
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert law.coefficients("f0").slope == pytest.approx(case["slope"], abs=1e-6)
    assert law.p_collapse_ == pytest.approx(case["p_collapse"], abs=1e-6)


@BENT
def test_a_bent_fit_without_a_bend_is_the_line(store, monkeypatch, link):
    """The linearised way, with room for everything, the line's prior and noise: as many passes, the same quantiles."""
    observations = store(3, (6, 4, 9))
    line = fit(observations, PUBLISHED, passes=8, collapses=False)
    monkeypatch.setattr(type(link), "prior", LINEAR.prior)
    monkeypatch.setattr(type(link), "noise_share", 1.0)
    monkeypatch.setattr("service.law.rows.headroom", lambda baseline: np.full(len(baseline), 1e7))
    bent = fit(observations, Model(link, 0.0), passes=8, collapses=False)
    np.testing.assert_allclose(bent.mean, line.mean, atol=5e-4)
    np.testing.assert_allclose(bent.cov, line.cov, atol=5e-5)
    assert bent.log_evidence == pytest.approx(line.log_evidence, abs=0.01)
    assert bent.posterior.sigma_square == pytest.approx(line.posterior.sigma_square, rel=1e-3)


@BENT
def test_improvements_beyond_the_headroom_are_survived(link):
    drawn = draw(link, seed=1, sizes=(6, 6), slope=4.0, baseline=0.7, sigma=0.03)
    beyond = drawn.gap > np.sort(drawn.gap)[-5]
    columns = {field.name: getattr(drawn, field.name) for field in fields(drawn)}
    observations = Observations(
        **{**columns, "improvement": np.where(beyond, 0.31 + 0.1 * drawn.gap, drawn.improvement)}
    )
    assert (observations.improvement >= 0.3).sum() >= 4
    model = Model(link, 0.0)
    ten, thirty = (fit(observations, model, passes=passes, collapses=False) for passes in (10, 30))
    assert np.isfinite(ten.mean).all()
    assert np.isfinite(ten.log_evidence)
    np.testing.assert_allclose(ten.mean[1], thirty.mean[1], atol=1e-3)
    assert ten.log_evidence == pytest.approx(thirty.log_evidence, abs=0.01)


@BENT
def test_the_evidence_is_that_of_the_improvements(link):
    """At one node, one family and no sampling error of gaps: against the integral over intercept and slope."""
    observations = draw(link, seed=2, sizes=(5,), baseline=0.5)
    exact = Observations(
        **{
            **{name: getattr(observations, name) for name in ("gap", "improvement", "improvement_var", "family")},
            "gap_var": np.zeros(5),
            "baseline": observations.baseline,
        }
    )
    stored, model = Stored.of(exact), Model(link, 0.0)
    spread = link.prior.slope_spread
    axes = np.array([0.03, 0.04]), np.array([0.012, 0.02]), np.array([0.38, 0.5]), np.zeros(1)
    grid = Grid(*axes, slope_spread=spread)
    settled = Passed.start(stored, model).after(Grid.coarse(cells=False, slope_spread=spread), 20, collapses=False)
    beliefs = replace(settled.beliefs, sigma_square=0.03**2)
    arrived = replace(settled, likelihood=Likelihood.of(stored.rows, model, beliefs))
    posterior = Posterior.of(arrived.likelihood.statistics(np.ones(5), grid.sigma), grid, link.prior)
    population = 0.5 * (np.log(link.prior.precision) - link.prior.precision * link.prior.mean**2).sum()
    found = posterior.log_weight[0] - grid.log_prior[0] + population - 2.5 * np.log(2 * np.pi)

    sd = np.hypot([0.02, link.prior.slope_sd], [0.012, 0.38])
    b0 = np.linspace(-5, 5, 201) * sd[0]
    b1 = link.prior.slope_mean + np.linspace(-5, 5, 401) * sd[1]
    density = norm.pdf(b0, 0, sd[0])[:, None] * norm.pdf(b1, link.prior.slope_mean, sd[1])
    x, y = stored.rows.x, stored.rows.y
    for i in range(5):
        eta = b0[:, None] + b1 * x[i]
        at = link.at(eta, np.full_like(eta, 0.5))
        inside = 0.8 * 0.03**2
        mean = at.value + np.maximum(-0.5 / 4, 0.5 * at.curvature * inside)
        variance = 0.2 * 0.03**2 + at.slope**2 * inside + stored.rows.noise[i]
        density = density * norm.pdf(y[i], mean, np.sqrt(variance))
    integral = density.sum() * (b0[1] - b0[0]) * (b1[1] - b1[0])
    assert found == pytest.approx(np.log(integral), abs=0.25)


@pytest.mark.parametrize("name", LINKS)
def test_the_right_link_wins(name):
    slope = 1.4 if name == "linear" else 3.0
    observations = draw(LINKS[name], seed=4, sizes=(25, 25, 25), slope=slope, sigma=0.01)
    law = GapLaw().fit(observations)
    assert max(law.links("f0").items(), key=lambda one: one[1])[0] == name
    assert sum(law.links("f0").values()) == pytest.approx(1)
    assert GapLaw(candidate_links=("linear", "tanh")).fit(observations).links("f0")["exp"] == 0


def test_extra_variance_near_gap_zero_is_found():
    rng = np.random.default_rng(5)
    gap = np.concatenate([rng.uniform(-0.03, 0.03, 30), rng.uniform(0.2, 0.4, 30)])
    noise = rng.normal(0, np.where(gap < 0.1, 0.1, 0.02), 60)
    little = np.full(60, 1e-5)
    observations = Observations(
        gap=gap, gap_var=little, improvement=gap + noise, improvement_var=little, family=["a", "b", "c"] * 20,
        baseline=np.full(60, 0.4), teacher=["ema"] * 60,
    )  # fmt: skip
    law = GapLaw(candidate_links=("linear", "exp")).fit(observations)
    weights = {each.model.extra: each.weight for each in law.state_.whole[0].models}
    assert 0.0 not in weights
    assert weights[24.0] > 0.9
    probe = Probe(gap=[0.0, 0.3], gap_var=0, family="a", teacher="ema", baseline=0.4)
    near, far = np.subtract(*law.predict_improvement(probe).interval(0.95)[::-1])
    assert near > 3 * far


def test_models_that_are_left_out_would_have_had_no_weight():
    observations = draw(EXP, seed=6, sizes=(20, 20), sigma=0.01)
    stored = Stored.of(observations)
    prior = {Model(link, extra): share / 3 for link in LINKS.values() for extra, share in EXTRA.items()}
    kept = {fitted.model: weight for fitted, weight in weighed(stored, prior).fits}
    every = {model: fit(observations, model).log_evidence + np.log(share) for model, share in prior.items()}
    top = max(every.values())
    shares = {model: np.exp(value - top) for model, value in every.items()}
    total = sum(shares.values())
    assert len(kept) < len(prior)
    for model, share in shares.items():
        assert kept.get(model, 0.0) == pytest.approx(share / total, abs=0.03)
    assert most_likely(stored, prior) == max(kept, key=kept.get)


def test_many_points_choose_among_models_by_some_of_them(monkeypatch):
    observations = draw(EXP, seed=7, sizes=(60, 60), sigma=0.01)
    monkeypatch.setattr("service.law.weighing.ENOUGH", 60)
    some = GapLaw().fit(observations)
    monkeypatch.undo()
    every = GapLaw().fit(observations)
    assert some.links("f0") == pytest.approx(every.links("f0"), abs=1e-3)
    probe = Probe(gap=0.2, gap_var=1e-4, family="f0", teacher="ema", baseline=0.4)
    np.testing.assert_allclose(
        some.predict_improvement(probe).interval(0.95), every.predict_improvement(probe).interval(0.95), atol=2e-3
    )
