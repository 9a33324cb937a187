"""What a kind of job decides; all else about a job is the supervisor's."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from service.jobs.models import Job
from service.settings import Settings

Configuration = dict[str, Any]


class Kind(ABC):
    """One kind of job. Whoever writes holds the job's row: all of it is fenced."""

    name: ClassVar[str]
    """as `jobs.kind`"""
    stops_gently: ClassVar[bool]
    """whether its child, asked to stop, saves its work first; else it is killed at once"""

    @abstractmethod
    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""

    @abstractmethod
    def configuration(self, session: Session, job: Job) -> Configuration:
        """What the child does."""

    @abstractmethod
    def resources(self, session: Session, job: Job, settings: Settings) -> dict[str, Any]:
        """What `workers.resources.Resources` reads, beside model and task."""

    @abstractmethod
    def store_partial(self, session: Session, job: Job, partial: dict[str, Any]) -> None:
        """Keep the result so far."""

    @abstractmethod
    def store_result(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """Keep the result, in the transaction that ends the job."""

    def store_line(self, session: Session, job: Job, name: str, data: dict[str, Any]) -> None:  # noqa: B027
        """Keep what of an event belongs elsewhere, too."""
