"""GET /v1/probes/{id}."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.dependencies import ReadSession, Tenant
from service.kit.clock import rfc3339
from service.kit.errors import NotFound
from service.kit.problems import problems
from service.probes import repository

router = APIRouter(prefix="/probes", tags=["probes"])


class ProbeOut(BaseModel):
    """A measurement of a gap, with the counts of every arm and problem once it is done."""

    id: str
    object: Literal["probe"] = "probe"
    key: str
    configuration: dict[str, Any]
    result: dict[str, Any] | None
    created_at: str
    finished_at: str | None


@router.get("/{probe_id}", responses=problems(NotFound))
def get_probe(session: ReadSession, tenant: Tenant, probe_id: str) -> ProbeOut:
    """Get one probe."""
    probe = repository.get(session, tenant, probe_id)
    if probe is None:
        raise NotFound(f"There is no probe {probe_id[:80]!r}.")
    return ProbeOut(
        id=probe.id,
        key=probe.key,
        configuration=probe.configuration,
        result=probe.result,
        created_at=rfc3339(probe.created_at),
        finished_at=rfc3339(probe.finished_at) if probe.finished_at else None,
    )
