"""Effects of contexts and configurations on top of the line: their messages, and what is known of each.

Docs: LAW part 3, "Messages" and "A stored context". With g = s/f' a row's eta is zeta'(b, u + v), zeta = (1, x, w, g).
The effect is one more coefficient, the last. Symmetric matrices are stacks of their upper triangles, column by column:
of d + 1 = 3 coefficients the elements 00, 01, 11, 0g, 1g, gg. The first ones are those of d coefficients.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from service.law.contexts import Contexts
from service.law.hierarchy import place
from service.law.leaves import IndexArray, Leaves, summed
from service.law.observations import FloatArray
from service.law.scales import Scales

CHUNK = 60_000
"""configurations times triples at a time: arrays of this size stay in a core's cache"""


@dataclass(frozen=True, eq=False)
class ConfigurationSums:
    """What the rows of J configurations say, for each of S sigmas: ``A`` (p, J, S) and ``R`` (d + 1, J, S)."""

    A: FloatArray
    R: FloatArray

    @classmethod
    def of(
        cls,
        zeta: FloatArray,
        response: FloatArray,
        omega: FloatArray,
        configuration: IndexArray,
        configurations: int,
    ) -> "ConfigurationSums":
        """Sum omega zeta zeta' and omega zeta z over N rows, sorted by configuration.

        Args:
            zeta: (d + 1, N).
            response: (N,) z.
            omega: (N, S) r f'^2/D.
            configuration: (N,) each row's.
            configurations: J.
        """
        d, n = zeta.shape
        pairs = [zeta[i] * zeta[j] for j in range(d) for i in range(j + 1)]
        basis = np.stack([*pairs, *(zeta * response)], axis=1)
        start = np.searchsorted(configuration, np.arange(configurations + 1))
        to = csr_array((np.ones(n), np.arange(n), start), shape=(configurations, n))
        wide = (basis[:, :, None] * omega[:, None]).reshape(n, -1)
        found = np.asarray(to @ wide).reshape(configurations, basis.shape[1], -1).swapaxes(0, 1)
        return cls(np.ascontiguousarray(found[: len(pairs)]), np.ascontiguousarray(found[len(pairs) :]))

    def take(self, some: slice) -> "ConfigurationSums":
        """Those of some configurations."""
        return ConfigurationSums(self.A[:, some], self.R[:, some])

    def only(self, sigmas: IndexArray) -> "ConfigurationSums":
        """Those of some sigmas."""
        return ConfigurationSums(self.A[..., sigmas], self.R[..., sigmas])

    def at(self, scales: Scales) -> "ConfigurationSums":
        """Spread them to K triples: (p, J, K)."""
        index = scales.sigma_index
        return ConfigurationSums(self.A[..., index], self.R[..., index])


class Effect(NamedTuple):
    """Effects given the coefficients: N(alpha - gamma'b, variance), of shapes (..., K), (d, ..., K), (..., K)."""

    alpha: FloatArray
    gamma: FloatArray
    variance: FloatArray


def up(sums: ConfigurationSums, t: FloatArray) -> tuple[ConfigurationSums, FloatArray]:
    """Tell the level above what sums say of its effect, a part of variance t (K,) of their own integrated out.

    Returns:
        sums of the same shape, and log factors (J, K).
    """
    A, R = sums.A, sums.R
    d = len(R) - 1
    beside, own, p = A[-1 - d : -1], A[-1], R[-1]
    shrink = 1 / (1 + t * own)
    c = t * shrink
    pull = c * beside
    within = [A[place(i, j)] - pull[i] * beside[j] for j in range(d) for i in range(j + 1)]
    factor = 0.5 * (c * p * p + np.log(shrink))
    return ConfigurationSums(
        np.array([*within, *(beside * shrink), own * shrink]), np.array([*(R[:d] - pull * p), p * shrink])
    ), factor


