"""Predictions wait for the job of their probe."""

from sqlalchemy.orm import Session

from service.jobs.kind import JobEnd
from service.jobs.models import Job
from service.kit.database import Database
from service.predictions import service as predictions


class WaitingPredictions(JobEnd):
    """The predictions that a probe answers."""

    def prepare(self, database: Database, job: Job) -> None:
        """Make the fits that are due of their pools."""
        predictions.prepare_answers(database, job)

    def settle(self, session: Session, job: Job) -> None:
        """Answer them, or end them as the job has ended."""
        predictions.answer_waiting(session, job)


WAITING = WaitingPredictions()
