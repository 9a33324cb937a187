"""The links and their derivatives."""

import numpy as np
import pytest

from service.law.links import EXP, LINEAR, LINKS, SMALLEST_HEADROOM, TANH, headroom

ETA = np.array([-0.3, -0.05, 0.04, 0.2, 0.6, 1.1])
H = np.array([0.5, 0.6, 0.05, 0.55, 0.6, 0.4])
STEP = 1e-6


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_derivatives_are_those_of_the_value(link):
    found = link.at(ETA, H)
    up, down = link.at(ETA + STEP, H), link.at(ETA - STEP, H)
    np.testing.assert_allclose(found.slope, (up.value - down.value) / (2 * STEP), atol=1e-5)
    np.testing.assert_allclose(found.curvature, (up.slope - down.slope) / (2 * STEP), atol=1e-5)
    wide, narrow = link.at(ETA, H + STEP), link.at(ETA, H - STEP)
    np.testing.assert_allclose(found.by_headroom, (wide.value - narrow.value) / (2 * STEP), atol=1e-5)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_all_links_are_one_line_below_zero_and_have_its_slope_at_zero(link):
    below = np.linspace(-0.9, 0, 10)
    found = link.at(below, np.full(10, 0.6))
    np.testing.assert_array_equal(found.value, below)
    np.testing.assert_array_equal(found.slope, 1.0)
    np.testing.assert_array_equal(found.curvature, 0.0)
    np.testing.assert_array_equal(found.by_headroom, 0.0)
    assert link.at(np.array([1e-9]), np.array([0.6])).slope == pytest.approx(1)


@pytest.mark.parametrize("link", [TANH, EXP], ids=["tanh", "exp"])
def test_a_bent_link_stays_under_the_headroom(link):
    found = link.at(np.array([0.3, 3.0, 300.0]), np.full(3, 0.6))
    assert (np.diff(found.value) > 0).all()
    assert (found.value <= 0.6).all()
    assert found.value[2] == pytest.approx(0.6)
    assert (found.slope >= 1e-6).all()  # a row divides by it


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_the_inverse_undoes_a_link(link):
    eta = np.array([-0.2, 0.0, 0.1, 0.5, 0.9])
    room = np.full(5, 0.6)
    np.testing.assert_allclose(link.inverse(link.at(eta, room).value, room), eta, atol=1e-12)


def test_tanh_holds_the_line_for_longer_than_exp():
    small = np.array([0.1])
    line, tanh, exp = (link.at(small, np.array([0.6])).value[0] for link in (LINEAR, TANH, EXP))
    assert line > tanh > exp


def test_eta_is_capped_where_a_link_is_flat():
    eta, room = np.array([0.2, 5.0]), np.full(2, 0.5)
    assert TANH.capped(eta, room).tolist() == [0.2, 0.9]
    assert EXP.capped(eta, room).tolist() == [0.2, 1.6]
    assert LINEAR.capped(eta, room).tolist() == [0.2, 5.0]


def test_headroom_is_what_the_baseline_leaves():
    found = headroom(np.array([0.4, 0.99, np.nan]))
    assert found[:2].tolist() == [0.6, SMALLEST_HEADROOM]
    assert np.isnan(found[2])
