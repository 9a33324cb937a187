"""The grid of spreads (sigma, tau0, tau1, rho) over which everything else is integrated (docs: LAW steps 3, 4, 7).

Where contexts are a level, sigma's axis holds triples of ``Scales``; where dilutions count, rho's holds pairs with s.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from service.law.observations import BoolArray, FloatArray
from service.law.priors import STRAIGHT, half_normal_log_density, t_log_density
from service.law.scales import TAU, Scales

SIGMA = np.geomspace(0.003, 0.3, 14)  # LAW ends at .12; real runs scatter more (docs/measurements.md)
TAU0 = np.array([0.0005, 0.006, 0.012, 0.022, 0.04])
TAU1 = np.array([0.02, 0.08, 0.16, 0.26, 0.38, 0.52, 0.7, 0.95, 1.3])
RHO = np.array([0.05, 0.3, 0.6, 1.0])
NO_CELLS = np.zeros(1)
REFINED_SIZES = (11, 7, 9)
FEWEST_VALUES = 3
"""of one axis, under which it is too coarse for its posterior"""
LEAST_EFFECT = 1e-3
"""probability that contexts have effects at all, under which tau's axis needs no closer look"""

SIGMA_SCALE, SIGMA_FREEDOM = 0.03, 4  # half-t
TAU0_SCALE = 0.02  # half-normal; tau1's is the link's

DILUTION_SCALE = {0.0: 0.5, 0.4: 0.25, 1.0: 0.25}
"""prior of s, the families' spread of the dilution's coefficient b2 about 0"""
CELL_DILUTION = 0.25
"""of s^2: variance of a cell's b2 about its family's"""
OUTLINE_TAU0, OUTLINE_RHO, OUTLINE_SCALE = 0.012, 0.3, 0.4
"""the one value of each that triples of scales are first weighed at"""


class Carry(NamedTuple):
    """s beside each of R values of rho: (R,) ``scale`` and its ``log_prior``."""

    scale: FloatArray
    log_prior: FloatArray


@dataclass(frozen=True, eq=False)
class Nodes:
    """J nodes of a grid: (J,) places of their sigmas, (d, J) diagonals of T and of rho^2 T."""

    sigma_index: np.typing.NDArray[np.intp]
    family_variance: FloatArray
    cell_variance: FloatArray

    def at_nodes(self, value: FloatArray) -> FloatArray:
        """Spread values (..., K) of each sigma to the nodes that have it: (..., J)."""
        return value[..., self.sigma_index]


