"""One more row is the same as a refit under the same frozen values."""

import numpy as np
import pytest

from service.law import GapLaw, Observations, Probe
from service.law.likelihood import Beliefs, Likelihood
from service.law.models import PUBLISHED
from service.law.posterior import Posterior
from service.law.rows import Rows


def frozen_refit(before, after, observations, weight):
    """Posterior of all rows at once, with the exposure, slopes and grid of an epoch."""
    line, grid = after.published, before.published.posterior.grid
    rows = Rows.of(observations, before.exposure, line.posterior.statistics.leaves)
    likelihood = Likelihood.of(rows, PUBLISHED, Beliefs(line.slope, line.slope_square, 0.0, rows.y))
    return Posterior.of(likelihood.statistics(weight[rows.order], grid.sigma), grid)


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("last", [[14], [15, 16, 17], [18, 19]], ids=["known", "known-thrice", "new-family"])
def test_updates_equal_a_frozen_refit(store, rows_of, line, pool_of, cells, last):
    observations = store(11, (6, 5, 7, 3), cells=cells)
    first = [i for i in range(18) if i not in last]
    law = line().fit(rows_of(observations, first))
    before, weight = pool_of(law), list(law.diagnostics_.weight)
    for row in last:
        sum_before = pool_of(law).published.weight_sum
        assert law.update(rows_of(observations, [row])) is law
        weight.append(pool_of(law).published.weight_sum - sum_before)
    expected = frozen_refit(before, pool_of(law), rows_of(observations, first + last), np.array(weight))
    found = pool_of(law).published.posterior
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-8)
    for key in [*found.statistics.leaves.keys, ("never", None)]:
        for mine, theirs in zip(found.coefficients(*key), expected.coefficients(*key), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-8)


def test_an_update_counts(store, rows_of, line, pool_of):
    observations = store(12, (6, 5))
    law = line().fit(rows_of(observations, slice(5))).update(rows_of(observations, [5]))
    assert law.families_ == {"f0": 6}
    law.update(rows_of(observations, [6]))
    assert law.families_ == {"f0": 6, "f1": 1}
    assert pool_of(law).gaps == pytest.approx(pool_of(line().fit(rows_of(observations, slice(7)))).gaps)


def test_a_collapsed_run_only_counts_in_pi(store, rows_of, line, pool_of):
    observations = store(13, (6, 5), collapsed=True)
    law = line().fit(rows_of(observations, slice(2, None)))
    probe = Probe(gap=0.2, gap_var=1e-3, family="f0")
    before, families = law.predict_improvement(probe).interval(0.9), law.families_
    law.update(rows_of(observations, [1]))
    assert law.predict_improvement(probe).interval(0.9) == pytest.approx(before, abs=1e-10)
    assert law.families_ == families
    refit = line().fit(rows_of(observations, slice(2, None)))
    assert pool_of(law).published.weight_sum == pool_of(refit).published.weight_sum


def test_an_outlier_comes_with_its_own_weight(store, rows_of, line, pool_of):
    observations = store(14, (9, 8))
    law = line().fit(rows_of(observations, slice(16)))
    sum_before = pool_of(law).published.weight_sum
    gone = Observations(gap=[0.3], gap_var=[1e-4], improvement=[-0.4], improvement_var=[1e-4], family=["f1"])
    assert pool_of(law.update(gone)).published.weight_sum - sum_before < 0.01


def test_a_small_store_is_soon_stale_and_a_large_one_is_not(store, rows_of, line, pool_of):
    small, large = store(15, (6, 5)), store(16, (300,) * 4)
    assert line().fit(rows_of(small, slice(10))).update(rows_of(small, [10])).stale_
    law = line().fit(rows_of(large, slice(1199)))
    assert not law.stale_
    assert not law.update(rows_of(large, [1199])).stale_
    surprising = Observations(gap=[0.9], gap_var=[1e-4], improvement=[0.9], improvement_var=[1e-4], family=["f9"])
    assert law.update(surprising).stale_


def test_a_record_replays_after_an_update(store, rows_of, line, pool_of):
    observations = store(17, (6, 5), cells=True)
    law = line().fit(rows_of(observations, slice(10))).update(rows_of(observations, [10]))
    probe = Probe(gap=0.2, gap_var=1e-3, family="f1", cell="c1")
    replayed = GapLaw.from_record(law.to_record())
    assert replayed.predict_improvement(probe).interval(0.9) == law.predict_improvement(probe).interval(0.9)
    assert replayed.stale_ == law.stale_
    with pytest.raises(ValueError, match="2 observations"):
        law.update(rows_of(observations, [1, 2]))


def test_an_update_leaves_earlier_states_alone(store, rows_of, line, pool_of):
    observations = store(18, (6, 5, 7), cells=True)
    law = line().fit(rows_of(observations, slice(15)))
    fitted, written = law.state_, law.to_record()
    law.update(rows_of(observations, [15]))
    once, then = law.state_, law.to_record()
    law.update(rows_of(observations, [16])).update(rows_of(observations, [15]))
    for state, record in ((fitted, written), (once, then)):
        law.state_ = state
        assert law.to_record() == record
    # another row from the same state knows nothing of the first
    law.state_ = fitted
    law.update(rows_of(observations, [17]))
    other = line().fit(rows_of(observations, slice(15))).update(rows_of(observations, [17]))
    assert law.to_record() == other.to_record()


def test_a_replayed_law_goes_on_the_same(store, rows_of, line, pool_of):
    observations = store(19, (6, 5, 7), cells=True)
    law = line().fit(rows_of(observations, slice(12))).update(rows_of(observations, [12]))
    replayed = GapLaw.from_record(law.to_record())
    for row in (13, 14, 17):
        assert law.update(rows_of(observations, [row])).to_record() == (
            replayed.update(rows_of(observations, [row])).to_record()
        )


def test_a_row_sums_alone_as_it_does_among_others(store, rows_of, line, pool_of):
    observations = store(20, (3,))
    law = line().fit(observations)
    rows = Rows.of(rows_of(observations, [1]), pool_of(law).exposure)
    weight, sigma = np.array([0.7]), pool_of(law).published.posterior.grid.sigma
    likelihood = Likelihood.of(rows, PUBLISHED, Beliefs(np.ones(1), np.ones(1), 0.0, rows.y))
    expected = likelihood.statistics(weight, sigma)
    for mine, theirs in zip(
        likelihood.own_sums(weight, sigma), (expected.A[:, 0], expected.R[:, 0], expected.log_factor), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_changed_families_are_part_of_every_block(store, rows_of, line, pool_of):
    observations = store(21, (6, 5, 7), cells=True)
    law = line().fit(rows_of(observations, slice(15)))
    for row in (3, 14, 15):
        law.update(rows_of(observations, [row]))
    posterior = pool_of(law).published.posterior
    assert set(posterior.statistics.changed) == {0, 2}
    settled = Posterior(posterior.grid, posterior.statistics.settled(), posterior.totals)
    for mine, theirs in zip(posterior.leaf_moments(), settled.leaf_moments(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(
        Posterior.of(posterior.statistics, posterior.grid).population, posterior.population, strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8)
