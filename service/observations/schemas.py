"""An observation as the API shows it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.kit.clock import rfc3339
from service.kit.pagination import Identified
from service.observations.models import Observation


class Measured(BaseModel):
    """A measured difference of accuracies and its standard error, both as shares (0.1 = 10 accuracy points)."""

    value: float
    se: float


class ObservationOut(Identified):
    """One (gap, improvement) pair with its provenance."""

    object: Literal["observation"] = "observation"
    pool: str
    external_id: str | None
    family: str
    task: str
    cell: str | None
    model: str
    context_kind: str
    baseline: float | None = Field(description="student accuracy before training, a share in [0, 1]")
    gap: Measured
    improvement: Measured
    cov: float
    collapsed: bool
    excluded: bool
    source: str
    recipe: dict[str, Any] | None
    provenance: dict[str, Any]
    created_at: str


def observation_out(row: Observation) -> ObservationOut:
    """Show a stored observation."""
    return ObservationOut(
        id=row.id,
        pool=row.pool,
        external_id=row.external_id,
        family=row.family,
        task=row.task,
        cell=row.cell,
        model=row.model,
        context_kind=row.context_kind,
        baseline=row.baseline,
        gap=Measured(value=row.gap, se=row.gap_se),
        improvement=Measured(value=row.improvement, se=row.improvement_se),
        cov=row.cov,
        collapsed=row.collapsed,
        excluded=row.excluded,
        source=row.source,
        recipe=row.provenance.get("recipe"),
        provenance=row.provenance,
        created_at=rfc3339(row.created_at),
    )
