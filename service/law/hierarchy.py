"""Two coefficients, one level up or down: the closed forms of a linear-Gaussian tree (docs: LAW steps 4 and 7).

A level says b_child ~ N(b_parent, diag(t)). A child's data are an information pair (A, R): exp(-b'Ab/2 + R'b).
Symmetric 2x2 matrices are stacks (3, ...) of their elements 00, 01, 11, vectors are stacks (2, ...), so that all
nodes and families go through one numpy expression.
"""

import numpy as np

from service.law.observations import FloatArray


def message_up(A: FloatArray, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Tell the parent what a child's data say, the child's own coefficients integrated out.

    With M = I + diag(t) A and B = M^-1: W = AB, u = B'R, and the factor -log|M|/2 + R'CR/2, C = B diag(t).

    Returns:
        W (3, ...), u (2, ...), log factor (...).
    """
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


def _determinants(A: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    minor = np.maximum(A[0] * A[2] - A[1] ** 2, 0.0)  # |A|, whose rounding is negative when a family has one point
    return minor, 1 + t[0] * A[0] + t[1] * A[2] + t[0] * t[1] * minor
