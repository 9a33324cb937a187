"""One more row, exactly, while an epoch lasts (docs: LAW, "Interface").

Within an epoch the exposure, E[b1] and E[b1^2] of each leaf, the other rows' weights r, pi and the grid stay as the
last full fit left them. Then a row only adds to its own leaf's sums, and only its own family's message changes.
"""

from dataclasses import replace

import numpy as np

from service.law import collapse
from service.law.exposure import Exposure, GapSums
from service.law.fitting import FEWEST_NODES, FEWEST_SIGMAS
from service.law.leaves import Leaf, Leaves
from service.law.observations import FloatArray, Observations
from service.law.posterior import Posterior, family_block, mixed, one_more
from service.law.rows import Rows, Statistics
from service.law.state import FamilySummary, LawState, chained

LARGEST_MOVE = 0.01


def add(state: LawState, observation: Observations) -> LawState:
    """Take one row; ``stale`` says when a full fit would move by over 1 % what the epoch holds still.

    The row's own r, which the last full fit did not know, comes from what is predicted for it.

    Raises:
        ValueError: not exactly one observation.
    """
    if len(observation) != 1:
        raise ValueError(f"{len(observation)} observations: an update takes one")
    key = observation.family[0], observation.cell[0]
    if key not in state.posterior.statistics.leaves.place:
        state = _with_leaf(state, key)
    before, grid = state.posterior, state.posterior.grid
    leaves = before.statistics.leaves
    leaf, family = leaves.place[key], leaves.family_place[key[0]]
    block = family_block(before.statistics, grid, family, family + 1)
    place = leaf - block.leaves.start

    row = Rows.of(observation, state.exposure)
    known = row.known_variance(state.slope[[leaf]], state.slope_square[[leaf]])
    mean, cov = mixed(*before.coefficients_in(block, place), before.weight)
    unused = np.zeros(1)  # so far no part of the fit rests on this row
    residual, variance, _ = collapse.leave_one_out(
        row, unused, before.sigma_square + known, mean[:, None], cov[:, None]
    )
    r = collapse.weights(residual, variance, state.pi, observation.collapsed)

    A, R, log_factor = row.own_sums(known, r, grid.sigma)
    moved, gain = one_more(block, place, grid.at_nodes(A), grid.at_nodes(R), grid)
    posterior = Posterior(grid, before.statistics.plus(leaf, A, R, log_factor), before.totals + gain)
    after = replace(
        state,
        posterior=posterior,
        gaps=state.gaps.plus(GapSums.of(observation)),
        weight_sum=state.weight_sum + float(r[0]),
        families=state.families if observation.collapsed[0] else _families(state, observation),
        ids_hash=None
        if observation.ids is None or state.ids_hash is None
        else chained(state.ids_hash, observation.ids),
    )
    stale = state.stale or _moved(after, key, posterior.coefficients_in(moved, place))
    return replace(after, stale=stale, updated=True)


def _with_leaf(state: LawState, key: Leaf) -> LawState:
    """Make room for a leaf without rows; its slope is what the level above says."""
    posterior = state.posterior
    old = posterior.statistics.settled()
    mean, cov = mixed(*posterior.coefficients(*key), posterior.weight)
    leaves = Leaves([*old.leaves.keys, key])
    leaf = leaves.place[key]
    A, R = np.insert(old.A, leaf, 0.0, axis=1), np.insert(old.R, leaf, 0.0, axis=1)
    return replace(
        state,
        posterior=Posterior(posterior.grid, Statistics(leaves, A, R, old.log_factor), posterior.totals),
        slope=np.insert(state.slope, leaf, mean[1]),
        slope_square=np.insert(state.slope_square, leaf, mean[1] ** 2 + cov[2]),
    )


def _families(state: LawState, observation: Observations) -> dict[str, FamilySummary]:
    family, gap = observation.family[0], float(observation.gap[0])
    n, lowest, highest = state.families.get(family, (0, gap, gap))
    families = dict(state.families)
    families[family] = FamilySummary(n + 1, min(lowest, gap), max(highest, gap))
    return families


def _moved(state: LawState, key: Leaf, coefficients: tuple[FloatArray, FloatArray]) -> bool:
    """Whether a full fit would hold other values still; ``coefficients`` are the leaf's, at every node."""
    posterior, held = state.posterior, state.exposure
    now = Exposure.of(state.gaps)
    mean, cov = mixed(*coefficients, posterior.weight)
    leaf = posterior.statistics.leaves.place[key]
    moves = (
        (now.mean - held.mean) / np.sqrt(held.variance),  # the mean itself can be 0
        now.variance / held.variance - 1,
        collapse.probability(state.weight_sum, state.gaps.n) / state.pi - 1,
        (mean[1] - state.slope[leaf]) / np.sqrt(state.slope_square[leaf]),
        (mean[1] ** 2 + cov[2]) / state.slope_square[leaf] - 1,
    )
    without_cells = key[1] is not None and not posterior.grid.rho.any()
    coarse = posterior.effective_nodes < FEWEST_NODES or posterior.effective_sigmas < FEWEST_SIGMAS
    return without_cells or coarse or bool(np.max(np.abs(moves)) > LARGEST_MOVE)
