"""A context off the line is no collapse, even where few runs tell of contexts at all."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from service.law import GapLaw, Observations, Probe, collapse
from service.law.collapse import Runs
from service.law.fitting import Integrated, Passed, Stored
from service.law.models import PUBLISHED


def few(seed, others, *, drop):
    """One run each of ``others`` contexts on a line, and three of an odd one: two seeds of one model, one of another.

    They lie about ``drop`` below the line, the other model's a third of it lower still.
    """
    rng = np.random.default_rng(seed)
    gap = np.append(rng.uniform(0, 0.4, others), [0.19, 0.22, 0.25])
    improvement = 0.7 * gap + rng.normal(0, 0.02, others + 3)
    improvement[-3:] -= drop
    improvement[-1] -= 0.3 * drop
    n = others + 3
    return Observations(
        gap=gap + rng.normal(0, 0.02, n),
        gap_var=np.full(n, 5e-4),
        improvement=improvement + rng.normal(0, 0.02, n),
        improvement_var=np.full(n, 5e-4),
        family=["f"] * n,
        cell=["c"] * n,
        baseline=np.full(n, 0.3),
        teacher=["frozen"] * n,
        divergence=["forward_kl"] * n,
        context=[f"k{i}" for i in range(others)] + ["odd"] * 3,
        model=["s" if i % 2 else "m" for i in range(others)] + ["s", "s", "m"],
    )


def ask(context):
    about = {"gap": 0.22, "gap_var": 5e-4, "family": "f", "cell": "c", "baseline": 0.3}
    return Probe(**about, teacher="frozen", divergence="forward_kl", context=context, model="s")


@pytest.mark.parametrize(("seed", "others"), [(2, 11), (3, 11), (0, 20), (4, 20), (5, 20)])
def test_an_odd_context_among_few_runs_keeps_its_own_outcome(seed, others):
    """Its three runs gained -2 points on average; the line promises +15 at their gap."""
    observations = few(seed, others, drop=0.17)
    law = GapLaw().fit(observations)
    assert law.diagnostics_.weight[-3:-1].min() > 0.9
    assert law.predict_improvement(ask("odd")).mean < 0.05
    assert law.predict_improvement(ask("another")).mean > 0.07


def test_a_run_off_the_line_alone_still_counts_as_collapsed():
    observations = few(0, 20, drop=0.0)
    improvement = observations.improvement.copy()
    improvement[4] -= 0.6
    law = GapLaw().fit(Observations(**{**vars(observations), "improvement": improvement}))
    assert law.diagnostics_.weight[4] < 0.05
    assert np.delete(law.diagnostics_.weight, 4).min() > 0.8


def test_a_run_is_judged_by_what_the_others_say():
    """Against the evidence with and without the run, on the same grid."""
    stored = Stored.of(few(2, 11, drop=0.17))
    grid = stored.grid(PUBLISHED, thin=True)
    passed = Passed.start(stored, PUBLISHED).after(grid, 2, collapses=False)

    def integrated(weight):
        return Integrated.of(passed.likelihood, weight, grid, PUBLISHED.link.prior)

    every = np.ones(14)
    left_out = integrated(every).moments(passed.likelihood, every).left_out
    total = logsumexp(integrated(every).posterior.log_weight)
    others = [total - logsumexp(integrated(row).posterior.log_weight) for row in 1 - np.eye(14)]
    expected = np.array(others) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(left_out.log_density, expected, atol=0.15)
    assert left_out.leverage.max() < 0.95


def test_of_one_fit_the_mixture_is_that_fit():
    rng = np.random.default_rng(0)
    gradient, response, weight, eta = rng.uniform(0.2, 1, (4, 5))
    runs, eta_var, variance = Runs(gradient, response, weight), np.full(5, 0.01), np.full(5, 0.02)
    alone = collapse.leave_one_out(runs, eta, eta_var, variance)
    mixed = collapse.leave_one_out_of_mixture(runs, eta[None], eta_var[None], variance[None], np.ones(1))
    for one, other in zip(alone, mixed, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12)


def test_of_two_fits_a_runs_own_word_is_taken_back():
    runs = Runs(np.ones(1), np.array([0.3]), np.ones(1))
    eta, eta_var, variance = np.array([[0.1], [0.28]]), np.array([[1e-4], [0.01]]), np.array([[4e-4], [0.02]])
    each = collapse.leave_one_out(runs, eta, eta_var, variance)
    density = norm.pdf(each.residual, 0, np.sqrt(each.variance))[:, 0]
    share = np.array([0.2, 0.8])
    found = collapse.leave_one_out_of_mixture(runs, eta, eta_var, variance, share)
    before = share / density  # what the fits' shares were without the run
    before /= before.sum()
    assert np.exp(found.log_density[0]) == pytest.approx(before @ density)
    assert found.residual[0] == pytest.approx(before @ each.residual[:, 0])
    assert found.leverage[0] == pytest.approx(before @ each.leverage[:, 0])
