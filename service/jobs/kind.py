"""What a kind of job decides; all else about a job is the supervisor's and the reconciler's."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.waiting import Queue
from service.jobs.models import Job
from service.kit.database import Database, WriteSession
from service.settings import Settings

Configuration = JsonObject
"""What a child does, as JSON: the dump of a configuration of the contract."""
Places = JsonObject
"""Where this machine has what a child needs, as JSON: what `workers.resources.Resources` reads."""
Result = JsonObject
"""What a child has measured, as JSON: the dump of a result of the contract."""


Prepared = TypeVar("Prepared")


class JobEnd(ABC, Generic[Prepared]):
    """What the end of a job brings. A domain whose rows wait for jobs has one, as `WAITING` in its `job.py`."""

    def prepare(self, database: Database, job: Job, result: Result) -> Prepared | None:
        """Compute what a success with this result will need, before the transaction that ends the job begins."""
        return None

    @abstractmethod
    def settle(self, session: WriteSession, job: Job, prepared: Prepared | None = None) -> None:
        """End what waits for the job, in the transaction that ends it, whoever ends it.

        Nothing is `prepared` where the job was not ended by the worker that measured its result.
        """


class Kind(JobEnd[Prepared]):
    """One kind of job. Whoever writes holds the job's row: all of it is fenced.

    The whole of a kind is a domain's `job.py`, which has it as `KIND`, and the child's entry point in the workers.
    """

    name: ClassVar[str]
    """as `jobs.kind`"""
    queue: ClassVar[Queue]
    """whose slots its jobs take"""
    entry: ClassVar[str]
    """what the child runs, as `module:function`; the function takes a `workers.work.Work`"""
    stops_gently: ClassVar[bool]
    """True if its child, asked to stop, saves its work first; else it is killed at once"""

    @abstractmethod
    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""

    def silence(self, settings: Settings) -> float:
        """Return for how many seconds its child may say nothing."""
        return settings.silence_seconds

    @abstractmethod
    def configuration(self, session: Session, job: Job) -> Configuration:
        """Return what the child does."""

    def resources(self, session: Session, job: Job, settings: Settings) -> Places:
        """Return what `workers.resources.Resources` reads, beside model and task."""
        return {}

    def store_partial(self, session: Session, job: Job, partial: Result) -> None:
        """Keep the result so far."""

    @abstractmethod
    def store_result(self, session: Session, job: Job, result: Result) -> None:
        """Keep the result, in the transaction that ends the job."""

    def hold(self, session: WriteSession, job: Job, held: JsonObject) -> None:
        """Keep why a child has put its job aside, in the transaction that pauses it."""

    def store_event(self, session: Session, job: Job, name: str, data: JsonObject, settings: Settings) -> None:
        """Keep what of an event belongs elsewhere, too."""

    def settle(self, session: WriteSession, job: Job, prepared: Prepared | None = None) -> None:
        """End the job's own row, in the transaction that ends the job."""

    def sweep(self, database: Database, settings: Settings) -> None:
        """Remove what ended jobs have left on this machine."""
