"""What rows say of the coefficients: a normal likelihood, exact for a line, linearised at eta for the bent links.

Docs: LAW steps 2 and 4; part 2 "Fit".
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from service.law.contexts import Contexts
from service.law.effects import ConfigurationSums
from service.law.links import LINEAR
from service.law.models import Model
from service.law.observations import FloatArray
from service.law.rows import Rows, Statistics

SMALLEST_KNOWN_VARIANCE = 1e-7
SMALLEST_SHARE = 0.15
"""of s_y2 that a bent link leaves: linearised, a covariance may seem to explain more than there is"""
AT_ONCE = 20_000
"""rows times sigmas up to which all are summed together"""
LOWEST_BEND = -0.25
"""of H: how far the spread of eta may lower the expected improvement"""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What the last pass left: posterior means that the next pass's variances are made with.

    Attributes:
        slope, slope_square: (L,) E[b1] and E[b1^2] of each leaf. sigma_square: E[sigma^2], and with it E[tau^2].
        eta: (N,) where each row is linearised.
    """

    slope: FloatArray
    slope_square: FloatArray
    sigma_square: float
    eta: FloatArray


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Improvements as normals: gradient (response - b0 - b1 x) with variance D = sigma^2 scatter + known.

    Attributes:
        rows: N rows.
        response: (N,) z. gradient: (N,) f'.
        scatter: (N,) what a unit of sigma^2 is in a row. known: (N,) the rest of its variance.
        noise_share: phi of the link.
    """

    rows: Rows
    response: FloatArray
    gradient: FloatArray
    scatter: FloatArray
    known: FloatArray
    noise_share: float

    @classmethod
    def of(cls, rows: Rows, model: Model, beliefs: Beliefs) -> "Likelihood":
        """See the rows as a model does."""
        straight = _straight if model.link is LINEAR else _bent
        return straight(rows, model, beliefs)

    def variance(self, sigma_square: float | FloatArray) -> FloatArray:
        """(N,) D; of K values (K, 1) (K, N), and for a single row of (K,) (K,)."""
        return sigma_square * self.scatter + self.known

    @property
    def effect(self) -> FloatArray:
        """(N,) g = s/f': what a context's effect is in eta; it saturates with the residual (docs: LAW part 3)."""
        share = self.noise_share
        return np.asarray(np.sqrt(share + (1 - share) * self.gradient**2) / self.gradient)

    def statistics(self, weight: FloatArray, sigma: FloatArray) -> Statistics:
        """Sum over rows with D = sigma^2 + known and collapse weights r, for every sigma (docs: LAW step 4)."""
        rows = self.rows
        n, L = len(rows.x), len(rows.leaves)
        basis = rows.basis if self.response is rows.y else rows.basis_of(self.response)
        start = np.searchsorted(rows.leaf, np.arange(L + 1))
        to_leaves = csr_array((np.ones(n), np.arange(n), start), shape=(L, n))
        information, square = weight * self.gradient**2, self.response**2
        sums, log_factor = np.empty((5, L, len(sigma))), np.empty(len(sigma))
        # a small store's sigmas go together: one by one, the calls cost more
        step = len(sigma) if n * len(sigma) <= AT_ONCE else 1
        for first in range(0, len(sigma), step):
            these = slice(first, first + step)
            D = self.variance(sigma[these, None] ** 2)
            inverse = information / D
            if step == 1:
                to_leaves.data = inverse[0]
                sums[:, :, first] = np.asarray(to_leaves @ basis).T
            else:
                wide = (basis[:, :, None] * inverse.T[:, None]).reshape(n, 5 * step)
                sums[:, :, these] = np.asarray(to_leaves @ wide).reshape(L, 5, step).swapaxes(0, 1)
            log_factor[these] = -0.5 * (np.log(D) @ weight + inverse @ square)
        return Statistics(rows.leaves, sums[:3], sums[3:], log_factor)

    def configuration_sums(
        self, contexts: Contexts, weight: FloatArray, sigma: FloatArray
    ) -> tuple[ConfigurationSums, FloatArray]:
        """Sum rows of each configuration with collapse weights r, for every sigma; and -1/2 sum r (log D + z^2/D)."""
        rows, D = self.rows, self.variance(sigma[:, None] ** 2)
        omega = weight * self.gradient**2 / D
        log_factor = -0.5 * (np.log(D) @ weight + omega @ self.response**2)
        zeta, J = rows.zeta(self.effect), len(contexts.places)
        return ConfigurationSums.of(zeta, self.response, omega.T, rows.configuration, J), log_factor

    def own_sums(self, weight: FloatArray, sigma: FloatArray) -> tuple[FloatArray, ...]:
        """A (3, K), R (2, K) and factor (K,) of a single row: what ``statistics`` has for it, without the machinery."""
        x, z, r = self.rows.x[0], self.response[0], weight[0]
        D = self.variance(sigma**2)
        inverse = r * self.gradient[0] ** 2 / D
        A, R = np.array([[1.0], [x], [x * x]]) * inverse, np.array([[z], [x * z]]) * inverse
        return A, R, -0.5 * (r * np.log(D) + inverse * z * z)


def _straight(rows: Rows, model: Model, beliefs: Beliefs) -> Likelihood:
    one = np.broadcast_to(1.0, rows.x.shape)
    known = rows.own + beliefs.slope_square[rows.leaf] * rows.attenuated - 2 * beliefs.slope[rows.leaf] * rows.shared
    return Likelihood(rows, rows.y, one, model.spread(rows.x), np.maximum(known, SMALLEST_KNOWN_VARIANCE), 1.0)


def _bent(rows: Rows, model: Model, beliefs: Beliefs) -> Likelihood:
    link, H, spread = model.link, rows.headroom, model.spread(rows.x)
    slope, slope_square = beliefs.slope[rows.leaf], beliefs.slope_square[rows.leaf]
    inside = 1 - link.noise_share
    eta = link.capped(beliefs.eta, H)
    value, gradient, curvature, by_headroom = link.at(eta, H)
    eta_var = slope_square * rows.attenuated + inside * beliefs.sigma_square * spread
    expected = value + np.maximum(LOWEST_BEND * H, 0.5 * curvature * eta_var)
    known = (
        rows.own
        + gradient**2 * slope_square * rows.attenuated
        + rows.headroom_var * by_headroom**2
        - 2 * gradient * slope * rows.shared
    )
    return Likelihood(
        rows,
        response=eta + (rows.y - expected) / gradient,
        gradient=gradient,
        scatter=spread * (link.noise_share + inside * gradient**2),
        known=np.maximum(known, np.maximum(SMALLEST_SHARE * rows.noise, SMALLEST_KNOWN_VARIANCE)),
        noise_share=link.noise_share,
    )
