"""Kinds of jobs are found by themselves, and one that nobody knows harms nobody else."""

from sqlalchemy import update

from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import reconcile
from service.kinds import KINDS, WAITING, settle
from service.kit.clock import now
from service.kit.database import Database
from service.settings import Settings


def test_every_kind_is_found() -> None:
    assert set(KINDS) == {"check", "comparison", "probe", "training"}
    assert all(kind.name == name for name, kind in KINDS.items())
    assert len(WAITING) == 1


def test_a_job_of_an_unknown_kind_does_not_keep_the_others_from_ending(database: Database, settings: Settings) -> None:
    """As after a rollback to a version that lacks the kind."""
    with database.write() as session:
        made = [
            jobs.add(session, tenant="local", kind=kind, queue="probes", subject_id="x").id
            for kind in ("unknown", "probe")
        ]
        session.execute(
            update(Job).values(
                state=JobState.running, attempt=1, failures=settings.max_failures - 1, lease_expires_at=now(-1)
            )
        )
    reconcile(database, settings, settle)
    with database.read() as session:
        assert [session.get(Job, job_id).state for job_id in made] == ["dead", "dead"]  # type: ignore[union-attr]


def test_jobs_are_woken_after_the_commit_and_not_without_one(settings: Settings) -> None:
    woken: list[tuple[str, str]] = []
    database = Database(settings.database_url, woken.extend)
    with database.write() as session:
        session.wake("probes", "job_1", "job_2")
        session.wake("training", "job_3")
        assert woken == []
    expected = [("probes", "job_1"), ("probes", "job_2"), ("training", "job_3")]
    assert woken == expected
    try:
        with database.write() as session:
            session.wake("probes", "job_4")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert woken == expected
