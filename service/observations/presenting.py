"""Stored observations and pools as the API shows them."""

from gapcast.contract.contexts import context_name_of
from gapcast.contract.observations import Look, Measured, MeasuredHeldOut, ObservationOut, PoolOut
from service.catalog.service import SHIPPED_POOLS
from service.kit.clock import rfc3339
from service.observations.models import HowMeasured, Observation, Pool


def observation_out(row: Observation) -> ObservationOut:
    """Show a stored observation."""
    measured = row.measured or {}
    return ObservationOut(
        id=row.id,
        name=row.name,
        tags=row.tags,
        pool=row.pool,
        external_id=row.external_id,
        family=row.family,
        task=row.task,
        cell=row.cell,
        model=row.model,
        parameters=row.parameters,
        context_kind=row.context_kind,
        context=row.provenance.get("context"),
        context_name=context_name_of(row.context),
        recipe=row.provenance.get("recipe"),
        version=row.version,
        baseline=row.baseline,
        gap=_gap(row, measured.get("gap")),
        gap_spread=row.gap_spread,
        improvement=_gain(row, row.improvement, row.improvement_se, measured.get("improvement")),
        held_out=_held_out(row, measured.get("held_out")),
        cov=row.cov,
        collapsed=row.collapsed,
        training_problems=row.training_problems,
        curve=[Look.model_validate(look) for look in row.curve] if row.curve else None,
        stopped_at=row.stopped_at,
        prediction_id=row.prediction_id,
        excluded=row.excluded,
        excluded_reason=row.excluded_reason,
        source=row.source,
        provenance={name: value for name, value in row.provenance.items() if name not in {"context", "recipe"}},
        created_at=rfc3339(row.created_at),
    )


def _gap(row: Observation, how: HowMeasured | None) -> Measured:
    found = _measured(row, row.gap, row.gap_se, how)
    apart = (row.mode or "").split("/")
    if len(apart) > 1:
        student, teacher, _ = (part == "thinking" for part in apart)
        found.thinking, found.teacher_thinking = student, teacher
    return found


def _measured(row: Observation, value: float, se: float, how: HowMeasured | None) -> Measured:
    found = Measured(value=value, se=se, thinking=row.thinking)
    return found if how is None else found.model_copy(update=dict(how))


def _gain(row: Observation, value: float | None, se: float | None, how: HowMeasured | None) -> Measured | None:
    return None if value is None or se is None else _measured(row, value, se, how)


def _held_out(row: Observation, how: HowMeasured | None) -> MeasuredHeldOut | None:
    found = _gain(row, row.held_out_improvement, row.held_out_se, how)
    return None if found is None else MeasuredHeldOut(**found.model_dump(), baseline=row.held_out_baseline)


def pool_out(row: Pool) -> PoolOut:
    """Show a pool."""
    return PoolOut(
        name=row.name,
        observations=row.observations,
        borrow=row.borrow,
        read_only=row.name in SHIPPED_POOLS,
        changes=row.changes,
        fit_id=row.fit_id,
        behind=row.changes - max(row.fitted_changes, 0),
        created_at=rfc3339(row.created_at),
    )
