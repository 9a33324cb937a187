"""Gaps put together: plain means with as many problems of each, regressed on each other without."""

import numpy as np
import pytest

from service.deciding.gaps import SMALLEST_EIGENVALUE, gaps
from tests.unit.deciding.conftest import known


def test_as_many_problems_of_each_are_plain_means():
    measured = known([0.1, 0.2, 0.3], 64)
    found = gaps(measured, ["m"] * 3)
    np.testing.assert_allclose(found.mean, [0.1, 0.2, 0.3], atol=1e-12)
    np.testing.assert_allclose(np.diag(found.cov), [each.gap_var for each in measured])


def test_gaps_that_share_problems_are_correlated_with_one_student_or_two():
    for students in (["m", "m"], ["m", "n"]):
        cov = gaps(known([0.1, 0.2], 400), students).cov
        assert 0.35 < cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]) < 0.65  # 0.49 / 0.98


def test_a_shorter_probe_is_corrected_by_what_others_say_of_its_problems():
    long = known([0.1], 400, seed=1)[0].differences
    easy = long[:50].mean() - long.mean()
    short = long[:50] + 0.1 * np.random.default_rng(0).standard_normal(50)
    measured = [known([0.1], 400, seed=1)[0], known([0.0], 50)[0]._replace(differences=short)]
    found = gaps(measured, ["m", "m"])
    correction = short.mean() - found.mean[1]
    assert abs(easy) > 0.01
    assert 0.5 < correction / easy < 1.0
    assert found.cov[1, 1] < measured[1].gap_var


def test_the_precision_is_that_of_a_dense_normal():
    measured = known([0.1, 0.2, 0.3], [40, 24, 16])
    found = gaps(measured, ["m"] * 3)
    rows = np.repeat([0, 1, 2], [40, 24, 16])
    problem = np.concatenate([np.arange(n) for n in (40, 24, 16)])
    cov = found.spread[np.ix_(rows, rows)] * np.equal.outer(problem, problem)
    design = np.equal.outer(rows, np.arange(3)).astype(float)
    dense = design.T @ np.linalg.solve(cov, design)
    np.testing.assert_allclose(found.precision(found.problems), dense, rtol=1e-8)
    d = np.concatenate([each.differences for each in measured])
    np.testing.assert_allclose(found.shift, design.T @ np.linalg.solve(cov, d), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("problems", [1, 2, 40])
def test_copies_of_one_configuration_leave_the_covariance_positive_definite(problems):
    measured = known([0.1], 64)[0]
    cut = measured._replace(differences=measured.differences[:problems])
    cov = gaps([cut] * 20, ["m"] * 20).cov
    assert np.linalg.eigvalsh(cov).min() > 0.1 * SMALLEST_EIGENVALUE * cov[0, 0]


def test_gaps_that_differ_by_their_errors_alone_are_drawn_together():
    few = gaps(known([0.18, 0.2, 0.22], 32), ["m"] * 3)
    assert np.ptp(few.mean) < 0.5 * 0.04
    assert few.mean.mean() == pytest.approx(0.2, abs=0.01)
    many = gaps(known([0.18, 0.2, 0.22], 20_000), ["m"] * 3)
    assert np.ptp(many.mean) > 0.9 * 0.04
    apart = gaps(known([0.0, 0.2, 0.4], 32), ["m"] * 3)
    assert np.ptp(apart.mean) == pytest.approx(0.4)


def test_what_is_not_measured_is_one_of_the_gaps_that_people_measure():
    found = gaps([None, None], ["m", "m"])
    np.testing.assert_allclose(found.mean, 0.15)
    np.testing.assert_allclose(found.cov, 0.02 * np.eye(2))


def test_first_problems_show_of_a_gap_what_such_problems_do():
    found = gaps([None], ["m"])
    assert found.precision(np.array([30.0]))[0, 0] == pytest.approx(30 / 0.15)
