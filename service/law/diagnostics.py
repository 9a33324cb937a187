"""What a fit says of its rows: which do not belong, and whether the line bends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from service.law.fitting import Fit
from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray

OUTLIER_WEIGHT = 0.5
UNUSUAL = 2.8
"""standard errors off the line: of 200 runs that follow the law, one"""


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """One value a row, in the order of the observations.

    Attributes:
        weight: r, the probability that the run did not collapse.
        outlier: r < .5.
        unusual: r < .5, or the residual is at least 2.8 of its standard deviations: worth a look, whatever its weight.
        residual: leave-one-out residual, improvement minus what the other rows predict.
        standardized: the same in its own standard deviations.
        leverage: h, the share of a row in its own fitted value.
        influence: how far the row moves its family's slope, in the slope's posterior standard deviations.
    """

    weight: FloatArray
    outlier: BoolArray
    unusual: BoolArray
    residual: FloatArray
    standardized: FloatArray
    leverage: FloatArray
    influence: FloatArray

    @classmethod
    def of(cls, fitted: Fit) -> "Diagnostics":
        """Diagnose every row of one model's fit, those that are lent left out."""
        rows, r, likelihood = fitted.rows, fitted.weight, fitted.likelihood
        sigma_square = fitted.posterior.sigma_square
        residual, variance, leverage, _ = fitted.left_out
        moves = fitted.with_slope * r * likelihood.gradient * residual / likelihood.variance(sigma_square)
        standardized = residual / np.sqrt(variance)
        back = np.argsort(rows.order)[: rows.is_own.sum()]  # lent rows come last
        return cls(
            weight=r[back],
            outlier=r[back] < OUTLIER_WEIGHT,
            unusual=_unusual(r[back], standardized[back]),
            residual=residual[back],
            standardized=standardized[back],
            leverage=leverage[back],
            influence=(moves / np.sqrt(fitted.cov[2, rows.leaf]))[back],
        )

    @classmethod
    def mixed(cls, fits: Sequence[tuple[Fit, float]]) -> "Diagnostics":
        """Average over models by their weights."""
        each = [(cls.of(fitted), weight) for fitted, weight in fits]
        columns = {
            name: np.asarray(sum(weight * getattr(one, name) for one, weight in each))
            for name in ("weight", "residual", "standardized", "leverage", "influence")
        }
        unusual = _unusual(columns["weight"], columns["standardized"])
        return cls(**columns, outlier=columns["weight"] < OUTLIER_WEIGHT, unusual=unusual)

    @classmethod
    def blank(cls, n: int) -> "Diagnostics":
        """Room for n rows."""
        never = np.zeros(n, dtype=np.bool_)
        return cls(np.zeros(n), never, never.copy(), *(np.zeros(n) for _ in range(4)))

    def put(self, rows: IndexArray, of_rows: "Diagnostics", where: BoolArray | bool) -> None:
        """Write down what a pool says of its rows, ``where`` it is the one to say it."""
        for name, column in vars(of_rows).items():
            mine = getattr(self, name)
            mine[rows] = np.where(where, column, mine[rows])


def _unusual(weight: FloatArray, standardized: FloatArray) -> BoolArray:
    return np.asarray((weight < OUTLIER_WEIGHT) | (np.abs(standardized) >= UNUSUAL))


def curvature_p_value(fitted: Fit) -> float:
    """One-sided test that improvements bend down: a common xt^2 beside each family's own intercept and slope.

    Weighted least squares with weights r/D. Where contexts are a level, their means take the rows' place: three seeds
    of a context off the line are one point off it. Families of one or two points have nothing left to say after their
    own line.

    Returns:
        P(a straight law bends down this much); NaN where no degree of freedom is left.
    """
    rows = fitted.rows
    family, families = rows.leaves.family[rows.leaf], len(rows.leaves.family_place)
    inside = rows.is_own & (fitted.weight > 0)
    family, x, y, w = family[inside], rows.x[inside], rows.y[inside], (fitted.weight / fitted.residual_variance)[inside]
    if rows.contexts is not None:
        context = np.unique(rows.contexts.context[rows.configuration[inside]], return_inverse=True)[1]
        first = np.searchsorted(context, np.arange(context.max(initial=-1) + 1))  # rows are sorted by context
        total_w = np.bincount(context, w)
        x, y = (np.bincount(context, w * value) / total_w for value in (x, y))
        family, w = family[first], 1 / (1 / total_w + fitted.posterior.tau_square)
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
    return float(stdtr(freedom, bend * np.sqrt(information / max(scale, 1e-12))))
