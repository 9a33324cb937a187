"""The grid of spreads (sigma, tau0, tau1, rho) over which everything else is integrated (docs: LAW steps 3, 4, 7)."""

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from scipy.special import gammaln

from service.law.observations import BoolArray, FloatArray
from service.law.priors import STRAIGHT

SIGMA = np.geomspace(0.003, 0.3, 14)  # LAW ends at .12; real runs scatter more (docs/measurements.md)
TAU0 = np.array([0.0005, 0.006, 0.012, 0.022, 0.04])
TAU1 = np.array([0.02, 0.08, 0.16, 0.26, 0.38, 0.52, 0.7, 0.95, 1.3])
RHO = np.array([0.05, 0.3, 0.6, 1.0])
NO_CELLS = np.zeros(1)
REFINED_SIZES = (11, 7, 9)

SIGMA_SCALE, SIGMA_FREEDOM = 0.03, 4  # half-t
TAU0_SCALE = 0.02  # half-normal; tau1's is the link's


@dataclass(frozen=True, eq=False)
class Nodes:
    """J nodes of a grid: (J,) places of their sigmas, (2, J) diagonals of T and of rho^2 T."""

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
    """

    sigma: FloatArray
    tau0: FloatArray
    tau1: FloatArray
    rho: FloatArray
    rhos: int = 1
    slope_spread: float = STRAIGHT.slope_spread

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
        """(2, J) T's diagonal: variances of families' intercepts and slopes."""
        tau0, tau1 = np.broadcast_arrays(self.tau0[:, None, None], self.tau1[:, None])
        both = np.stack([tau0, tau1]) ** 2
        return np.broadcast_to(both[:, None], (2, *self.shape)).reshape(2, -1)

    @cached_property
    def cell_variance(self) -> FloatArray:
        """(2, J) rho^2 T's diagonal."""
        rho = np.broadcast_to(self.rho, self.shape).reshape(-1)
        return np.asarray(rho**2 * self.family_variance)

    @cached_property
    def log_prior(self) -> FloatArray:
        """(J,) log of prior density times the node's cell width; rho's four values are equally likely."""
        sigma = np.log(2) + _t_log_density(self.sigma, SIGMA_FREEDOM, SIGMA_SCALE)
        sigma += np.log(self.sigma * np.gradient(np.log(self.sigma)))
        tau0 = _half_normal_log_density(self.tau0, TAU0_SCALE) + np.log(np.gradient(self.tau0))
        tau1 = _half_normal_log_density(self.tau1, self.slope_spread) + np.log(np.gradient(self.tau1))
        rho = np.full(len(self.rho), -np.log(self.rhos))
        return np.asarray(sigma[:, None, None, None] + tau0[:, None, None] + tau1[:, None] + rho).reshape(-1)

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
        sigma = np.exp(_zoom(np.log(self.sigma), w.sum((1, 2, 3)), REFINED_SIZES[0], -np.inf))
        if not families:
            return replace(self, sigma=sigma)
        tau0 = _zoom(self.tau0, w.sum((0, 2, 3)), REFINED_SIZES[1], TAU0[0])
        tau1 = _zoom(self.tau1, w.sum((0, 1, 3)), REFINED_SIZES[2], TAU1[0])
        return replace(self, sigma=sigma, tau0=tau0, tau1=tau1)


# Spelt out: scipy.stats takes longer to check its arguments than all else that a node of a small store needs.
def _t_log_density(x: FloatArray, freedom: float, scale: float) -> FloatArray:
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi) - np.log(scale)
    return np.asarray(constant - (freedom + 1) / 2 * np.log1p((x / scale) ** 2 / freedom))


def _half_normal_log_density(x: FloatArray, scale: float) -> FloatArray:
    return np.asarray(0.5 * np.log(2 / np.pi) - np.log(scale) - 0.5 * (x / scale) ** 2)


def _zoom(axis: FloatArray, weight: FloatArray, size: int, smallest: float) -> FloatArray:
    mean = weight @ axis
    sd = np.sqrt(weight @ (axis - mean) ** 2)
    spacing = np.gradient(axis)[np.argmin(np.abs(axis - mean))]
    half = max(3 * sd, spacing)
    return np.linspace(max(mean - half, smallest), mean + half, size)