def to_leaves(
    sums: ConfigurationSums, contexts: Contexts, leaves: Leaves, scales: Scales
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Send the messages of all configurations and contexts to the L leaves, at K triples.

    Returns:
        A (d (d + 1)/2, L, K), R (d, L, K) and the factors' sum (K,).
    """
    d, K = len(sums.R) - 1, len(scales)
    inside = d * (d + 1) // 2
    A, R, factor = np.zeros((inside, len(leaves), K)), np.zeros((d, len(leaves), K)), np.zeros(K)
    for some, configurations in contexts.blocks(max(CHUNK // K, 1)):
        of_contexts, log_factor = _at_contexts(sums.take(configurations), contexts, some, scales)
        message, more = up(of_contexts, scales.context_variance)
        leaf = contexts.leaf[some]
        first, last = int(leaf[0]), int(leaf[-1]) + 1
        start = np.searchsorted(leaf, np.arange(first, last + 1))
        A[:, first:last] += summed(message.A[:inside], start)
        R[:, first:last] += summed(message.R[:d], start)
        factor += log_factor.sum(axis=0) + more.sum(axis=0)
    return A, R, factor


def _at_contexts(
    own: ConfigurationSums, contexts: Contexts, some: slice, scales: Scales
) -> tuple[ConfigurationSums, FloatArray]:
    """What some contexts hear of their own configurations."""
    message, log_factor = up(own.at(scales), scales.configuration_variance)
    start = contexts.start[some.start : some.stop + 1] - contexts.start[some.start]
    return ConfigurationSums(summed(message.A, start), summed(message.R, start)), log_factor


def of_contexts(sums: ConfigurationSums, contexts: Contexts, some: slice, scales: Scales) -> Effect:
    """What is known of u of some contexts, at K triples; ``sums`` are of their configurations."""
    return alone(_at_contexts(sums, contexts, some, scales)[0], scales.context_variance)


def of_configurations(sums: ConfigurationSums, contexts: Contexts, some: slice, scales: Scales) -> Effect:
    """What is known of u + v of all configurations of some contexts, at K triples."""
    above = of_contexts(sums, contexts, some, scales)
    start = contexts.start[some]
    parent = contexts.context[start[0] : contexts.start[some.stop]] - some.start
    return below(sums.at(scales), Effect(*(part[..., parent, :] for part in above)), scales)


def below(own: ConfigurationSums, above: Effect, scales: Scales) -> Effect:
    """Add a configuration's own effect, which its own sums tell of, to its context's."""
    mine = alone(own, scales.configuration_variance)
    rest = 1 - mine.variance * own.A[-1]
    return Effect(
        rest * above.alpha + mine.alpha, rest * above.gamma + mine.gamma, mine.variance + rest**2 * above.variance
    )


def alone(sums: ConfigurationSums, t: FloatArray) -> Effect:
    """What sums say of an effect that is N(0, t), given the coefficients."""
    d = len(sums.R) - 1
    c = t / (1 + t * sums.A[-1])
    return Effect(c * sums.R[-1], c * sums.A[-1 - d : -1], c)


def joined(mean: FloatArray, cov: FloatArray, effect: Effect) -> tuple[FloatArray, FloatArray]:
    """Mean (d + 1, ...) and covariance (p, ...) of coefficients and effect together.

    Args:
        mean: (d, ...) of the coefficients.
        cov: (d (d + 1)/2, ...) of the coefficients.
        effect: given them.
    """
    d = len(mean)
    across = [-sum(cov[place(i, j)] * effect.gamma[j] for j in range(d)) for i in range(d)]
    spread = effect.variance - sum(effect.gamma[i] * across[i] for i in range(d))
    at = effect.alpha - sum(effect.gamma[i] * mean[i] for i in range(d))
    shape = np.broadcast_shapes(at.shape, mean.shape[1:])
    full = [np.broadcast_to(part, shape) for part in (*mean, at)]
    return np.array(full), np.array([np.broadcast_to(part, shape) for part in (*cov, *across, spread)])


def quadratic(cov: FloatArray, zeta: FloatArray) -> FloatArray:
    """Zeta' cov zeta of stacked upper triangles and vectors (d, ...)."""
    d = len(zeta)
    found = sum(cov[place(i, i)] * zeta[i] ** 2 for i in range(d))
    return np.asarray(
        found + 2 * sum((cov[place(i, j)] * (zeta[i] * zeta[j]) for j in range(d) for i in range(j)), np.zeros(1))
    )
