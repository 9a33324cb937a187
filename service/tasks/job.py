"""Jobs that check tasks."""

from sqlalchemy.orm import Session

from service.jobs.kind import Configuration, Kind, Result
from service.jobs.models import Job
from service.kit.database import WriteSession
from service.settings import Settings
from service.tasks import repository, self_check


class CheckJob(Kind[None]):
    """The self-check of a task: nothing of it is kept before its end, so it can be killed at any time."""

    name = self_check.KIND
    queue = self_check.QUEUE
    entry = "workers.tasks.job:run"
    stops_gently = False

    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""
        return settings.job_seconds

    def configuration(self, session: Session, job: Job) -> Configuration:
        """The task's name and revision."""
        row = repository.by_id(session, job.subject_id)
        return {"task": row.name, "task_revision": row.revision}

    def store_result(self, session: Session, job: Job, result: Result) -> None:
        """With the task."""
        self_check.keep(session, job.subject_id, result)

    def settle(self, session: WriteSession, job: Job, prepared: None = None) -> None:
        """Refuse a task whose check has no result."""
        self_check.end(session, job)


KIND = CheckJob()
