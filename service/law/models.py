"""Models: a link with some extra variance near gap 0, and what is thought of each beforehand (docs: LAW part 2)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.law.keys import Rule
from service.law.links import LINEAR, LINKS, Link, LinkName
from service.law.observations import FloatArray

NEAR = 0.08
"""sd of the bump around gap 0: there a mean gap cannot tell a useless context from a weakly informative one"""
EXTRA = {0.0: 0.5, 8.0: 0.25, 24.0: 0.25}
"""prior of kappa: at gap 0 the residual variance is 1 + kappa times that far away"""
LINK_PRIOR = {
    # under a frozen teacher the published line has stood up; under a moving one nothing is settled
    Rule.FROZEN: {LinkName.LINEAR: 0.8, LinkName.TANH: 0.1, LinkName.EXP: 0.1},
    Rule.CO_MOVING: {LinkName.LINEAR: 1 / 3, LinkName.TANH: 1 / 3, LinkName.EXP: 1 / 3},
}
"""by rule; a live teacher moves"""


class Model(NamedTuple):
    """A link and kappa."""

    link: Link
    extra: float

    def spread(self, x: FloatArray) -> FloatArray:
        """Residual variance at gaps x in units of sigma^2: n."""
        return spread(x, self.extra)


def spread(x: FloatArray, extra: FloatArray | float) -> FloatArray:
    """Residual variance at gaps x where kappa is ``extra``, one for all or one each."""
    if not np.any(extra):
        return np.broadcast_to(1.0, np.broadcast_shapes(x.shape, np.shape(extra)))
    return np.asarray(1 + extra * np.exp(-0.5 * (x / NEAR) ** 2))


PUBLISHED = Model(LINEAR, 0.0)
"""part 1 of LAW"""


def candidates(links: Sequence[str], rule: Rule, *, contexts: bool = False) -> dict[Model, float]:
    """Models of these links with their prior probabilities; the line alone is part 1's.

    Where contexts are a level, they explain what the extra variance near gap 0 stands for.
    """
    extras = {0.0: 1.0} if contexts else EXTRA
    chosen = [LINKS[name] for name in LinkName if name in links]
    if chosen == [LINEAR]:
        return {PUBLISHED: 1.0}
    links_prior = LINK_PRIOR[Rule.CO_MOVING if rule is Rule.LIVE else rule]
    total = sum(links_prior[link.name] for link in chosen)
    return {
        Model(link, extra): links_prior[link.name] / total * share for link in chosen for extra, share in extras.items()
    }
