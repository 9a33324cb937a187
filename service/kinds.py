"""Every kind of job and everything that waits for jobs, found in the `job.py` of the domains."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

from service.jobs.kind import JobEnd, Kind, Result
from service.jobs.models import Job
from service.kit.database import Database, WriteSession

log = structlog.get_logger()

Prepared = list[Any]
"""what each end has computed before the transaction"""
_HERE = Path(__file__).parent


def _job_modules() -> list[ModuleType]:
    # by their files: to look for a module by its name imports its package, and the pages' takes long
    return [import_module(f"service.{path.parent.name}.job") for path in sorted(_HERE.glob("*/job.py"))]


_MODULES = _job_modules()
KINDS: dict[str, Kind[Any]] = {module.KIND.name: module.KIND for module in _MODULES if hasattr(module, "KIND")}
WAITING: list[JobEnd[Any]] = [module.WAITING for module in _MODULES if hasattr(module, "WAITING")]


def _ends(job: Job) -> list[JobEnd[Any]]:
    kind = KINDS.get(job.kind)
    if kind is None:  # stored by another version of the product: the others' ends must not fail for it
        log.warning("unknown_kind_of_job", job=job.id, kind=job.kind)
        return WAITING
    return [kind, *WAITING]


def prepare(database: Database, job: Job, result: Result) -> Prepared:
    """Compute what the success of a job will need, before the transaction that ends it."""
    return [end.prepare(database, job, result) for end in _ends(job)]


def settle(session: WriteSession, job: Job, prepared: Prepared | None = None) -> None:
    """End a job's own row and all that waits for it, in the transaction that ends the job."""
    ends = _ends(job)
    for end, of_end in zip(ends, prepared or [None] * len(ends), strict=True):
        end.settle(session, job, of_end)
