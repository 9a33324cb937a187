"""Rows as a bent link sees them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from service.law import Observations
from service.law.exposure import Exposure
from service.law.fitting import Stored
from service.law.likelihood import Beliefs, Likelihood
from service.law.links import EXP, LINEAR, TANH
from service.law.models import Model
from service.law.rows import Rows

SIGMA_SQUARE = 0.03**2


@pytest.fixture
def rows(store):
    return Rows.of(store(1, (4, 3)), Exposure(0.15, 0.01))


def believed(rows, slope, eta):
    L = len(rows.leaves)
    return Beliefs(np.full(L, slope), np.full(L, slope**2 + 0.1), SIGMA_SQUARE, eta)


@pytest.mark.parametrize("link", [TANH, EXP], ids=["tanh", "exp"])
def test_by_hand(rows, link):
    eta = 2 * rows.x
    found = Likelihood.of(rows, Model(link, 8.0), believed(rows, 2.0, eta))
    columns = (rows.x, rows.y, rows.attenuated, rows.shared, rows.own, rows.noise, rows.headroom, rows.headroom_var)
    for i, (x, y, v, c, own, s2, H, h) in enumerate(zip(*columns, strict=True)):
        f, f1, f2, f_H = (float(part[0]) for part in link.at(eta[[i]], np.array([H])))
        n = 1 + 8 * np.exp(-0.5 * (x / 0.08) ** 2)
        expected = f + max(-H / 4, f2 / 2 * (4.1 * v + 0.8 * SIGMA_SQUARE * n))
        assert found.response[i] == pytest.approx(eta[i] + (y - expected) / f1)
        known = max(0.15 * s2, 1e-7, own + f1**2 * 4.1 * v + h * f_H**2 - 2 * f1 * 2.0 * c)
        assert found.variance(0.02**2)[i] == pytest.approx(0.02**2 * n * (0.2 + 0.8 * f1**2) + known)
    assert rows.headroom_var.max() == 0  # these improvements share their baseline


@pytest.mark.parametrize("link", [TANH, EXP], ids=["tanh", "exp"])
def test_a_roomy_link_is_the_line(rows, link):
    roomy = replace(rows, headroom=np.full(len(rows.x), 1e7))
    beliefs = believed(rows, 1.1, 1.1 * rows.x)
    bent, line = (Likelihood.of(roomy, Model(one, 24.0), beliefs) for one in (link, LINEAR))
    mine, theirs = (one.statistics(np.ones(7), np.array([0.01, 0.05])) for one in (bent, line))
    np.testing.assert_allclose(mine.A, theirs.A, rtol=1e-5)
    np.testing.assert_allclose(mine.R, theirs.R, rtol=1e-5)
    np.testing.assert_allclose(bent.response, line.response, atol=1e-6)
    np.testing.assert_allclose(bent.variance(1e-3), line.variance(1e-3), rtol=1e-5)


def test_an_own_baseline_adds_its_variance_where_the_link_has_bent():
    little = [1e-4]
    known = {"gap": [0.3], "gap_var": little, "improvement": [0.4], "improvement_var": little, "family": ["f"]}
    apart = Observations(**known, baseline=[0.4], baseline_var=[0.01])
    row = Rows.of(apart, Exposure(0.15, 0.01))
    found = [Likelihood.of(row, Model(EXP, 0.0), believed(row, 2.0, np.array([eta]))).known[0] for eta in (0.0, 0.9)]
    by_headroom = EXP.at(np.array([0.9]), np.array([0.6])).by_headroom[0]
    assert row.headroom_var[0] == 0.01
    assert found[1] > 0.01 * by_headroom**2 > 1e-3 > found[0]


def test_extra_variance_is_near_gap_zero_only():
    x = np.array([-0.01, 0.0, 0.08, 0.4])
    assert (Model(TANH, 0.0).spread(x) == 1).all()
    np.testing.assert_allclose(Model(TANH, 24.0).spread(x), 1 + 24 * norm.pdf(x / 0.08) / norm.pdf(0))


def test_rows_that_share_a_sampling_error_stay_uncertain(rows):
    """Linearised, the shared error may seem to explain all of an improvement: a share of its variance is left."""
    nothing = np.zeros(len(rows.x))
    sharp = replace(rows, own=nothing, attenuated=nothing, shared=rows.noise)
    found = Likelihood.of(sharp, Model(EXP, 0.0), believed(rows, 3.0, 0.1 * rows.x))
    np.testing.assert_allclose(found.known, np.maximum(0.15 * rows.noise, 1e-7))


def test_some_rows_stand_for_all(store):
    stored = Stored.of(store(2, (30, 20)))
    some = stored.some(25)
    assert len(some.rows.x) == len(some.collapsed) == 25
    assert np.bincount(some.rows.leaf).tolist() == [15, 10]
    assert stored.some(50) is stored
