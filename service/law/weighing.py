"""Which models a pool's points leave standing, and with what weights (docs: LAW part 2 "Evidence")."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from service.law.fitting import Fit, Passed, Stored, fit_stored
from service.law.models import PUBLISHED, Model

EXTRA_PASSES = 4
"""for extra variance near gap 0, from where the same link without it has arrived"""
NEGLIGIBLE = 1e-4
"""weight of a model that is left out"""
LITTLE = 0.05
"""weight under which a model keeps its thin grid: what the whole one would change of it is a few hundredths"""
ENOUGH = 10_000
"""points that say which models to leave out: those that differ among so many differ more among all"""


class Weighed(NamedTuple):
    """The models that stand, with their weights; and the published line even where it fell: it tells of bending."""

    fits: list[tuple[Fit, float]]
    line: Fit | None


def weighed(stored: Stored, prior: Mapping[Model, float]) -> Weighed:
    """Fit the models whose weight is not negligible.

    All are compared first on a thin grid, and by ``ENOUGH`` points. The published line, when it is alone, is fitted as
    if nothing else had been asked for.

    Args:
        stored: what all models see.
        prior: their prior probabilities; a link's model without extra variance comes before those with it.
    """
    if list(prior) == [PUBLISHED]:
        return _alone(stored)
    some = stored.some(ENOUGH)
    passed = _passed(some, prior)
    seen = {model: one.glanced() for model, one in passed.items()}
    standing = _standing({model: glance.log_evidence for model, glance in seen.items()}, prior)
    if list(standing) == [PUBLISHED] and not stored.context_level:
        return _alone(stored)
    fallen = passed[PUBLISHED].fitted(thin=True) if PUBLISHED in prior and PUBLISHED not in standing else None
    if some is stored:
        fits = {model: passed[model].fitted(seen[model].grid, thin=standing[model] < LITTLE) for model in standing}
    else:
        fits = {model: one.fitted() for model, one in _passed(stored, standing).items()}
    weights = _standing({model: one.log_evidence for model, one in fits.items()}, prior)
    return Weighed([(fits[model], weight) for model, weight in weights.items()], fits.get(PUBLISHED, fallen))


def _alone(stored: Stored) -> Weighed:
    line = fit_stored(stored, PUBLISHED)
    return Weighed([(line, 1.0)], line)


def most_likely(stored: Stored, prior: Mapping[Model, float]) -> Model:
    """Choose the model with the largest weight, as the first comparison sees it."""
    if len(prior) == 1:
        return next(iter(prior))
    passed = _passed(stored.some(ENOUGH), prior)
    weights = _standing({model: one.glanced().log_evidence for model, one in passed.items()}, prior)
    return max(weights, key=weights.__getitem__)


def _passed(stored: Stored, models: Iterable[Model]) -> dict[Model, Passed]:
    found: dict[Model, Passed] = {}
    for model in models:
        grid, before = stored.grid(model, thin=True), found.get(Model(model.link, 0.0))
        if before is None:
            found[model] = Passed.start(stored, model).after(grid, stored.passes(model) - 1)
        else:
            found[model] = before.as_start_of(model).after(grid, EXTRA_PASSES)
    return found


def _standing(evidence: Mapping[Model, float], prior: Mapping[Model, float]) -> dict[Model, float]:
    """Posterior probabilities of models, without those that have next to none."""
    log_weight = {model: value + np.log(prior[model]) for model, value in evidence.items()}
    top = max(log_weight.values())
    weights = {model: float(np.exp(value - top)) for model, value in log_weight.items()}
    total = sum(weights.values())
    kept = {model: weight for model, weight in weights.items() if weight > NEGLIGIBLE * total}
    return {model: weight / sum(kept.values()) for model, weight in kept.items()}
