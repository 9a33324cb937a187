"""What the page shows of a pool and its fit, read from the store."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from gapcast import words
from gapcast.contract.fits import Calibration, Outcome
from gapcast.contract.predictions import PROBABILITIES
from service.fits import analysis
from service.fits import service as fits
from service.fits.analysis import Whose
from service.fits.models import Fit
from service.fits.service import Current
from service.law import GapLaw, Key
from service.observations import repository as observations
from service.observations.models import Observation
from service.predictions import repository as predictions
from service.predictions.models import Prediction
from service.predictions.service import missing
from service.web.laws import choose, key_of, of_prediction, whose
from service.web.points import (
    BranchPoint,
    ChartData,
    Curve,
    FitVersion,
    ObservationPoint,
    OutcomePoint,
    PredictionPoint,
)
from service.web.recipes import FamilyRecipe, law_key

LEVEL = 0.95
MARGIN = 0.05
"""how far, in accuracy, the curve runs past the outermost gap"""
MOST_POINTS = 2000
"""the newest observations that are drawn: more would be a blot and slow every browser"""
STEPS = 40
"""points of the curve: smooth at the page's width, and half a second's work where the law bends"""
LEVELS = (0.8, 0.95)
"""of the intervals that past predictions are judged by"""
LOWER, UPPER = PROBABILITIES.index(0.025), PROBABILITIES.index(0.975)


class Known(NamedTuple):
    """What is known of rows beside themselves.

    Attributes:
        out: the reasons of those that are excluded; null: as each row says now.
        sizes: the numbers of weights of models, for rows that do not say their own.
    """

    out: Mapping[str, str] | None = None
    sizes: Mapping[str, float] = MappingProxyType({})


NOTHING = Known()


def read_chart(session: Session, tenant: str, prediction_id: str) -> tuple[str, ChartData]:
    """Read a prediction's pool, and the observations, the law's curve and the fit that it is drawn with.

    Raises:
        NotFound: the tenant has no such prediction.
        UnknownPool: nothing was ever stored in its pool.
    """
    row = predictions.get(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    pool = row[0].pool
    found = fits.newest(session, tenant, pool)
    rows = observations.newest(session, tenant, pool, MOST_POINTS)
    if found is None:
        return pool, ChartData(observations=_points(rows, None, {}))
    return pool, _chart_data(session, found, rows, of_prediction(row[0]), row[0])


def read_version(
    session: Session, found: Current, wanted: Whose | None, sizes: Mapping[str, float] = MappingProxyType({})
) -> ChartData:
    """Read what one version of the law knows: later observations, and later exclusions, are not in it.

    `sizes` has the numbers of weights of models, for rows that do not say their own.
    """
    tenant, pool, changes = found.fit.tenant, found.fit.pool, found.fit.changes
    rows = observations.newest(session, tenant, pool, MOST_POINTS, changes)
    out = observations.excluded_at(session, tenant, [row.id for row in rows], changes)
    return _chart_data(session, found, rows, choose(found.law, rows, wanted), None, Known(out, sizes))


def _chart_data(
    session: Session,
    found: Current,
    rows: Sequence[Observation],
    shown: Whose | None,
    prediction: Prediction | None,
    beside: Known = NOTHING,
) -> ChartData:
    """Draw rows and a law."""
    law = found.law
    point, baseline = None, None
    if prediction is not None and prediction.answer is not None:
        point, baseline = _prediction_point(prediction.answer, prediction.request), prediction.answer["gap"]["student"]
    gaps = [row.gap for row in rows] + ([point.gap] if point is not None else [])
    weights = _weights(session, found.fit)
    return ChartData(
        observations=_points(rows, law, weights or {}, beside),
        curve=_curve(found, shown, gaps, baseline) if shown is not None else None,
        prediction=point,
        fit=FitVersion(
            id=found.fit.id,
            n=found.fit.n,
            laws={FamilyRecipe(*of): n for of, n in law.recipes_.items()},
            behind=found.behind,
            drift=_drift(found.fit),
            diagnosed=weights is not None,
        ),
    )


def _weights(session: Session, fit: Fit) -> Mapping[str, float] | None:
    """The fit's weight of each of its rows by id; null where fitting them again would keep the page waiting."""
    if fit.n > fits.AT_ONCE:
        return None
    if fit.n == 0:
        return {}
    rows, found = analysis.diagnosed(session, fit)
    return {row.id: weight for row, weight in zip(rows, found.weight.tolist(), strict=True)}


