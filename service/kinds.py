"""Every kind of job and everything that waits for jobs, found in the `job.py` of the domains."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType

from sqlalchemy.orm import Session

import service
from service.jobs.kind import Kind, Waiting
from service.jobs.models import Job
from service.kit.database import Database


def _jobs() -> list[ModuleType]:
    names = [f"service.{domain.name}.job" for domain in iter_modules(service.__path__) if domain.ispkg]
    return [import_module(name) for name in names if find_spec(name) is not None]


_FOUND = _jobs()
KINDS: dict[str, Kind] = {module.KIND.name: module.KIND for module in _FOUND if hasattr(module, "KIND")}
WAITING: list[Waiting] = [module.WAITING for module in _FOUND if hasattr(module, "WAITING")]


def prepare(database: Database, job: Job) -> None:
    """Compute what the success of a job will need, before the transaction that ends it."""
    for waiting in (KINDS[job.kind], *WAITING):
        waiting.prepare(database, job)


def settle(session: Session, job: Job) -> None:
    """End a job's own row and all that waits for it, in the transaction that ends the job."""
    for waiting in (KINDS[job.kind], *WAITING):
        waiting.settle(session, job)
