"""/v1/workers: the processes that run jobs."""

from fastapi import APIRouter

from gapcast.contract.base import Listing
from gapcast.contract.workers import WorkerOut
from service.dependencies import AppState, Tenant
from service.jobs import service

router = APIRouter(prefix="/workers", tags=["workers"])


@router.get("")
def list_workers(state: AppState, tenant: Tenant) -> Listing[WorkerOut]:
    """List the workers that gave a sign of life within 30 s, with the jobs that they run."""
    with state.database.read() as session:
        return Listing(data=service.workers(session, tenant))
