"""What a fit says of its rows."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from service.law import Code, GapLaw, Observations, Probe, collapse, drift_log_bayes_factor
from service.law.evidence import log_evidence
from service.law.fitting import fit
from service.law.grid import Grid


def draw(gap, improvement, family, **more):
    n = len(gap)
    return Observations(
        gap=gap, gap_var=[1e-4] * n, improvement=improvement, improvement_var=[1e-4] * n, family=family, **more
    )


@pytest.fixture(scope="module")
def straight():
    rng = np.random.default_rng(1)
    gap = rng.uniform(0, 0.3, 30)
    return gap, 1.2 * gap + rng.normal(0, 0.015, 30), [f"f{i % 3}" for i in range(30)]


def test_a_collapsed_run_is_found_and_left_out(straight):
    gap, improvement, family = straight
    worse = improvement.copy()
    worse[7] = -0.3
    clean, hurt = GapLaw().fit(draw(gap, improvement, family)), GapLaw().fit(draw(gap, worse, family))
    assert np.flatnonzero(hurt.diagnostics_.outlier).tolist() == [7]
    assert not clean.diagnostics_.outlier.any()
    assert hurt.p_collapse_ > clean.p_collapse_
    assert hurt.coefficients("f1").slope.mean == pytest.approx(clean.coefficients("f1").slope.mean, abs=0.05)
    # said by the user, it has no say at all and does not count as a point
    flags = np.arange(30) == 7
    told = GapLaw().fit(draw(gap, worse, family, collapsed=flags))
    assert told.diagnostics_.weight[7] == 0
    assert told.families_["f1"] == 9
    assert told.coefficients("f1").slope.mean == pytest.approx(hurt.coefficients("f1").slope.mean, abs=0.01)


def test_a_row_is_diagnosed_as_by_a_refit_without_it(straight, rows_of):
    gap, improvement, family = straight
    improvement = improvement.copy()
    row = int(np.argmax(gap))
    improvement[row] += 0.04
    observations = draw(gap, improvement, family)
    everything = GapLaw().fit(observations)
    without = GapLaw().fit(rows_of(observations, np.arange(30) != row))
    name = family[row]
    # a refit also moves the exposure and the spreads a little
    predicted = without.predict_improvement(Probe(gap=gap[row], gap_var=1e-4, family=name)).mean
    assert everything.diagnostics_.residual[row] == pytest.approx(improvement[row] - predicted, rel=0.1)
    assert everything.diagnostics_.leverage[row] > 0.2
    moved = everything.coefficients(name).slope.mean - without.coefficients(name).slope.mean
    sd = (everything.coefficients(name).slope.upper - everything.coefficients(name).slope.lower) / 3.92
    assert everything.diagnostics_.influence[row] == pytest.approx(moved / sd, rel=0.35)
    assert np.argmax(np.abs(everything.diagnostics_.influence)) == row


def test_collapse_weights_by_hand():
    residual, variance = np.array([0.0, 0.1, 0.5]), np.array([0.01, 0.02, 0.01])
    log_density = norm.logpdf(residual, 0, np.sqrt(variance))
    found = collapse.weights(log_density, 0.1, np.array([False, False, False]))
    density = 0.9 * np.exp(log_density)
    np.testing.assert_allclose(found, np.maximum(density / (density + 0.1), 0.001))
    assert collapse.weights(log_density, 0.1, np.array([True, False, False]))[0] == 0


def test_evidence_counts_who_collapsed(straight):
    fitted = fit(draw(*straight))
    posterior, grid = fitted.posterior, Grid.coarse(cells=False)
    normal = logsumexp(posterior.log_weight) - logsumexp(grid.log_prior)
    normal -= 0.5 * np.linalg.slogdet(np.diag([0.02**2, 0.5**2]))[1] + 0.5 * (1.2 / 0.5) ** 2
    for r in (1.0, 0.5):
        said = log_evidence(posterior, grid, np.full(30, r), 0.2)
        each = -0.5 * r * np.log(2 * np.pi) + r * np.log(0.8) + (1 - r) * np.log(0.2) + (np.log(2) if r < 1 else 0)
        assert said == pytest.approx(normal + 30 * each)


def test_rows_keep_their_order(store, rows_of):
    observations = store(5)
    turned = rows_of(observations, slice(None, None, -1))
    forward, backward = GapLaw().fit(observations).diagnostics_, GapLaw().fit(turned).diagnostics_
    for name, column in vars(forward).items():
        np.testing.assert_allclose(getattr(backward, name)[::-1], column, atol=1e-7)


def test_bending_down_is_said_and_bending_up_is_not(straight):
    gap, improvement, family = straight
    probe = Probe(gap=0.1, gap_var=1e-4, family="f0")
    p_values = []
    for bend in (-2, 0, 2):
        law = GapLaw().fit(draw(gap, improvement + bend * gap**2, family))
        p_values.append(law.curvature_)
        said = {caution.code for caution in law.predict_improvement(probe).warnings}
        assert (Code.CURVATURE in said) == (bend < 0)
    assert p_values[0] < 0.001
    assert 0.05 < p_values[1] < 0.95
    assert p_values[2] > 0.999


def test_curvature_of_two_points_a_family_is_unknown():
    law = GapLaw().fit(draw([0.1, 0.2, 0.1, 0.2], [0.1, 0.2, 0.1, 0.2], ["a", "a", "b", "b"]))
    assert np.isnan(law.curvature_)


@pytest.mark.slow
def test_curvature_test_keeps_its_level():
    rng = np.random.default_rng(2)
    family = [f"f{i % 3}" for i in range(18)]
    p_values = []
    for _ in range(300):
        gap = rng.uniform(0, 0.3, 18)
        improvement = 1.2 * gap + rng.normal(0, 0.02, 18)
        p_values.append(GapLaw().fit(draw(gap + rng.normal(0, 0.01, 18), improvement, family)).curvature_)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_drift_of_a_family_between_versions():
    rng = np.random.default_rng(3)
    gap = rng.uniform(0, 0.3, 36)
    family = [f"f{i % 3}" for i in range(36)]
    versions = ["old" if i < 18 else "new" for i in range(36)]
    noise = rng.normal(0, 0.015, 36)
    steady = draw(gap, 1.2 * gap + noise, family)
    moved = draw(gap, np.where(np.arange(36) < 18, 1.4, 0.6) * gap + noise, family)
    assert drift_log_bayes_factor(steady, "f0", versions) < 0
    assert drift_log_bayes_factor(moved, "f0", versions) > 3


def test_a_bent_curve_seen_in_two_stretches_does_not_drift():
    rng = np.random.default_rng(4)
    gap = np.concatenate([rng.uniform(0, 0.15, 20), rng.uniform(0.3, 0.45, 20), rng.uniform(0, 0.45, 20)])
    improvement = 0.6 * (1 - np.exp(-3 * gap / 0.6)) + rng.normal(0, 0.015, 60)
    family = ["f0"] * 40 + ["f1"] * 20
    versions = ["old"] * 20 + ["new"] * 40
    bent = draw(gap, improvement, family, baseline=np.full(60, 0.4), teacher=["ema"] * 60)
    assert drift_log_bayes_factor(bent, "f0", versions) < 0
    assert drift_log_bayes_factor(draw(gap, improvement, family), "f0", versions) > 3  # of lines it would
    # runs under another kind of teacher neither say so nor are asked
    frozen = draw(gap, 1.1 * gap, family, baseline=np.full(60, 0.4), teacher=["frozen"] * 60)
    both = Observations.joined([bent, frozen])
    assert drift_log_bayes_factor(both, "f0", versions + ["x"] * 60) == pytest.approx(
        drift_log_bayes_factor(bent, "f0", versions) + drift_log_bayes_factor(frozen, "f0", ["x"] * 60)
    )
