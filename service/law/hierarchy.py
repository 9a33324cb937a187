"""Coefficients, one level up or down: the closed forms of a linear-Gaussian tree (docs: LAW steps 4 and 7).

A level says b_child ~ N(b_parent, diag(t)). A child's data are an information pair (A, R): exp(-b'Ab/2 + R'b).
Symmetric 2x2 matrices are stacks (3, ...) of their elements 00, 01, 11, vectors are stacks (2, ...), so that all
nodes and families go through one numpy expression. With the dilution's coefficient there are three: matrices are then
stacks (6, ...) of 00, 01, 11, 02, 12, 22, and a level takes one coefficient after the other, which is exact because
their spreads are independent.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from service.law.observations import FloatArray

AT_ONCE = 4_000
"""leaves times nodes: of three coefficients, at a time"""


def message_up(A: FloatArray, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Tell the parent what a child's data say, the child's own coefficients integrated out.

    With M = I + diag(t) A and B = M^-1: W = AB, u = B'R, and the factor -log|M|/2 + R'CR/2, C = B diag(t).

    Returns:
        W (3, ...), u (2, ...), log factor (...).
    """
    if len(R) > 2:
        W, u, factor = _in_cache(_message_up, A, R, t)
        return W, u, factor
    a, b, d = A
    p, q = R
    t0, t1 = t
    minor, det = _determinants(A, t)
    W = np.array([a + t1 * minor, b, d + t0 * minor]) / det
    u = np.array([(1 + t1 * d) * p - t1 * b * q, (1 + t0 * a) * q - t0 * b * p]) / det
    return W, u, 0.5 * (t0 * p * u[0] + t1 * q * u[1] - np.log(det))


def posterior_down(
    A: FloatArray, R: FloatArray, t: FloatArray, mean: FloatArray, cov: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Infer a child's coefficients from its own data (A, R) and its parent's posterior N(mean, cov).

    N(B mean + C R, C + B cov B'). The parent's posterior may already hold this child's data: given the parent, the
    child depends on nothing else. A child without data has A = R = 0.

    Returns:
        mean (2, ...), covariance (3, ...).
    """
    if len(R) > 2:
        child_mean, child_cov = _in_cache(_posterior_down, A, R, t, mean, cov)
        return child_mean, child_cov
    a, b, d = A
    p, q = R
    t0, t1 = t
    m0, m1 = mean
    s00, s01, s11 = cov
    _, det = _determinants(A, t)
    B00, B01, B10, B11 = (1 + t1 * d) / det, -t0 * b / det, -t1 * b / det, (1 + t0 * a) / det
    C00, C01, C11 = B00 * t0, B01 * t1, B11 * t1
    child_mean = np.array([B00 * m0 + B01 * m1 + C00 * p + C01 * q, B10 * m0 + B11 * m1 + C01 * p + C11 * q])
    row0, row1 = B00 * s00 + B01 * s01, B00 * s01 + B01 * s11
    low0, low1 = B10 * s00 + B11 * s01, B10 * s01 + B11 * s11
    child_cov = np.array([C00 + row0 * B00 + row1 * B01, C01 + row0 * B10 + row1 * B11, C11 + low0 * B10 + low1 * B11])
    return child_mean, child_cov


def line(mean: FloatArray, cov: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of b0 + b1 x."""
    return mean[0] + mean[1] * x, cov[0] + 2 * x * cov[1] + x**2 * cov[2]


def widened(mean: FloatArray, cov: FloatArray, dimensions: int) -> tuple[FloatArray, FloatArray]:
    """Add coefficients whose population mean is known to be 0."""
    if dimensions == len(mean):
        return mean, cov
    nothing = np.zeros((dimensions * (dimensions + 1) // 2 - len(cov), *mean.shape[1:]))
    return np.concatenate([mean, nothing[: dimensions - len(mean)]]), np.concatenate([cov, nothing])


def place(i: int, j: int) -> int:
    """Where element (i, j) of a symmetric matrix stands in a stack."""
    low, high = min(i, j), max(i, j)
    return high * (high + 1) // 2 + low


class _Step(NamedTuple):
    """One coefficient's spread integrated out: coefficient k, c, A's row and R's element before it."""

    k: int
    c: FloatArray
    beside: list[FloatArray]
    p: FloatArray


def _steps_up(
    A: FloatArray, R: FloatArray, t: FloatArray
) -> tuple[list[FloatArray], list[FloatArray], list[_Step], FloatArray]:
    d, steps = len(R), []
    A_now, R_now, square, det = list(A), list(R), np.zeros(1), np.ones(1)
    for k in range(d):
        beside, p = [A_now[place(i, k)] for i in range(d)], R_now[k]
        growth = 1 + t[k] * beside[k]
        c = t[k] / growth
        steps.append(_Step(k, c, beside, p))
        pull, det = [c * each for each in beside], det * growth
        square = square + c * p * p
        for j in range(d):
            R_now[j] = R_now[j] - pull[j] * p
            for i in range(j + 1):
                A_now[place(i, j)] = A_now[place(i, j)] - pull[i] * beside[j]
    return A_now, R_now, steps, 0.5 * (square - np.log(det))


def _in_cache(function: Callable[..., tuple[FloatArray, ...]], *parts: FloatArray) -> tuple[FloatArray, ...]:
    """Apply a function of stacks to some nodes, the last axis, at a time: its thirty arrays then stay in the cache."""
    J = max(part.shape[-1] for part in parts)
    step = max(AT_ONCE * len(parts[0]) * J // max(part.size for part in parts), 1)
    if step >= J or any(part.shape[-1] != J for part in parts):
        return function(*parts)
    each = [function(*(part[..., first : first + step] for part in parts)) for first in range(0, J, step)]
    return tuple(np.concatenate(column, axis=-1) for column in zip(*each, strict=True))


def _message_up(A: FloatArray, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    W, u, _, factor = _steps_up(A, R, t)
    return np.array(W), np.array(u), factor


def _posterior_down(
    A: FloatArray, R: FloatArray, t: FloatArray, mean: FloatArray, cov: FloatArray
) -> tuple[FloatArray, FloatArray]:
    _, _, steps, _ = _steps_up(A, R, t)
    d, m, S = len(R), list(mean), list(cov)
    for k, c, beside, p in reversed(steps):  # on the way down: coefficient k gains c (p - beside'b), variance c
        across = [beside[0] * S[place(i, 0)] for i in range(d)]
        fitted = beside[0] * m[0]
        for j in range(1, d):
            fitted = fitted + beside[j] * m[j]
            across = [sum_ + beside[j] * S[place(i, j)] for i, sum_ in enumerate(across)]
        within = beside[0] * across[0]
        for i in range(1, d):
            within = within + beside[i] * across[i]
        m[k] = m[k] + c * (p - fitted)
        S[place(k, k)] = S[place(k, k)] - 2 * c * across[k] + c**2 * within + c
        for i in range(d):
            if i != k:
                S[place(i, k)] = S[place(i, k)] - c * across[i]
    shape = np.broadcast_shapes(*(part.shape for part in (*m, *S)))
    full_mean, full_cov = ([np.broadcast_to(part, shape) for part in parts] for parts in (m, S))
    return np.array(full_mean), np.array(full_cov)


def _determinants(A: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    minor = np.maximum(A[0] * A[2] - A[1] ** 2, 0.0)  # |A|, whose rounding is negative when a family has one point
    return minor, 1 + t[0] * A[0] + t[1] * A[2] + t[0] * t[1] * minor
