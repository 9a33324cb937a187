"""A run's looks, and those of a run that was trained to its end."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.law.leaves import IndexArray
from service.law.observations import FloatArray

MOST_LOOKS = 64
"""of one curve; of more, evenly spaced ones are used"""


class Curve(NamedTuple):
    """K looks at one run, in order of step.

    Attributes:
        t: (K,) shares of the run's steps, in (0, 1].
        gain: (K,) accuracy minus the measured baseline.
        var: (K,) sampling variance of each look's accuracy on its problems.
        baseline_var: that of the baseline.
    """

    t: FloatArray
    gain: FloatArray
    var: FloatArray
    baseline_var: float

    @classmethod
    def of_improvements(cls, t: ArrayLike, gain: ArrayLike, se: ArrayLike) -> "Curve":
        """Make a curve of measured improvements.

        Both evaluations of an improvement take the same problems and rollouts, so half of its variance is either's.
        """
        var = np.asarray(se, dtype=np.float64) ** 2 / 2
        return cls(np.asarray(t, dtype=np.float64), np.asarray(gain, dtype=np.float64), var, float(var[0]))

    def take(self, rows: IndexArray) -> "Curve":
        """Keep these looks."""
        return self._replace(t=self.t[rows], gain=self.gain[rows], var=self.var[rows])

    @property
    def thinned(self) -> "Curve":
        """At most ``MOST_LOOKS`` of the looks, the first and the last among them."""
        if len(self.t) <= MOST_LOOKS:
            return self
        return self.take(np.round(np.linspace(0, len(self.t) - 1, MOST_LOOKS)).astype(np.intp))


class Finished(NamedTuple):
    """A run that was trained to its last step: its looks, its measured improvement and half of that one's variance."""

    curve: Curve
    end: float
    end_var: float

    @classmethod
    def of_improvements(
        cls, t: ArrayLike, gain: ArrayLike, se: ArrayLike, end: float, end_se: float
    ) -> "Finished | None":
        """Keep the looks before the end; None without one."""
        curve = Curve.of_improvements(t, gain, se)
        before = curve.take(np.flatnonzero(curve.t < 1))
        return cls(before.thinned, end, end_se**2 / 2) if len(before.t) else None
