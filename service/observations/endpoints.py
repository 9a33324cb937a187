"""GET /v1/observations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.dependencies import ReadSession, Tenant
from service.kit.errors import NotFound
from service.kit.pagination import Page, PageRequest, page_of, page_request
from service.kit.problems import problems
from service.observations import repository
from service.observations.schemas import ObservationOut, observation_out

router = APIRouter(prefix="/observations", tags=["observations"])


@router.get("")
def list_observations(
    session: ReadSession,
    tenant: Tenant,
    page: Annotated[PageRequest, Depends(page_request)],
    pool: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[ObservationOut]:
    """List observations, newest first."""
    rows = repository.page(session, tenant, pool, page)
    return page_of([observation_out(row) for row in rows], page.limit)


@router.get("/{observation_id}", responses=problems(NotFound))
def get_observation(session: ReadSession, tenant: Tenant, observation_id: str) -> ObservationOut:
    """Get one observation."""
    row = repository.get(session, tenant, observation_id)
    if row is None:
        raise NotFound(f"There is no observation {observation_id[:80]!r}.")
    return observation_out(row)
