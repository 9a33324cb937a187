"""Residual sd and contexts' sd together: the inner axis of the grid where contexts are a level (docs: LAW part 3)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray
from service.law.priors import t_log_density

TAU = np.geomspace(0.008, 0.5, 7)
TAU_SCALE, TAU_FREEDOM = 0.05, 4  # half-t
NO_EFFECTS = 0.5
"""prior of tau = 0: contexts of one gap do alike"""
CONFIGURATION_SHARES = (0.15, 0.5)
"""q, equally likely: how much of a context's effect is its model's own"""


@dataclass(frozen=True, eq=False)
class Scales:
    """K triples (sigma, tau, q); tau = 0 comes once for every sigma.

    Attributes:
        sigma, tau, share: (K,) residual sd, sd of contexts' effects, and q.
        log_prior: (K,) log of prior density times the triple's cell.
    """

    sigma: FloatArray
    tau: FloatArray
    share: FloatArray
    log_prior: FloatArray

    @classmethod
    def over(cls, sigma: FloatArray, sigma_log_prior: FloatArray, tau: FloatArray) -> "Scales":
        """Combine S sigmas with no effects at all and with every positive tau and q."""
        positive = tau[tau > 0]
        log_density = np.log(2) + t_log_density(positive, TAU_FREEDOM, TAU_SCALE)
        cell = positive * np.gradient(np.log(positive)) if len(positive) > 1 else positive
        each = np.log((1 - NO_EFFECTS) / len(CONFIGURATION_SHARES)) + log_density + np.log(cell)
        shares = len(CONFIGURATION_SHARES)
        taus = np.concatenate([[0.0], np.repeat(positive, shares)])
        qs = np.concatenate([[0.0], np.tile(CONFIGURATION_SHARES, len(positive))])
        log_tau = np.concatenate([[np.log(NO_EFFECTS)], np.repeat(each, shares)])
        T = len(taus)
        return cls(
            np.repeat(sigma, T),
            np.tile(taus, len(sigma)),
            np.tile(qs, len(sigma)),
            np.repeat(sigma_log_prior, T) + np.tile(log_tau, len(sigma)),
        )

    def __len__(self) -> int:
        return len(self.sigma)

    def kept(self, keep: BoolArray) -> "Scales":
        """Leave the other triples out."""
        return Scales(self.sigma[keep], self.tau[keep], self.share[keep], self.log_prior[keep])

    @cached_property
    def sigmas(self) -> FloatArray:
        """(S,) the different sigmas."""
        return np.unique(self.sigma)

    @cached_property
    def sigma_index(self) -> IndexArray:
        """(K,) each triple's place among them."""
        return np.searchsorted(self.sigmas, self.sigma)

    def sigma_weight(self, weight: FloatArray) -> FloatArray:
        """(S,) the weights (K,) of triples, added up for each sigma."""
        return np.bincount(self.sigma_index, weight, minlength=len(self.sigmas)).astype(np.float64)

    def tau_weight(self, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(T,) positive taus, and the weights (K,) of triples added up for each."""
        taus, place = np.unique(self.tau, return_inverse=True)
        found = np.bincount(place, weight, minlength=len(taus)).astype(np.float64)
        return taus[taus > 0], found[taus > 0]

    @property
    def configuration_variance(self) -> FloatArray:
        """(K,) q tau^2."""
        return np.asarray(self.share * self.tau**2)

    @property
    def context_variance(self) -> FloatArray:
        """(K,) (1 - q) tau^2."""
        return np.asarray((1 - self.share) * self.tau**2)
