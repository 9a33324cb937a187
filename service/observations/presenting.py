"""Stored observations and pools as the API shows them."""

from gapcast.contract.observations import Measured, ObservationOut, PoolOut
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
        recipe=row.provenance.get("recipe"),
        version=row.version,
        baseline=row.baseline,
        gap=_measured(row.gap, row.gap_se, measured.get("gap")),
        improvement=_measured(row.improvement, row.improvement_se, measured.get("improvement")),
        cov=row.cov,
        collapsed=row.collapsed,
        prediction_id=row.prediction_id,
        excluded=row.excluded,
        excluded_reason=row.excluded_reason,
        source=row.source,
        provenance={name: value for name, value in row.provenance.items() if name not in {"context", "recipe"}},
        created_at=rfc3339(row.created_at),
    )


def _measured(value: float, se: float, how: HowMeasured | None) -> Measured:
    return Measured(value=value, se=se, **how) if how is not None else Measured(value=value, se=se)


def pool_out(row: Pool) -> PoolOut:
    """Show a pool."""
    return PoolOut(
        name=row.name,
        observations=row.observations,
        changes=row.changes,
        fit_id=row.fit_id,
        behind=row.changes - max(row.fitted_changes, 0),
        created_at=rfc3339(row.created_at),
    )
