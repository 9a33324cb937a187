"""The closed forms against dense linear algebra that knows nothing of trees."""

import numpy as np
import pytest
from scipy.stats import halfnorm, multivariate_normal, norm, t

from service.law import GapLaw, Observations, Probe
from service.law.exposure import Exposure, GapSums
from service.law.fitting import fit
from service.law.grid import Grid
from service.law.likelihood import Beliefs, Likelihood
from service.law.models import PUBLISHED
from service.law.pools import fit_law
from service.law.posterior import Posterior, mixed
from service.law.predicting import mixture
from service.law.rows import Rows

MU_MEAN, MU_COV = np.array([0.0, 1.2]), np.diag([0.02**2, 0.5**2])


def seen(rows, slope, slope_square):
    """The rows of a line with these E[b1] and E[b1^2] in every leaf."""
    L = len(rows.leaves)
    return Likelihood.of(rows, PUBLISHED, Beliefs(np.full(L, slope), np.full(L, slope_square), 0.0, rows.y))


def dense(observations, rows, sigma, known, T, rho):
    """Joint normal of (all leaves' coefficients, responses): mean and covariance, by brute force."""
    leaves = rows.leaves.keys
    L, n = len(leaves), len(rows.x)
    mean_b = np.tile(MU_MEAN, L)
    cov_b = np.zeros((2 * L, 2 * L))
    for i, (family, cell) in enumerate(leaves):
        for j, (other, other_cell) in enumerate(leaves):
            block = MU_COV + T * (family == other) + rho**2 * T * (i == j and cell is not None)
            assert (i == j) == ((family, cell) == (other, other_cell))
            cov_b[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = block
    Z = np.zeros((n, 2 * L))
    Z[np.arange(n), 2 * rows.leaf] = 1
    Z[np.arange(n), 2 * rows.leaf + 1] = rows.x
    cov_y = Z @ cov_b @ Z.T + np.diag(sigma**2 + known)
    gain = cov_b @ Z.T @ np.linalg.inv(cov_y)
    posterior_mean = mean_b + gain @ (rows.y - Z @ mean_b)
    return multivariate_normal.logpdf(rows.y, Z @ mean_b, cov_y), posterior_mean, cov_b - gain @ Z @ cov_b


@pytest.mark.parametrize("cells", [False, True])
def test_every_node_is_the_dense_normal(store, cells):
    observations = store(3, (3, 1, 4), cells=cells)
    rows = Rows.of(observations, Exposure.of(GapSums.of(observations)))
    n = len(rows.x)
    likelihood = seen(rows, 1.1, 1.3)
    known = likelihood.known
    grid = Grid.coarse(cells=cells)
    posterior = Posterior.of(likelihood.statistics(np.ones(n), grid.sigma), grid)
    constant = -0.5 * (
        n * np.log(2 * np.pi) + np.log(np.linalg.det(MU_COV)) + MU_MEAN @ np.linalg.inv(MU_COV) @ MU_MEAN
    )
    sigma = grid.sigma[grid.sigma_index]
    for node in (0, 101, len(sigma) // 2, len(sigma) - 1):
        T = np.diag(grid.family_variance[:, node])
        rho = np.sqrt(grid.cell_variance[1, node] / grid.family_variance[1, node])
        density, mean, cov = dense(observations, rows, sigma[node], known, T, rho)
        assert posterior.log_weight[node] - grid.log_prior[node] + constant == pytest.approx(density, abs=1e-7)
        for leaf, key in enumerate(rows.leaves.keys):
            leaf_mean, leaf_cov = posterior.coefficients(*key)
            place = slice(2 * leaf, 2 * leaf + 2)
            if key[1] is not None or not cells:
                np.testing.assert_allclose(leaf_mean[:, node], mean[place], atol=1e-9)
                np.testing.assert_allclose(leaf_cov[:, node], cov[place, place][[0, 0, 1], [0, 1, 1]], atol=1e-10)


def test_leaf_moments_mix_the_nodes(store):
    observations = store(4, (3, 1, 4), cells=True)
    rows = Rows.of(observations, Exposure.of(GapSums.of(observations)))
    likelihood = seen(rows, 1.1, 1.3)
    grid = Grid.coarse(cells=True)
    posterior = Posterior.of(likelihood.statistics(np.ones(len(rows.x)), grid.sigma), grid)
    means, covs = posterior.leaf_moments()
    for leaf, key in enumerate(rows.leaves.keys):
        mean, cov = posterior.coefficients(*key)
        centre = mean @ posterior.weight
        assert means[:, leaf] == pytest.approx(centre, abs=1e-12)
        slope_variance = (cov[2] + (mean[1] - centre[1]) ** 2) @ posterior.weight
        assert covs[2, leaf] == pytest.approx(slope_variance, abs=1e-12)


def test_new_families_and_cells_come_from_the_level_above(store):
    observations = store(5, (3, 4), cells=True)
    rows = Rows.of(observations, Exposure.of(GapSums.of(observations)))
    likelihood = seen(rows, 1.0, 1.0)
    grid = Grid.coarse(cells=True)
    posterior = Posterior.of(likelihood.statistics(np.ones(len(rows.x)), grid.sigma), grid)
    mean, cov = posterior.population
    new_mean, new_cov = posterior.coefficients("new", None)
    np.testing.assert_allclose(new_mean, mean)
    np.testing.assert_allclose(new_cov[[0, 2]] - cov[[0, 2]], grid.family_variance)
    family_mean, family_cov = posterior.coefficients("f0", None)
    cell_mean, cell_cov = posterior.coefficients("f0", "new")
    np.testing.assert_allclose(cell_mean, family_mean)
    np.testing.assert_allclose(cell_cov[[0, 2]] - family_cov[[0, 2]], grid.cell_variance)


def test_rows_are_the_conditional_normal_of_an_improvement_given_its_gap(store):
    observations = store(6, (5,))
    exposure, sigma, b0, b1 = Exposure(0.12, 0.011), 0.02, 0.01, 1.4
    rows = Rows.of(observations, exposure)
    known = seen(rows, b1, b1**2).known
    for i, place in enumerate(rows.order):
        s, c = observations.gap_var[place], observations.cov[place]
        var_x = exposure.variance + s
        cov_xy = b1 * exposure.variance + c
        var_y = b1**2 * exposure.variance + sigma**2 + observations.improvement_var[place]
        expected = b0 + b1 * exposure.mean + cov_xy / var_x * (observations.gap[place] - exposure.mean)
        residual = observations.improvement[place] - expected
        assert rows.y[i] - b0 - b1 * rows.x[i] == pytest.approx(residual, abs=1e-12)
        assert sigma**2 + known[i] == pytest.approx(var_y - cov_xy**2 / var_x, abs=1e-12)


def test_exposure_by_hand():
    exposure = Exposure.of(GapSums(2, 0.1 + 0.3, 0.01 + 0.09, 0.002))
    mean = (0.15 + 0.4) / 3
    assert exposure.mean == pytest.approx(mean)
    assert exposure.variance == pytest.approx((0.04 + (0.1 - mean) ** 2 + (0.3 - mean) ** 2 - 0.002) / 6)
    assert Exposure.of(GapSums(3, 0.45, 0.0675, 0.3)).variance == pytest.approx(0.03**2)


def test_flat_part_of_the_exposure():
    exposure = Exposure(0.1, 0.04**2)
    s = 0.02
    x = np.linspace(-0.15, 0.65, 9)
    normal = 0.8 * norm.pdf(x, 0.1, np.hypot(0.04, s))
    flat = 0.2 * (norm.cdf((x + 0.15) / s) - norm.cdf((x - 0.65) / s)) / 0.8
    np.testing.assert_allclose(exposure.flat_weight(x, np.full(9, s**2)), flat / (normal + flat), rtol=1e-9)
    np.testing.assert_allclose(exposure.flat_weight(np.array([-1.0, 1.0]), np.zeros(2)), 1.0)


def test_log_prior_is_density_times_width():
    grid = Grid.coarse(cells=True)
    prior = np.exp(grid.log_prior).reshape(grid.shape)
    assert prior.sum() == pytest.approx(1, abs=0.1)  # the grid's ends leave a little out
    width = 0.5 * np.log(grid.sigma[5] / grid.sigma[3]) * grid.sigma[4]
    expected = (
        2 * t.pdf(grid.sigma[4], 4, scale=0.03) * width
        * halfnorm.pdf(0.012, scale=0.02) * np.gradient(grid.tau0)[2]
        * halfnorm.pdf(0.26, scale=0.5) * np.gradient(grid.tau1)[3] / 4
    )  # fmt: skip
    assert prior[4, 2, 3, 1] == pytest.approx(expected)


@pytest.mark.parametrize("families", [1, 10])
def test_the_grid_closes_in_on_many_observations(pool_of, families):
    rng = np.random.default_rng(7)
    gap = rng.uniform(0, 0.35, 4000)
    sigma = np.sqrt(Grid.coarse(cells=False).sigma[6:8].prod())  # halfway: the nearest nodes are 17 % off
    family = np.arange(4000) % families
    improvement = (0.8 + 0.1 * family) * gap + rng.normal(0, sigma, 4000)
    little = np.full(4000, 1e-6)
    law = GapLaw().fit(
        Observations(
            gap=gap, gap_var=little, improvement=improvement, improvement_var=little, family=[f"f{i}" for i in family]
        )
    )
    assert pool_of(law).published.posterior.sigma_square ** 0.5 == pytest.approx(sigma, rel=0.03)


def test_predictive_components_by_monte_carlo(store, line, pool_of):
    law = line().fit(store(8, (3, 4)))
    pool = pool_of(law)
    state = pool.published
    probe = Probe(gap=0.25, gap_var=0.002, family="f0", improvement_var=0.001, cov=0.0008)
    found = mixture(law.state_, probe)
    node = int(np.argmax(state.posterior.weight))
    J = found.mean.shape[1] // 2  # nodes without weight are left out
    place = int(np.argmax(found.weight[0, :J]))
    mean, cov = state.posterior.coefficients("f0", None)
    rng = np.random.default_rng(0)
    b = rng.multivariate_normal(mean[:, node], cov[[0, 1, 1, 2], node].reshape(2, 2), 400_000)
    sigma = state.posterior.grid.sigma[state.posterior.grid.sigma_index[node]]
    for index, prior_var in ((place, pool.exposure.variance), (J + place, 1e6)):  # a flat prior is a very wide one
        prior_mean = pool.exposure.mean if prior_var < 1 else 0.25
        gain = prior_var / (prior_var + 0.002)
        error_gain = 0.0008 / (prior_var + 0.002)
        centre = prior_mean + gain * (0.25 - prior_mean), error_gain * (0.25 - prior_mean)
        spread = [[gain * 0.002, -gain * 0.0008], [-gain * 0.0008, 0.001 - error_gain * 0.0008]]
        x, dy = rng.multivariate_normal(centre, spread, len(b)).T
        y = b[:, 0] + b[:, 1] * x + rng.normal(0, sigma, len(b)) + dy
        assert found.mean[0, index] == pytest.approx(y.mean(), abs=5 * y.std() / len(b) ** 0.5)
        assert found.sd[0, index] == pytest.approx(y.std(), rel=0.006)
    assert found.weight.sum() == pytest.approx(1, abs=1e-5)


def test_values_of_rho_without_weight_are_left_out(store, monkeypatch):
    observations = store(9, (60,) * 12, cells=True, sigma=0.01)
    probe = Probe(gap=[0.1, 0.3], gap_var=1e-3, family=["f0", "new"], cell=["c1", "c2"])
    links = ("linear",)
    short, answer = fit(observations), fit_law(observations, links)[0]
    monkeypatch.setattr(Posterior, "pruned", lambda posterior: posterior)
    whole, other = fit(observations), fit_law(observations, links)[0]
    assert len(short.posterior.grid.rho) < len(whole.posterior.grid.rho) == 4
    assert short.log_evidence == pytest.approx(whole.log_evidence, abs=1e-9)
    mine, theirs = (mixture(state, probe).quantiles([0.025, 0.5, 0.975]) for state in (answer, other))
    np.testing.assert_allclose(mine, theirs, atol=1e-7)


@pytest.mark.parametrize("sizes", [(6, 4, 9), (60,) * 12], ids=["small", "large"])
def test_moments_of_leaves_are_those_of_their_coefficients(store, sizes):
    posterior = fit(store(10, sizes, cells=True)).posterior
    means, covs = posterior.leaf_moments()
    for index, key in enumerate(posterior.statistics.leaves.keys):
        mean, cov = mixed(*posterior.coefficients(*key), posterior.weight)
        np.testing.assert_allclose(means[:, index], mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(covs[:, index], cov, rtol=1e-9, atol=1e-12)


def test_remembered_coefficients_are_those_asked_for(store):
    posterior = fit(store(11, (6,) * 10, cells=True)).posterior
    asked = [(f"f{i}", cell) for i in range(10) for cell in (None, "c1", "new")]
    first = [posterior.coefficients(*key) for key in asked]
    for place in (0, 29, 17, 16, 0, 1):
        fresh = Posterior(posterior.grid, posterior.statistics, posterior.totals).coefficients(*asked[place])
        for mine, theirs, before in zip(posterior.coefficients(*asked[place]), fresh, first[place], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            np.testing.assert_array_equal(before, theirs)
    again = posterior.coefficients("f0", "c1")
    assert again[0] is posterior.coefficients("f0", "c1")[0]
    assert (again[0] != posterior.coefficients("f0", None)[0]).any()