def _drift(fit: Fit) -> Mapping[str, Mapping[str, int]] | None:
    found = fit.summary.drift if fit.summary is not None else None
    if found is None:
        return None
    return {family: one.versions for family, one in found.items() if one.alarm}


def outcome_points(session: Session, fit: Fit, found: Calibration, levels: Sequence[float]) -> Sequence[OutcomePoint]:
    """Read the intervals that were promised of the outcomes of a calibration, whose levels these are."""
    if not found.outcomes:
        return []
    stored = {row.id: row.answer for row in predictions.outcomes(session, fit.tenant, fit.pool, fit.changes)}
    place = levels.index(LEVEL)
    return [_outcome(one, stored[one.observation_id], place) for one in found.outcomes]


def _outcome(one: Outcome, answer: Mapping[str, Any], place: int) -> OutcomePoint:
    quantiles = answer["improvement"]["quantiles"]["values"]
    return OutcomePoint(
        prediction_id=one.prediction_id,
        at=one.at,
        predicted=one.predicted,
        lower=quantiles[LOWER],
        upper=quantiles[UPPER],
        outcome=one.outcome,
        inside=one.inside[place],
    )


def _curve(current: Current, whose: Whose, gaps: list[float], baseline: float | None) -> Curve:
    band = analysis.Band(min([0.0, *gaps]) - MARGIN, min(max([0.3, *gaps]) + MARGIN, 1.0), STEPS)
    # the latent improvement: the band is the law's own
    found = analysis.curve(current.fit, whose, band, LEVEL, 0.0, baseline)
    key, law = law_key(found), current.law
    state = law.state_
    pool = state.answering(key, (whose.family, whose.cell))
    return Curve(
        law=FamilyRecipe(whose.family, Key.of(None, None) if state.undivided else key),
        baseline=found.baseline,
        typical=law.typical_baseline(whose.family, whose.cell, teacher=key.teacher, divergence=key.known_divergence),
        linear_weight=found.links.linear,
        pool=key if pool is state.pools.get(key) else key.whole,
        runs={family: summary.n for family, summary in pool.families.items()},
        gaps=found.gap,
        mean=found.mean,
        confidence_lower=found.confidence_lower,
        confidence_upper=found.confidence_upper,
        prediction_lower=found.prediction_lower,
        prediction_upper=found.prediction_upper,
        level=found.level,
    )


def _points(
    rows: Sequence[Observation],
    law: GapLaw | None,
    weights: Mapping[str, float],
    beside: Known = NOTHING,
) -> list[ObservationPoint]:
    """Runs in the picture: those whose improvement on the training problems is known."""
    points = []
    for row in rows:
        if row.improvement is None or row.improvement_se is None:
            continue
        run = whose(row)
        points.append(
            ObservationPoint(
                id=row.id,
                name=row.name or row.external_id or row.model,
                gap=row.gap,
                gap_se=row.gap_se,
                improvement=row.improvement,
                improvement_se=row.improvement_se,
                model=row.model,
                parameters=row.parameters or beside.sizes.get(row.model),
                context=row.context_kind,
                family=row.family,
                key=key_of(law, run),
                recipe=words.brief_recipe(run.teacher, run.divergence),
                excluded=row.excluded if beside.out is None else row.id in beside.out,
                reason=row.excluded_reason if beside.out is None else beside.out.get(row.id),
                collapsed=row.collapsed,
                weight=weights.get(row.id),
            )
        )
    return points


def _prediction_point(answer: Mapping[str, Any], request: Mapping[str, Any]) -> PredictionPoint:
    gap, improvement = answer["gap"], answer["improvement"]
    return PredictionPoint(
        gap=gap["value"],
        gap_se=gap["se"],
        mean=improvement["value"],
        intervals=[(one["level"], one["lower"], one["upper"]) for one in improvement["intervals"]],
        label=f"{request['context']['kind']}, {request['model']['name']}",
        branches=[_branch(one) for one in improvement.get("branches", [])],
    )


def _branch(one: Mapping[str, Any]) -> BranchPoint:
    widest = max(one["intervals"], key=lambda interval: interval["level"])
    return BranchPoint(link=one["link"], weight=one["weight"], value=one["value"], **widest)
