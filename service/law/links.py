"""Links: how an improvement follows from eta = b0 + b1 gap, given the headroom H (docs: LAW part 2 "Links").

Below zero every link is eta itself; above, the bent ones saturate at H. b1 is the slope at zero of all of them, so that
one hierarchy of families carries any link.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar, NamedTuple

import numpy as np

from service.law.observations import FloatArray
from service.law.priors import BENT, STRAIGHT, Prior

SMALLEST_HEADROOM = 0.05
SMALLEST_SLOPE = 1e-6


class LinkName(StrEnum):
    """The links of the law."""

    LINEAR = "linear"
    TANH = "tanh"
    EXP = "exp"


class Slopes(NamedTuple):
    """A link at some eta and H: f, f' and df/dH, all of the same shape."""

    value: FloatArray
    slope: FloatArray
    by_headroom: FloatArray


class Bend(NamedTuple):
    """A link at some eta and H: f, f', f'' and df/dH, all of the same shape."""

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray
    by_headroom: FloatArray


class Link(ABC):
    """One link.

    Attributes:
        name: its name. prior: of its slopes at zero.
        noise_share: phi, the part of the residual variance sigma^2 that is added to the improvement; the rest is added
            to eta and saturates with it.
        passes: how many a fit takes until they agree.
    """

    name: ClassVar[LinkName]
    prior: ClassVar[Prior]
    noise_share: ClassVar[float]
    passes: ClassVar[int]

    @abstractmethod
    def at(self, eta: FloatArray, headroom: FloatArray) -> Bend:
        """Value and derivatives."""

    def slopes_at(self, eta: FloatArray, headroom: FloatArray) -> Slopes:
        """Return the same without the curvature: predictions need no more."""
        found = self.at(eta, headroom)
        return Slopes(found.value, found.slope, found.by_headroom)

    @abstractmethod
    def inverse(self, value: FloatArray, headroom: FloatArray) -> FloatArray:
        """Find eta of values under H: where a fit starts, and nothing else."""

    @abstractmethod
    def capped(self, eta: FloatArray, headroom: FloatArray) -> FloatArray:
        """Hold eta where a straight line at it still says something of the link."""


class Linear(Link):
    """f = eta: the published law."""

    name = LinkName.LINEAR
    prior = STRAIGHT
    noise_share = 1.0
    passes = 8

    def at(self, eta: FloatArray, headroom: FloatArray) -> Bend:
        """Eta itself."""
        one, nothing = np.ones_like(eta), np.zeros_like(eta)
        return Bend(eta, one, nothing, nothing)

    def inverse(self, value: FloatArray, headroom: FloatArray) -> FloatArray:
        """The value itself."""
        return value

    def capped(self, eta: FloatArray, headroom: FloatArray) -> FloatArray:
        """A line is straight everywhere."""
        return eta


class Saturating(Link):
    """f = H s(eta/H) above zero, for a shape s with s(0) = 0, s'(0) = 1 and s -> 1."""

    prior = BENT
    noise_share = 0.2
    passes = 10
    farthest: ClassVar[float]

    @abstractmethod
    def shape(self, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return s and s' at e >= 0, in arrays of their own."""

    @abstractmethod
    def curvature(self, s: FloatArray, slope: FloatArray) -> FloatArray:
        """Return s'' where s and s' are these."""

    @abstractmethod
    def unshape(self, s: FloatArray) -> FloatArray:
        """Find e of 0 <= s < 1."""

    def at(self, eta: FloatArray, headroom: FloatArray) -> Bend:
        """H s(e) with e = eta/H; s - e s' is df/dH."""
        e = np.maximum(eta, 0) / headroom
        value, slope = self.shape(e)
        return Bend(
            headroom * value + np.minimum(eta, 0),
            np.maximum(slope, SMALLEST_SLOPE),
            np.where(eta > 0, self.curvature(value, slope) / headroom, 0.0),
            value - e * slope,
        )

    def slopes_at(self, eta: FloatArray, headroom: FloatArray) -> Slopes:
        """Return the same without the curvature, in as few arrays as it takes."""
        e = np.maximum(eta, 0)
        e /= headroom
        value, slope = self.shape(e)
        e *= slope
        by_headroom = np.subtract(value, e, out=e)
        value *= headroom
        value += np.minimum(eta, 0)
        return Slopes(value, np.maximum(slope, SMALLEST_SLOPE, out=slope), by_headroom)

    def inverse(self, value: FloatArray, headroom: FloatArray) -> FloatArray:
        """H e above zero."""
        return headroom * self.unshape(np.maximum(value, 0) / headroom) + np.minimum(value, 0)

    def capped(self, eta: FloatArray, headroom: FloatArray) -> FloatArray:
        """At most a number of headrooms."""
        return np.minimum(eta, self.farthest * headroom)


class Tanh(Saturating):
    """f = H tanh(eta/H): straight for longer, then saturates sooner."""

    name = LinkName.TANH
    farthest = 1.8

    def shape(self, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tanh."""
        t = np.tanh(e)
        square = t**2
        return t, np.subtract(1, square, out=square)

    def curvature(self, s: FloatArray, slope: FloatArray) -> FloatArray:
        """-2 s s'."""
        return -2 * s * slope

    def unshape(self, s: FloatArray) -> FloatArray:
        """Area tangent."""
        return np.arctanh(s)


class Exp(Saturating):
    """f = H (1 - exp(-eta/H)): what remains to be learnt shrinks at a constant rate."""

    name = LinkName.EXP
    farthest = 3.2

    def shape(self, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        """1 - q and q."""
        q = np.exp(-e)
        return 1 - q, q

    def curvature(self, s: FloatArray, slope: FloatArray) -> FloatArray:
        """-q."""
        return -slope

    def unshape(self, s: FloatArray) -> FloatArray:
        """-log(1 - s)."""
        return -np.log1p(-s)


LINEAR, TANH, EXP = Linear(), Tanh(), Exp()
LINKS: dict[LinkName, Link] = {link.name: link for link in (LINEAR, TANH, EXP)}


def headroom(baseline: FloatArray) -> FloatArray:
    """H = 1 - baseline, never under .05; NaN where the baseline is unknown."""
    return np.maximum(1 - baseline, SMALLEST_HEADROOM)
