"""Jobs that measure for comparisons: the rounds of one model."""

from sqlalchemy.orm import Session

from service.comparisons import repository
from service.comparisons import service as comparisons
from service.comparisons.ending import Answers
from service.jobs.kind import Configuration, Kind, Places, Result
from service.jobs.models import Job
from service.kit.database import Database, WriteSession
from service.settings import Settings


class ComparisonJob(Kind[Answers]):
    """The rounds of one model: what it has drawn is remembered in a file, so it can be killed at any time."""

    name = comparisons.KIND
    queue = comparisons.QUEUE
    entry = "workers.comparison.job:run"
    stops_gently = False

    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""
        return settings.job_seconds

    def configuration(self, session: Session, job: Job) -> Configuration:
        """The part's, from all that is known when it begins."""
        part = repository.part_of(session, job.id)
        return comparisons.configuration_of(session, part).model_dump(mode="json")

    def resources(self, session: Session, job: Job, settings: Settings) -> Places:
        """The memory of rollouts that all probes of this machine share."""
        return {"rollouts": str(settings.data_dir / "rollouts.sqlite")}

    def store_partial(self, session: Session, job: Job, partial: Result) -> None:
        """With the part."""
        repository.store_partial(session, job.id, partial)

    def store_result(self, session: Session, job: Job, result: Result) -> None:
        """With the part."""
        repository.store_result(session, job.id, result)

    def prepare(self, database: Database, job: Job, result: Result) -> Answers | None:
        """Answer all configurations, if the comparison ends with this."""
        with database.read() as session:
            return comparisons.answers_with(session, job, result)

    def settle(self, session: WriteSession, job: Job, prepared: Answers | None = None) -> None:
        """Ask for the next round, or end the comparison."""
        comparisons.advance(session, job, prepared)


KIND = ComparisonJob()
