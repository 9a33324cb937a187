"""What a fit says of its rows: which do not belong, and whether the line bends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from service.law import collapse
from service.law.fitting import Fit
from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray

OUTLIER_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """One value a row, in the order of the observations.

    Attributes:
        weight: r, the probability that the run did not collapse.
        outlier: r < .5.
        residual: leave-one-out residual, improvement minus what the other rows predict.
        standardized: the same in its own standard deviations.
        leverage: h, the share of a row in its own fitted value.
        influence: how far the row moves its family's slope, in the slope's posterior standard deviations.
    """

    weight: FloatArray
    outlier: BoolArray
    residual: FloatArray
    standardized: FloatArray
    leverage: FloatArray
    influence: FloatArray

    @classmethod
    def of(cls, fitted: Fit) -> "Diagnostics":
        """Diagnose every row of one model's fit."""
        rows, r, likelihood = fitted.rows, fitted.weight, fitted.likelihood
        sigma_square = fitted.posterior.sigma_square
        residual, variance, leverage = collapse.leave_one_out(likelihood, r, sigma_square, fitted.mean, fitted.cov)
        _, s01, s11 = fitted.cov[:, rows.leaf]
        slope_shift = (s01 + s11 * rows.x) * r * likelihood.gradient * residual / likelihood.variance(sigma_square)
        back = np.argsort(rows.order)
        return cls(
            weight=r[back],
            outlier=r[back] < OUTLIER_WEIGHT,
            residual=residual[back],
            standardized=(residual / np.sqrt(variance))[back],
            leverage=leverage[back],
            influence=(slope_shift / np.sqrt(s11))[back],
        )

    @classmethod
    def mixed(cls, fits: Sequence[tuple[Fit, float]]) -> "Diagnostics":
        """Average over models by their weights."""
        each = [(cls.of(fitted), weight) for fitted, weight in fits]
        columns = {
            name: np.asarray(sum(weight * getattr(one, name) for one, weight in each))
            for name in ("weight", "residual", "standardized", "leverage", "influence")
        }
        return cls(**columns, outlier=columns["weight"] < OUTLIER_WEIGHT)

    @classmethod
    def blank(cls, n: int) -> "Diagnostics":
        """Room for n rows."""
        return cls(np.zeros(n), np.zeros(n, dtype=np.bool_), *(np.zeros(n) for _ in range(4)))

    def put(self, rows: IndexArray, of_rows: "Diagnostics", where: BoolArray | bool) -> None:
        """Write down what a pool says of its rows, ``where`` it is the one to say it."""
        for name, column in vars(of_rows).items():
            mine = getattr(self, name)
            mine[rows] = np.where(where, column, mine[rows])


def curvature_p_value(fitted: Fit) -> float:
    """One-sided test that improvements bend down: a common xt^2 beside each family's own intercept and slope.

    Weighted least squares with weights r/D. Families of one or two points have nothing left to say after their own
    line.

    Returns:
        P(a straight law bends down this much); NaN where no degree of freedom is left.
    """
    rows = fitted.rows
    family, families = rows.leaves.family[rows.leaf], len(rows.leaves.family_place)
    inside = fitted.weight > 0
    family, x, y, w = family[inside], rows.x[inside], rows.y[inside], (fitted.weight / fitted.residual_variance)[inside]
    freedom = np.maximum(np.bincount(family, minlength=families) - 2, 0).sum() - 1
    if freedom < 1:
        return float("nan")

    def total(value: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(family, w * value, minlength=families)[family], dtype=np.float64)

    def without(value: FloatArray, regressor: FloatArray) -> FloatArray:
        square = total(regressor**2)
        slope = np.divide(total(regressor * value), square, out=np.zeros_like(square), where=square > 1e-12)
        return value - slope * regressor

    one = np.ones_like(x)
    x_only = without(x, one)
    square, y_only = (without(without(value, one), x_only) for value in (x**2, y))
    information = w @ square**2
    if information < 1e-12:  # every family's gaps take two values at most
        return float("nan")
    bend = w @ (square * y_only) / information
    scale = w @ (y_only - bend * square) ** 2 / freedom
    return float(t.cdf(bend * np.sqrt(information / max(scale, 1e-12)), freedom))
