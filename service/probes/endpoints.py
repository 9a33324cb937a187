"""/v1/probes: measurements of gaps, and how large one must be."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.dependencies import AppState, ReadSession, Tenant
from service.errors import UnknownPool
from service.kit.clock import rfc3339
from service.kit.errors import InvalidRequest, NotFound
from service.kit.problems import problems
from service.probes import repository, sizing
from service.probes.sizing import SizeOut, SizeRequest

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


@router.post("/size", responses=problems(InvalidRequest, UnknownPool, NotFound))
def size_probe(request: SizeRequest, state: AppState, tenant: Tenant) -> SizeOut:
    """Ask for the cheapest probe whose prediction is as narrow as wanted, or why there is none."""
    with state.database.write() as session:
        return sizing.size(session, tenant, request)


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
