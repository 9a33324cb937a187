"""Jobs that measure a gap."""

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.events import ProbeSamples
from service.jobs.kind import Configuration, Kind, Places, Result
from service.jobs.models import Job
from service.probes import repository as probes
from service.samples import service as samples
from service.settings import Settings


class ProbeJob(Kind[None]):
    """A probe: what it has drawn is remembered in a file as it goes, so it can be killed at any time."""

    name = "probe"
    queue = "probes"
    entry = "workers.probe.job:run"
    stops_gently = False

    def seconds(self, settings: Settings) -> float:
        """How long one attempt may run."""
        return settings.job_seconds

    def configuration(self, session: Session, job: Job) -> Configuration:
        """The probe's."""
        return probes.by_id(session, job.subject_id).configuration

    def resources(self, session: Session, job: Job, settings: Settings) -> Places:
        """The memory of rollouts that all probes of this machine share, and how many are kept to be read."""
        kept = samples.wanted(session, job.tenant, job.subject_id, settings)
        return {
            "rollouts": str(settings.data_dir / "rollouts.sqlite"),
            "samples": settings.sample_limits.model_dump() if kept else None,
        }

    def store_partial(self, session: Session, job: Job, partial: Result) -> None:
        """With the probe."""
        probes.store_partial(session, job.subject_id, partial)

    def store_event(self, session: Session, job: Job, name: str, data: JsonObject, settings: Settings) -> None:
        """Keep rollouts to be read."""
        if name == ProbeSamples.type:
            told = ProbeSamples.model_validate(data)
            samples.store(session, job.tenant, job.subject_id, told.samples, settings, afresh=told.first)

    def store_result(self, session: Session, job: Job, result: Result) -> None:
        """With the probe."""
        probes.store_result(session, job.subject_id, result)


KIND = ProbeJob()
