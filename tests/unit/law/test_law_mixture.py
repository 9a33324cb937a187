"""Quantiles of mixtures of normals, against bisection."""

import numpy as np
import pytest
from scipy.stats import norm

from service.law import GapLaw, Observations, Probe
from service.law.mixture import NormalMixture
from service.law.predicting import mixture

PROBABILITIES = [0.0005, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 0.9995]


def bisected(mixed, probability):
    own = mixed.mean + mixed.sd * norm.ppf(probability)
    low, high = own.min(axis=1), own.max(axis=1)
    for _ in range(45):  # to 1e-13
        middle = 0.5 * (low + high)
        below = mixed.cdf(middle) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def assert_as_bisected(mixed, atol=1e-9):
    expected = np.stack([bisected(mixed, p) for p in PROBABILITIES], axis=1)
    np.testing.assert_allclose(mixed.quantiles(PROBABILITIES), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("sizes", [(), (6, 4, 9), (300, 200)], ids=str)
def test_predictions_quantiles_are_those_of_bisection(store, sizes, cells):
    law = GapLaw().fit(store(3, sizes, cells=cells))
    gaps = [-0.6, 0.1, 0.7]
    for family in ("f0", "new"):
        for gap_var in (0.0, 0.01):
            probe = Probe(gap=gaps, gap_var=gap_var, family=family, cell="c1" if cells else None)
            assert_as_bisected(mixture(law.state_, probe))


def test_a_law_with_negligible_nodes(store):
    law = GapLaw().fit(store(4, (40,) * 12, sigma=0.02))
    found = mixture(law.state_, Probe(gap=[0.1, 0.3], gap_var=[1e-4, 2e-3], family="f0"))
    assert np.mean(found.weight < 1e-17) > 0.1  # there is something to leave out
    assert_as_bisected(found)


@pytest.mark.parametrize(
    ("weight", "mean", "sd"),
    [
        pytest.param([0.6, 0.4], [-0.5, 0.5], [0.003, 0.003], id="two-peaks"),
        pytest.param([0.98, 0.02], [0.1, 0.1], [0.003, 0.5], id="peak-on-a-plain"),
        pytest.param([0.02, 0.98], [-0.3, 0.4], [0.003, 0.3], id="spike-in-a-tail"),
        pytest.param([1 - 1e-6, 1e-6], [0.0, 1.0], [0.01, 0.1], id="rare"),
        pytest.param([1 - 1e-13, 1e-13], [0.0, 1.0], [0.01, 1.0], id="negligible"),
        pytest.param([1.0], [0.2], [0.05], id="one"),
    ],
)
def test_awkward_mixtures(weight, mean, sd):
    found = NormalMixture(*(np.array([part]) for part in (weight, mean, sd)))
    assert_as_bisected(found)


def test_one_normal_by_hand_and_rows_stand_alone():
    two = NormalMixture(np.ones((2, 1)), np.array([[0.1], [0.4]]), np.array([[0.02], [0.3]]))
    found = two.quantiles([0.975, 0.5])
    np.testing.assert_allclose(found, [[0.1 + 1.959963985 * 0.02, 0.1], [0.4 + 1.959963985 * 0.3, 0.4]], atol=1e-9)
    alone = NormalMixture(np.ones((1, 1)), np.array([[0.4]]), np.array([[0.3]]))
    assert alone.quantiles([0.975, 0.5]).tolist() == found[1:].tolist()
    assert two.quantiles([]).shape == (2, 0)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, np.nan])
def test_a_probability_outside_the_unit_interval_is_an_error(probability):
    one = NormalMixture(np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"probability .* is not inside"):
        one.quantiles([0.5, probability])


def test_a_predictions_quantiles_are_clipped_and_refused_like_its_intervals():
    gaps = np.linspace(0.02, 0.2, 8)
    law = GapLaw().fit(
        Observations(
            gap=gaps, gap_var=[1e-5] * 8, improvement=1.5 * gaps, improvement_var=[1e-5] * 8, family=["known"] * 8
        )
    )
    probe = Probe(gap=[[0.19], [0.3]], gap_var=1e-3, family="known", baseline=[0.2, 0.65, 0.75])
    out = law.predict_improvement(probe)
    found = out.quantiles([0.1, 0.5, 0.9])
    assert found.shape == (2, 3, 3)
    assert out.refused.any()
    assert not out.refused.all()
    lower, upper = out.interval(0.8)
    np.testing.assert_allclose(found[..., 0], lower, atol=1e-10)
    np.testing.assert_allclose(found[..., 2], upper, atol=1e-10)
    assert np.isnan(found[out.refused]).all()
    assert out.quantiles([0.9999])[0, 1:].tolist() == [[0.35], [0.25]]  # what is left above their baselines
    # an improvement's median at .19 for the first probe, which nothing clips
    assert found[0, 0, 1] == pytest.approx(out.mean[0, 0], abs=0.01)
    one = law.predict_improvement(Probe(gap=0.1, gap_var=1e-3, family="known")).quantiles([0.5])
    assert one.shape == (1,)
    with pytest.raises(ValueError, match=r"probability 1\.0"):
        out.quantiles([1.0])
