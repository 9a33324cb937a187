"""The normals that one model's prediction is mixed from (docs: LAW step 5, part 2 "Prediction")."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.law.exposure import Exposure
from service.law.hierarchy import line
from service.law.leaves import IndexArray, Leaf
from service.law.links import LINEAR
from service.law.mixture import Normals
from service.law.observations import FloatArray, Probe
from service.law.state import ModelState

POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
SHARES = _WEIGHTS / _WEIGHTS.sum()
AT_ONCE = 8
"""gaps of which each may have tens of thousands of normals: more at once leave the cache"""
NEGLIGIBLE = 1e-10
"""weight of nodes that are left out, all together"""


class Coefficients(NamedTuple):
    """Coefficients of each of P probes at the J nodes that matter.

    Attributes:
        weight: (J,) of the nodes, in all the model's weight.
        mean: (2, P, J). cov: (3, P, J). sigma_square: (J,).
    """

    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    sigma_square: FloatArray


class Asked(NamedTuple):
    """What is known of P improvements beside the coefficients, each (P, 1).

    Attributes:
        x, x_var: mean and variance of the true gap.
        own: variance of the improvement's sampling error. shared: covariance of that with the true gap, sign changed.
        shift: mean of that error, given the gap's.
        headroom, headroom_var: H and its variance where the improvement has a baseline of its own.
    """

    x: FloatArray
    x_var: FloatArray
    own: FloatArray
    shared: FloatArray
    shift: FloatArray
    headroom: FloatArray
    headroom_var: FloatArray


def at_leaves(state: ModelState, leaves: Sequence[Leaf]) -> Coefficients:
    """Coefficients of P leaves, any of which may be unknown."""
    posterior = state.posterior
    places = {leaf: place for place, leaf in enumerate(dict.fromkeys(leaves))}
    which = [places[leaf] for leaf in leaves]
    heavy = _heavy(posterior.weight)
    each = [posterior.coefficients(*leaf) for leaf in places]
    mean, cov = (
        np.array([pair[part][:, heavy] for pair in each]).reshape(-1, 2 + part, len(heavy))[which].swapaxes(0, 1)
        for part in (0, 1)
    )
    sigma_square = posterior.grid.sigma[posterior.grid.sigma_index[heavy]] ** 2
    return Coefficients(state.weight * posterior.weight[heavy], mean, cov, sigma_square)


def _heavy(weight: FloatArray) -> IndexArray:
    ascending = np.argsort(weight)
    return np.sort(ascending[np.cumsum(weight[ascending]) > NEGLIGIBLE])


def exposed(exposure: Exposure, probe: Probe, headroom: FloatArray) -> list[tuple[FloatArray, Asked]]:
    """Both parts of a new probe's exposure with their weights (P,): near the stored gaps, and flat."""
    x, x_var, c = probe.gap, probe.gap_var, probe.cov
    reliability, total = exposure.reliability(x_var), exposure.variance + x_var
    headroom_var = np.where(c == 0, probe.baseline_var, 0.0)
    near = (
        exposure.shrink(x, x_var),
        reliability * x_var,
        probe.improvement_var - c**2 / total,
        reliability * c,
        c * (x - exposure.mean) / total,
    )
    flat = (x, x_var, probe.improvement_var, c, np.zeros_like(c))
    flat_weight = exposure.flat_weight(x, x_var)
    return [
        (weight, Asked(*(column[:, None] for column in (*part, headroom, headroom_var))))
        for weight, part in ((1 - flat_weight, near), (flat_weight, flat))
    ]


def normals(state: ModelState, at: Coefficients, asked: Asked) -> Normals:
    """Means and sds of improvements: one normal a node for a line, five for a bent link.

    Half of eta's variance is spread over five points and the other half carried through the link's slope there. The
    sampling error that improvement and gap share goes with the gap's error, half and half.
    """
    link = state.model.link
    centre, variance = line(at.mean, at.cov, asked.x)
    variance = variance + (at.mean[1] ** 2 + at.cov[2]) * asked.x_var
    scatter = state.model.spread(asked.x) * at.sigma_square
    shared = -at.mean[1] * asked.shared
    if link is LINEAR:
        sd = np.sqrt(variance + scatter + asked.own + 2 * shared)
        return np.broadcast_to(at.weight, centre.shape), centre + asked.shift, sd
    variance = variance + (1 - link.noise_share) * scatter
    off = np.sqrt(0.5 * variance)[..., None] * POINTS
    found = link.at(centre[..., None] + off, asked.headroom[..., None])
    mean = found.value + (shared / variance)[..., None] * off + asked.shift[..., None]
    rest = link.noise_share * scatter + asked.own - 0.5 * shared**2 / variance
    spread = found.slope**2 * (0.5 * variance)[..., None] + found.slope * shared[..., None]
    spread += asked.headroom_var[..., None] * found.by_headroom**2 + rest[..., None]
    weight = np.broadcast_to(at.weight[:, None] * SHARES, mean.shape)
    P = len(centre)
    return weight.reshape(P, -1), mean.reshape(P, -1), np.sqrt(spread).reshape(P, -1)


def curve_normals(state: ModelState, at: Coefficients, x: FloatArray, headroom: FloatArray) -> Normals:
    """Where the curve itself runs at true gaps x (P,): no residual, no sampling error."""
    nothing = np.zeros((len(x), 1))
    asked = Asked(x[:, None], nothing, nothing, nothing, nothing, headroom[:, None], nothing)
    return normals(state, at._replace(sigma_square=np.zeros_like(at.sigma_square)), asked)
