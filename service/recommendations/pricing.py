"""What runs and rollouts cost: as sent, else as stored runs and probes tell."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from gapcast.contract.recommendations import RecommendationRequest, Unit
from service.comparisons.configuring import Contestant
from service.deciding import Prices
from service.fits import service as fits
from service.fits.service import Current
from service.fits.summary import PoolSummary, Rate, rollouts
from service.kit.errors import InvalidRequest
from service.observations import service as observations
from service.probes import repository as probes

NEWEST = 50
"""probes of a model that tell what a rollout costs"""
ARMS = 3
"""student, none and self-teacher"""


class Priced(NamedTuple):
    """Prices in hours, and of what."""

    prices: Prices
    unit: Unit


class _OfProbes(NamedTuple):
    hours_per_rollout: float
    on_gpu: bool


def priced(
    session: Session, tenant: str, request: RecommendationRequest, found: Sequence[Contestant], law: Current
) -> Priced:
    """Price every configuration.

    Raises:
        InvalidRequest: nothing tells what a run costs.
    """
    models = {one.request.model.name for one in found}
    runs = {model: _rate(session, tenant, model, law) for model in models}
    of_probes = {model: _of_probes(session, tenant, model) for model in models}
    run, rollout = [], []
    for place, one in enumerate(found):
        model, drawn = one.request.model.name, rollouts(one.request.recipe.model_dump()) or 1
        rate, probed = runs[model], of_probes[model]
        if request.cost.hours_per_run is not None:
            hours = request.cost.hours_per_run
        elif rate is not None:
            hours = rate.median * drawn / 3600
        else:
            raise _unknown(model, place)
        run.append(hours)
        if request.cost.seconds_per_rollout is not None:
            rollout.append(request.cost.seconds_per_rollout / 3600)
        else:
            rollout.append(probed.hours_per_rollout if probed is not None else hours / drawn)
    again = [one.second.rollouts * one.second.problems * (ARMS + len(one.second.controls)) for one in found]
    on_gpu = any(one is not None and one.on_gpu for one in of_probes.values())
    prices = Prices(np.array(run), np.array(rollout), np.array(again, dtype=float))
    return Priced(prices, "gpu_hours" if on_gpu else "worker_hours")


def _rate(session: Session, tenant: str, model: str, law: Current) -> Rate | None:
    """Of the law's pool, else of the other pool with most runs of the model."""
    own = law.summary.seconds_per_rollout.get(model)
    if own is not None:
        return own
    ids = [pool.fit_id for pool in observations.pools(session, tenant) if pool.fit_id is not None]
    summaries = [fits.get(session, tenant, fit_id).summary or PoolSummary() for fit_id in ids]
    rates = [one.seconds_per_rollout[model] for one in summaries if model in one.seconds_per_rollout]
    return max(rates, key=lambda rate: rate.runs, default=None)


def _of_probes(session: Session, tenant: str, model: str) -> _OfProbes | None:
    """Median over a model's newest probes that drew anything themselves."""
    hours, on_gpu = [], False
    for cost, seconds in probes.spent(session, tenant, model, NEWEST):
        drawn = cost.get("rollouts_drawn") or 0
        if drawn:
            gpu_hours = cost.get("gpu_hours") or 0.0
            on_gpu = on_gpu or gpu_hours > 0
            hours.append((gpu_hours or seconds["probe"] / 3600) / drawn)
    return _OfProbes(median(hours), on_gpu) if hours else None


def _unknown(model: str, place: int) -> InvalidRequest:
    return InvalidRequest(
        f"cost.hours_per_run: expected the GPU-hours of a training run, because no stored run of {model} "
        f"(configuration {place}) tells them, got nothing. Send cost.hours_per_run.",
        param="cost.hours_per_run",
    )
