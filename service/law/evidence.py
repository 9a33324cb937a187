"""How likely a model makes the stored improvements (docs: LAW part 2 "Evidence")."""

import numpy as np

from service.law.grid import Grid
from service.law.observations import FloatArray
from service.law.posterior import Posterior


def log_evidence(posterior: Posterior, start: Grid, weight: FloatArray, pi: float) -> float:
    """Log marginal likelihood of improvements, collapse included: in y-space, so that links compare directly.

    Args:
        posterior: over a grid that resolves it.
        start: the grid that spans the whole prior.
        weight: (N,) r.
        pi: probability of a collapse.
    """
    log_weight, prior = posterior.log_weight, posterior.prior
    top = log_weight.max()
    population = 0.5 * (np.log(prior.precision) - prior.precision * prior.mean**2).sum()
    r = weight
    open_r = r[(r > 0) & (r < 1)]
    entropy = -np.sum(open_r * np.log(open_r) + (1 - open_r) * np.log1p(-open_r))
    membership = np.sum(r * np.log1p(-pi) + (1 - r) * np.log(pi))
    normal = -0.5 * np.log(2 * np.pi) * r.sum()
    integral = top + np.log(np.exp(log_weight - top).sum()) - start.log_mass
    return float(integral + population + normal + membership + entropy)