@dataclass(frozen=True, eq=False)
class Grid:
    """Axes; a node is one combination. J nodes, numbered with rho running fastest.

    Attributes:
        sigma: (K,) residual sd.
        tau0, tau1: sds of families' intercepts and slopes.
        rho: sds of cells as a share of the families'; a single 0 when nothing stored has a cell.
        rhos: how many values of rho are equally likely, those included that were left out for want of weight.
        slope_spread: scale of tau1's half-normal prior.
        scales: where contexts are a level, the triples that ``sigma`` belongs to.
        carry: where dilutions count, s beside each rho. Then d = 3 coefficients are spread, else 2.
    """

    sigma: FloatArray
    tau0: FloatArray
    tau1: FloatArray
    rho: FloatArray
    rhos: int = 1
    slope_spread: float = STRAIGHT.slope_spread
    scales: Scales | None = None
    carry: Carry | None = None

    @classmethod
    @cache
    def coarse(cls, *, cells: bool, slope_spread: float = STRAIGHT.slope_spread) -> "Grid":
        """Where every fit starts."""
        rho = RHO if cells else NO_CELLS
        return cls(SIGMA, TAU0, TAU1, rho, len(rho), slope_spread)

    @classmethod
    @cache
    def thin(cls, *, cells: bool, slope_spread: float = STRAIGHT.slope_spread) -> "Grid":
        """Every other value of the families' spreads: enough to weigh models, or to find where a fit converges."""
        rho = RHO[::2] if cells else NO_CELLS
        return cls(SIGMA, TAU0[::2], TAU1[::2], rho, len(rho), slope_spread)

    def with_contexts(self, *, dilutes: bool) -> "Grid":
        """Spread contexts' effects, too, and the coefficient of the dilution."""
        scales = Scales.over(self.sigma, self._sigma_log_prior, TAU)
        if not dilutes:
            return replace(self, sigma=scales.sigma, scales=scales)
        s, prior = np.array(list(DILUTION_SCALE)), np.array(list(DILUTION_SCALE.values()))
        carry = Carry(np.tile(s, len(self.rho)), np.tile(np.log(prior), len(self.rho)))
        return replace(self, sigma=scales.sigma, scales=scales, rho=np.repeat(self.rho, len(s)), carry=carry)

    def outline(self) -> "Grid":
        """The same scales with one tau0, one rho and one s: enough to see which triples matter."""
        if self.carry is None:
            near = np.argmin(np.abs(self.rho - OUTLINE_RHO))
        else:
            near = np.argmin(np.abs(self.rho - OUTLINE_RHO) + np.abs(self.carry.scale - OUTLINE_SCALE))
        only = slice(int(near), int(near) + 1)
        carry = None if self.carry is None else Carry(*(part[only] for part in self.carry))
        tau0 = self.tau0[[np.argmin(np.abs(self.tau0 - OUTLINE_TAU0))]]
        return replace(self, tau0=tau0, rho=self.rho[only], carry=carry)

    def of_scales(self, scales: Scales) -> "Grid":
        """Put other scales on the first axis."""
        return replace(self, sigma=scales.sigma, scales=scales)

    @property
    def dimensions(self) -> int:
        """D."""
        return 2 if self.carry is None else 3

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes of the four axes."""
        return len(self.sigma), len(self.tau0), len(self.tau1), len(self.rho)

    @cached_property
    def sigma_index(self) -> np.typing.NDArray[np.intp]:
        """(J,) the place of each node's sigma on its axis."""
        return np.broadcast_to(np.arange(len(self.sigma))[:, None, None, None], self.shape).reshape(-1)

    def at_nodes(self, value: FloatArray) -> FloatArray:
        """Spread values (..., K) of each sigma to all nodes that have it: (..., J)."""
        # sigma runs slowest; several times as fast as an index
        return np.repeat(value, len(self.sigma_index) // len(self.sigma), axis=-1)

    def only(self, keep: BoolArray) -> Nodes:
        """Pick the nodes where ``keep`` (J,) says so."""
        return Nodes(self.sigma_index[keep], self.family_variance[:, keep], self.cell_variance[:, keep])

    @cached_property
    def family_variance(self) -> FloatArray:
        """(d, J) T's diagonal: variances of families' intercepts and slopes, and of what their dilution does."""
        tau0, tau1 = np.broadcast_arrays(self.tau0[:, None, None], self.tau1[:, None])
        both = np.stack([tau0, tau1]) ** 2
        found = np.broadcast_to(both[:, None], (2, *self.shape)).reshape(2, -1)
        if self.carry is None:
            return found
        return np.concatenate([found, np.broadcast_to(self.carry.scale**2, self.shape).reshape(1, -1)])

    @cached_property
    def cell_variance(self) -> FloatArray:
        """(d, J) rho^2 T's diagonal; the dilution has a share of its own."""
        rho = np.broadcast_to(self.rho, self.shape).reshape(-1)
        if self.carry is None:
            return np.asarray(rho**2 * self.family_variance)
        family = self.family_variance
        return np.concatenate([rho**2 * family[:2], CELL_DILUTION * family[2:]])

    @cached_property
    def log_prior(self) -> FloatArray:
        """(J,) log of prior density times the node's cell width; rho's four values are equally likely."""
        sigma = self._sigma_log_prior if self.scales is None else self.scales.log_prior
        tau0 = half_normal_log_density(self.tau0, TAU0_SCALE) + np.log(_cells(self.tau0))
        tau1 = half_normal_log_density(self.tau1, self.slope_spread) + np.log(np.gradient(self.tau1))
        rho = np.full(len(self.rho), -np.log(self.rhos))
        if self.carry is not None:
            rho += self.carry.log_prior
        return np.asarray(sigma[:, None, None, None] + tau0[:, None, None] + tau1[:, None] + rho).reshape(-1)

    @property
    def _sigma_log_prior(self) -> FloatArray:
        return sigma_log_prior(self.sigma)

    @property
    def log_mass(self) -> float:
        """Log of the prior that the nodes hold together: near 0 where they span it."""
        top = self.log_prior.max()
        return float(top + np.log(np.exp(self.log_prior - top).sum()))

    def refined(self, weight: FloatArray, *, families: bool) -> "Grid":
        """Look closely at sigma, and at ``families``' spreads too: mean +- 3 sd under node weights (J,).

        The half-width is never under one old spacing, so that a peak between two nodes, or beyond the last, is found.
        """
        w = weight.reshape(self.shape)
        if self.scales is not None:
            closer = self.of_scales(_zoomed(self.scales, w.sum((1, 2, 3))))
        else:
            closer = replace(self, sigma=np.exp(_zoom(np.log(self.sigma), w.sum((1, 2, 3)), REFINED_SIZES[0], -np.inf)))
        if not families:
            return closer
        tau0 = _zoom(self.tau0, w.sum((0, 2, 3)), REFINED_SIZES[1], TAU0[0])
        tau1 = _zoom(self.tau1, w.sum((0, 1, 3)), REFINED_SIZES[2], TAU1[0])
        return replace(closer, tau0=tau0, tau1=tau1)


def sigma_log_prior(sigma: FloatArray) -> FloatArray:
    """(K,) log of sigma's prior density times its cell, of an axis that is even in logs."""
    density = np.log(2) + t_log_density(sigma, SIGMA_FREEDOM, SIGMA_SCALE)
    return np.asarray(density + np.log(sigma * np.gradient(np.log(sigma))))


def _cells(axis: FloatArray) -> FloatArray:
    return np.gradient(axis) if len(axis) > 1 else np.ones(1)


def _zoomed(scales: Scales, weight: FloatArray) -> Scales:
    """Look closely at sigma, and at tau where its grid is too coarse; the atom stays."""
    sigma = np.exp(_zoom(np.log(scales.sigmas), scales.sigma_weight(weight), REFINED_SIZES[0], -np.inf))
    taus, tau_weight = scales.tau_weight(weight)
    tau = taus if len(taus) > 1 else TAU
    if len(taus) > 1 and tau_weight.sum() > LEAST_EFFECT and effective(tau_weight) < FEWEST_VALUES:
        tau = np.exp(_zoom(np.log(taus), tau_weight / tau_weight.sum(), len(TAU), -np.inf))
    return Scales.over(sigma, sigma_log_prior(sigma), tau)


def effective(weight: FloatArray) -> float:
    """Number of values that weights amount to."""
    return float(weight.sum() ** 2 / np.sum(weight**2))


def _zoom(axis: FloatArray, weight: FloatArray, size: int, smallest: float) -> FloatArray:
    mean = weight @ axis
    sd = np.sqrt(weight @ (axis - mean) ** 2)
    spacing = np.gradient(axis)[np.argmin(np.abs(axis - mean))]
    half = max(3 * sd, spacing)
    return np.linspace(max(mean - half, smallest), mean + half, size)
