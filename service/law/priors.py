"""What a link says of slopes before any data (docs: LAW step 3, part 2 "Fit")."""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from service.law.observations import FloatArray

INTERCEPT_MEAN, INTERCEPT_SD = 0.0, 0.02


class Prior(NamedTuple):
    """Population slope mu1 ~ N(slope_mean, slope_sd^2), families' spread tau1 ~ HalfNormal(slope_spread).

    The intercept's, mu0 ~ N(0, .02^2), is the same for every link.
    """

    slope_mean: float
    slope_sd: float
    slope_spread: float

    @property
    def mean(self) -> FloatArray:
        """(2,) m0."""
        return np.array([INTERCEPT_MEAN, self.slope_mean])

    @property
    def precision(self) -> FloatArray:
        """(2,) diagonal of Lambda0."""
        return np.array([INTERCEPT_SD**-2, self.slope_sd**-2])


STRAIGHT = Prior(1.2, 0.5, 0.5)  # published slopes: 1.492, 1.508, .663
BENT = Prior(2.0, 1.0, 0.7)  # slopes at zero of a moving teacher: 1.4 to 3.3 in the lab's prototype


# Spelt out: scipy.stats takes longer to check its arguments than all else that a node of a small store needs.
def t_log_density(x: FloatArray, freedom: float, scale: float) -> FloatArray:
    """Log density of a t distribution about 0."""
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi) - np.log(scale)
    return np.asarray(constant - (freedom + 1) / 2 * np.log1p((x / scale) ** 2 / freedom))


def half_normal_log_density(x: FloatArray, scale: float) -> FloatArray:
    """Log density of the positive half of a normal about 0."""
    return np.asarray(0.5 * np.log(2 / np.pi) - np.log(scale) - 0.5 * (x / scale) ** 2)
