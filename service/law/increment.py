"""One more row, exactly, while an epoch lasts (docs: LAW, "Interface").

Within an epoch the exposure, E[b1] and E[b1^2] of each leaf, the other rows' weights r, pi and the grid stay as the
last full fit left them. Then a row only adds to its own leaf's sums, and only its own family's message changes.
"""

from dataclasses import replace

import numpy as np

from service.law import collapse, hierarchy
from service.law.exposure import Exposure, GapSums
from service.law.fitting import FEWEST_NODES, FEWEST_SIGMAS
from service.law.keys import Key
from service.law.leaves import Leaf, Leaves
from service.law.likelihood import Beliefs, Likelihood
from service.law.observations import FloatArray, Observations
from service.law.pools import LawState, chained
from service.law.posterior import family_block, mixed, one_more
from service.law.rows import Rows, Statistics
from service.law.state import FamilySummary, ModelState, PoolState

LARGEST_MOVE = 0.01


def add(state: LawState, observation: Observations) -> LawState | None:
    """Take one row into the pools that it belongs to; ``None`` where only a full fit can.

    That is where a bent link has weight, contexts are known, families are lent, or the row would make a pool of its
    own.

    Raises:
        ValueError: not exactly one observation.
    """
    if len(observation) != 1:
        raise ValueError(f"{len(observation)} observations: an update takes one")
    key = Key.of(observation.teacher[0], observation.divergence[0])
    leaf = observation.family[0], observation.cell[0]
    touched = [name for name in state.pools if state.undivided or name in (key, key.whole)]
    alone = {other for other in state.keys if other.rule is key.rule} == {key}
    if state.borrowed is not None or not touched or not (state.undivided or key in state.pools or alone):
        return None
    pools = dict(state.pools)
    for name in touched:
        if pools[name].published is None or pools[name].contexts_known or observation.context[0] is not None:
            return None
        pools[name] = add_to_pool(pools[name], observation)
    here = dict(state.counts.get(leaf, {}))
    here[key] = here.get(key, 0) + (not observation.collapsed[0])
    hashed = None
    if observation.ids is not None and state.ids_hash is not None:
        hashed = chained(state.ids_hash, observation.ids)
    return replace(state, pools=pools, counts={**state.counts, leaf: here}, keys=state.keys | {key}, ids_hash=hashed)


def add_to_pool(pool: PoolState, observation: Observations) -> PoolState:
    """Take one row; ``stale`` says when a full fit would move by over 1 % what the epoch holds still.

    The row's own r, which the last full fit did not know, comes from what is predicted for it.
    """
    leaf = observation.family[0], observation.cell[0]
    line = pool.models[0]
    if leaf not in line.posterior.statistics.leaves.place:
        line = _with_leaf(line, leaf)
    before, grid = line.posterior, line.posterior.grid
    leaves = before.statistics.leaves
    index, family = leaves.place[leaf], leaves.family_place[leaf[0]]
    block = family_block(before.statistics, grid, family, family + 1)
    place = index - block.leaves.start

    row = Rows.of(observation, pool.exposure)
    beliefs = Beliefs(line.slope[[index]], line.slope_square[[index]], before.sigma_square, row.y)
    likelihood = Likelihood.of(row, line.model, beliefs)
    mean, cov = mixed(*before.coefficients_in(block, place), before.weight)
    unused = np.zeros(1)  # so far no part of the fit rests on this row
    runs = collapse.Runs(likelihood.gradient, likelihood.response, unused)
    eta, eta_var = hierarchy.line(mean[:, None], cov[:, None], row.x)
    left_out = collapse.leave_one_out(runs, eta, eta_var, likelihood.variance(before.sigma_square))
    r = collapse.weights(left_out.log_density, line.pi, observation.collapsed)

    A, R, log_factor = likelihood.own_sums(r, grid.sigma)
    moved, gain = one_more(block, place, grid.at_nodes(A), grid.at_nodes(R), grid)
    statistics = before.statistics.plus(index, A, R, log_factor)
    posterior = replace(before, statistics=statistics, totals=before.totals + gain)
    line = replace(line, posterior=posterior, weight_sum=line.weight_sum + float(r[0]))
    after = replace(
        pool,
        models=(line,),
        gaps=pool.gaps.plus(GapSums.of(observation)),
        families=pool.families if observation.collapsed[0] else _families(pool, observation),
    )
    stale = pool.stale or _moved(after, leaf, posterior.coefficients_in(moved, place))
    return replace(after, stale=stale, updated=True)


def _with_leaf(line: ModelState, key: Leaf) -> ModelState:
    """Make room for a leaf without rows; its slope is what the level above says."""
    posterior = line.posterior
    old = posterior.statistics.settled()
    mean, cov = mixed(*posterior.coefficients(*key), posterior.weight)
    leaves = Leaves([*old.leaves.keys, key])
    leaf = leaves.place[key]
    A, R = np.insert(old.A, leaf, 0.0, axis=1), np.insert(old.R, leaf, 0.0, axis=1)
    return replace(
        line,
        posterior=replace(posterior, statistics=Statistics(leaves, A, R, old.log_factor)),
        slope=np.insert(line.slope, leaf, mean[1]),
        slope_square=np.insert(line.slope_square, leaf, mean[1] ** 2 + cov[2]),
    )


def _families(pool: PoolState, observation: Observations) -> dict[str, FamilySummary]:
    family, gap = observation.family[0], float(observation.gap[0])
    n, lowest, highest, baseline = pool.families.get(family, (0, gap, gap, float(observation.baseline[0])))
    families = dict(pool.families)
    families[family] = FamilySummary(n + 1, min(lowest, gap), max(highest, gap), baseline)  # a line needs no median
    return families


def _moved(pool: PoolState, key: Leaf, coefficients: tuple[FloatArray, FloatArray]) -> bool:
    """Whether a full fit would hold other values still; ``coefficients`` are the leaf's, at every node."""
    line, held, now = pool.models[0], pool.exposure, Exposure.of(pool.gaps)
    posterior = line.posterior
    mean, cov = mixed(*coefficients, posterior.weight)
    leaf = posterior.statistics.leaves.place[key]
    moves = (
        (now.mean - held.mean) / np.sqrt(held.variance),  # the mean itself can be 0
        now.variance / held.variance - 1,
        collapse.probability(line.weight_sum, pool.gaps.n) / line.pi - 1,
        (mean[1] - line.slope[leaf]) / np.sqrt(line.slope_square[leaf]),
        (mean[1] ** 2 + cov[2]) / line.slope_square[leaf] - 1,
    )
    without_cells = key[1] is not None and not posterior.grid.rho.any()
    coarse = posterior.effective_nodes < FEWEST_NODES or posterior.effective_sigmas < FEWEST_SIGMAS
    return without_cells or coarse or bool(np.max(np.abs(moves)) > LARGEST_MOVE)
