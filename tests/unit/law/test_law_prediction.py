"""What a prediction of the line says, and when it is not made."""

from functools import partial

import numpy as np
import pytest

from service.law import Code, Observations, Probe, Status

ask = partial(Probe, teacher="frozen")


def clean(slope, gaps, family="known"):
    n = len(gaps)
    return Observations(
        gap=gaps,
        gap_var=[1e-5] * n,
        improvement=slope * np.array(gaps),
        improvement_var=[1e-5] * n,
        family=[family] * n,
        teacher=["frozen"] * n,
    )


@pytest.fixture(scope="module")
def law(line):
    return line().fit(clean(1.5, np.linspace(0.02, 0.2, 8)))


def codes(out):
    return {caution.code for caution in out.warnings}


def test_status_and_its_caution(store, rows_of, line):
    observations = store(0, (9, 3))
    probe = Probe(gap=observations.gap[:2].mean(), gap_var=1e-4, family="f0")
    empty, other, sparse, fitted = (
        line().fit(rows_of(observations, index)) for index in (slice(0), slice(9, 12), [0, 1], slice(9))
    )
    assert [law.status("f0") for law in (empty, other, sparse, fitted)] == list(Status)
    assert [sorted(codes(law.predict_improvement(probe))) for law in (empty, other, sparse)] == [
        [Code.PRIOR_ONLY],
        [Code.COLD],
        [Code.SPARSE],
    ]
    assert Code.SPARSE not in codes(fitted.predict_improvement(probe))
    assert (empty.families_, sparse.families_) == ({}, {"f0": 2})


def test_nothing_stored_gives_the_published_slopes(line):
    law = line().fit(clean(1.0, []))
    out = law.predict_improvement(ask(gap=0.2, gap_var=1e-9, family="any"))
    assert out.mean == pytest.approx(1.2 * 0.2, abs=1e-3)
    assert law.coefficients("any").slope.mean == pytest.approx(1.2)
    assert out.p_collapse == pytest.approx(1 / 20)


def test_a_known_family_gets_its_line(law):
    out = law.predict_improvement(ask(gap=[0.05, 0.15], gap_var=1e-5, family="known"))
    np.testing.assert_allclose(out.mean, [0.075, 0.225], atol=0.01)
    slope, intercept = law.coefficients("known").slope, law.coefficients("known").intercept
    assert slope.lower < 1.5 < slope.upper
    assert intercept.lower < 0 < intercept.upper
    assert not out.warnings
    assert list(out.intervals) == [0.8, 0.95]
    np.testing.assert_array_equal(out.intervals[0.8], out.interval(0.8))


def test_the_line_has_a_confidence_interval(law):
    drawn = law.line("known", [0.0, 0.1])
    intercept = law.coefficients("known").intercept
    assert (drawn.mean[0], drawn.lower[0], drawn.upper[0]) == pytest.approx(tuple(intercept), abs=1e-9)
    lower, upper = law.predict_improvement(ask(gap=0.1, gap_var=0.0, family="known")).interval(0.95)
    assert lower < drawn.lower[1] < drawn.mean[1] < drawn.upper[1] < upper


def test_a_wider_probe_and_a_measured_improvement_widen_the_interval(law):
    def width(**change):
        lower, upper = law.predict_improvement(
            ask(**{"gap": 0.1, "gap_var": 1e-5, "family": "known", **change})
        ).interval(0.9)
        return upper - lower

    assert width() < width(improvement_var=1e-3) < width(improvement_var=1e-3, gap_var=1e-3)
    # the shared baseline moves both the same way: what the law cannot explain shrinks
    shared = width(improvement_var=1e-3, gap_var=1e-3, cov=8e-4)
    assert shared < width(improvement_var=1e-3, gap_var=1e-3)


def test_only_a_latent_improvement_or_a_shared_baseline_is_clipped(law):
    probe = {"gap": 0.19, "gap_var": 2e-3, "family": "known", "baseline": 0.65}
    room = 0.35

    def upper(**change):
        return law.predict_improvement(ask(**{**probe, **change})).interval(0.999)[1]

    assert upper() == room
    assert upper(improvement_var=2e-3, cov=1e-3) == room
    assert upper(improvement_var=2e-3) > room
    assert upper(baseline=None) > room


def test_extrapolation_is_said(law):
    out = law.predict_improvement(ask(gap=[0.1, 0.22, -0.1], gap_var=1e-6, family="known"))
    assert [caution.probe for caution in out.warnings if caution.code is Code.EXTRAPOLATION] == [1, 2]
    # within the probe's own error of the range it is not one
    assert not law.predict_improvement(ask(gap=0.22, gap_var=0.03**2, family="known")).warnings


def test_an_extrapolation_into_the_ceiling_is_refused(law):
    probe = ask(gap=0.3, gap_var=1e-5, family="known", baseline=[0.2, 0.5, np.nan])
    out = law.predict_improvement(probe)
    assert out.refused.tolist() == [False, True, False]
    for numbers in (out.mean, out.p_positive, *out.interval(0.8)):
        assert np.isnan(numbers).tolist() == [False, True, False]
    refusal = [caution for caution in out.warnings if caution.code is Code.REFUSED]
    assert [caution.probe for caution in refusal] == [1]
    assert "0.500" in refusal[0].message
    # the same headroom within the range is predicted
    inside = law.predict_improvement(ask(gap=0.19, gap_var=1e-5, family="known", baseline=0.7))
    assert inside.mean > 0.8 * 0.3
    assert not inside.refused


def test_p_positive(law):
    out = law.predict_improvement(ask(gap=[-0.2, 0.0, 0.2], gap_var=1e-5, family="known"))
    assert out.p_positive[0] < 0.01
    assert 0.2 < out.p_positive[1] < 0.8
    assert out.p_positive[2] > 0.99


def test_an_interval_of_no_level_is_an_error(law):
    with pytest.raises(ValueError, match="level 1"):
        law.predict_improvement(ask(gap=0.1, gap_var=0.0, family="known")).interval(1)


def test_a_cell_learns_from_its_own_runs_first(line):
    gaps = np.tile(np.linspace(0.02, 0.3, 8), 2)
    slopes = np.repeat([1.0, 1.6], 8)
    law = line().fit(
        Observations(
            gap=gaps,
            gap_var=[1e-5] * 16,
            improvement=slopes * gaps,
            improvement_var=[1e-5] * 16,
            family=["f"] * 16,
            cell=["low"] * 8 + ["high"] * 8,
        )
    )
    low, high, family, new = (law.coefficients("f", cell).slope for cell in ("low", "high", None, "new"))
    assert low.mean == pytest.approx(1.0, abs=0.08)
    assert high.mean == pytest.approx(1.6, abs=0.08)
    assert low.mean < family.mean < high.mean
    assert new.upper - new.lower > family.upper - family.lower
    out = law.predict_improvement(Probe(gap=0.2, gap_var=1e-6, family="f", cell=["low", "high"]))
    np.testing.assert_allclose(out.mean, [0.2, 0.32], atol=0.02)
