"""Predictions wait for the job of their probe."""

from sqlalchemy.orm import Session

from service.jobs.kind import JobEnd, Result
from service.jobs.models import Job
from service.kit.database import Database
from service.predictions import service as predictions
from service.predictions.answering import Answered


class WaitingPredictions(JobEnd[dict[str, Answered]]):
    """The predictions that a probe answers."""

    def prepare(self, database: Database, job: Job, result: Result) -> dict[str, Answered]:
        """Answer them."""
        return predictions.prepare_answers(database, job, result)

    def settle(self, session: Session, job: Job, prepared: dict[str, Answered] | None = None) -> None:
        """Store their answers, or end them as the job has ended."""
        predictions.answer_waiting(session, job, prepared or {})


WAITING = WaitingPredictions()
