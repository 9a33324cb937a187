"""Where a queued job stands, and which job a slot takes next."""

from itertools import count

import pytest
from sqlalchemy import update

from gapcast.contract.needs import JobNeeds, Offer
from gapcast.contract.waiting import RunningJob, Waiting
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import waiting_of
from service.kit.clock import now
from service.kit.database import Database
from service.slots import repository as slots

NAMES = count()
KINDS = {"probe", "training"}
ANY = Offer()


def add(
    database: Database, queue: str = "probes", tenant: str = "local", due: float = 0, needs: JobNeeds | None = None
) -> str:
    """Queue a job that is due in so many seconds."""
    with database.write() as session:
        kind = "probe" if queue == "probes" else "training"
        subject = f"{kind}_{next(NAMES)}"
        job = jobs.add(session, tenant=tenant, kind=kind, queue=queue, subject_id=subject, needs=needs)
        session.execute(update(Job).where(Job.id == job.id).values(available_at=now(due)))
        return job.id


def start(
    database: Database, job_id: str, seconds: float = 0, left: float | None = None, worker: str = "worker"
) -> str:
    """Let a job run since so many seconds; returns the id of its subject."""
    with database.write() as session:
        job = jobs.claim(session, job_id, worker, 60)
        assert job is not None
        progress = {"done": 1, "total": 2} | ({} if left is None else {"seconds_left": left})
        session.execute(update(Job).where(Job.id == job_id).values(started_at=now(-seconds), progress=progress))
        return job.subject_id


def sign(database: Database, *queues: str, name: str = "worker", each: int = 1, offer: Offer = ANY) -> None:
    with database.write() as session:
        slots.sign(session, name, queues, each, offer)


def waiting(database: Database, job_id: str) -> Waiting | None:
    with database.read() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return waiting_of(session, job)


def before(database: Database, job_id: str) -> RunningJob:
    why = waiting(database, job_id)
    assert why is not None
    assert why.running is not None
    return why.running


def next_due(database: Database, queue: str, *besides: str) -> str | None:
    with database.read() as session:
        due = jobs.next_due(session, queue, KINDS, besides, Offer().takes)
        return None if due is None else due.id


class TestWaiting:
    def test_without_a_worker(self, database: Database) -> None:
        sign(database, "training")
        why = waiting(database, add(database))
        assert why == Waiting(queue="probes", ahead=0, workers=0, running=None)

    def test_a_free_slot_means_that_nobody_is_ahead(self, database: Database) -> None:
        sign(database, "probes", "training", each=2)
        start(database, add(database))
        assert waiting(database, add(database)) == Waiting(queue="probes", ahead=0, workers=1, running=None)

    def test_a_job_of_the_other_queue_is_not_ahead(self, database: Database) -> None:
        sign(database, "probes", "training")
        start(database, add(database, "training"))
        add(database, "training")
        assert waiting(database, add(database)) == Waiting(queue="probes", ahead=0, workers=1, running=None)

    def test_the_job_that_holds_the_slot(self, database: Database) -> None:
        sign(database, "training")
        subject = start(database, add(database, "training"), seconds=90, left=30)
        first, second = add(database, "training"), add(database, "training")
        running = before(database, first)
        assert (running.id, running.kind, running.seconds_left) == (subject, "training", 30)
        assert 90 <= running.seconds < 120
        later = waiting(database, second)
        assert later is not None
        assert (later.ahead, later.workers) == (1, 1)

    def test_of_several_the_one_that_ends_first(self, database: Database) -> None:
        sign(database, "probes", each=3)
        start(database, add(database), seconds=300)
        start(database, add(database), seconds=200, left=60)
        subject = start(database, add(database), seconds=100, left=30)
        assert before(database, add(database)).id == subject

    def test_where_no_pace_is_known_the_oldest(self, database: Database) -> None:
        sign(database, "probes", each=2)
        start(database, add(database), seconds=100)
        subject = start(database, add(database), seconds=300)
        running = before(database, add(database))
        assert (running.id, running.seconds_left) == (subject, None)

    def test_another_tenants_job_has_no_name(self, database: Database) -> None:
        sign(database, "probes")
        start(database, add(database, tenant="other"))
        assert before(database, add(database)).id is None

    def test_only_a_queued_job_waits(self, database: Database) -> None:
        job_id = add(database)
        start(database, job_id)
        assert waiting(database, job_id) is None

    def test_a_worker_without_a_sign_of_life_is_gone(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        sign(database, "probes", name="alive")
        monkeypatch.setattr(slots, "GONE", -1.0)
        sign(database, "probes", name="silent")
        why = waiting(database, add(database))
        assert why is not None
        assert why.workers == 1

    def test_one_that_stops_is_forgotten_and_one_that_signs_again_counts_once(self, database: Database) -> None:
        job_id = add(database)
        for expected in (1, 1, 0):
            if expected:
                sign(database, "probes")
            else:
                with database.write() as session:
                    slots.forget(session, "worker")
            why = waiting(database, job_id)
            assert why is not None
            assert why.workers == expected


GPU = JobNeeds(labels=["gpu"])


class TestNeeds:
    def test_workers_that_lack_what_it_needs_do_not_count(self, database: Database) -> None:
        sign(database, "probes", name="cpu")
        job_id = add(database, needs=GPU)
        why = waiting(database, job_id)
        assert why == Waiting(queue="probes", ahead=0, workers=0, unable=1, needs=GPU, running=None)
        sign(database, "probes", name="gpu", offer=Offer(labels=["gpu"]))
        why = waiting(database, job_id)
        assert why == Waiting(queue="probes", ahead=0, workers=1, unable=1, needs=GPU, running=None)

    def test_a_job_for_other_workers_is_not_ahead_and_does_not_hold_the_slot(self, database: Database) -> None:
        sign(database, "probes", name="cpu")
        sign(database, "probes", name="gpu", offer=Offer(labels=["gpu"]))
        start(database, add(database), worker="gpu")
        add(database, needs=JobNeeds(labels=["a100"]))
        add(database, needs=GPU)
        first, second = (waiting(database, add(database)) for _ in range(2))
        assert first is not None
        assert second is not None
        assert (first.ahead, first.running) == (1, None), "the other worker's slot is free, and not for the one ahead"
        assert second.ahead == 2
        assert second.running is not None
        sign(database, "probes", name="gpu", each=3, offer=Offer(labels=["gpu"]))
        for_gpu = waiting(database, add(database, needs=GPU))
        assert for_gpu is not None
        assert (for_gpu.ahead, for_gpu.workers) == (3, 1)

    def test_a_free_slot_without_the_memory_is_not_free(self, database: Database) -> None:
        sign(database, "probes", "training", each=2, offer=Offer(memory_gb=80))
        run = start(database, add(database, "training", needs=JobNeeds(memory_gb=60)), left=90)
        small = waiting(database, add(database, needs=JobNeeds(memory_gb=20)))
        assert small is not None
        assert small.running is None
        large = add(database, needs=JobNeeds(memory_gb=40))
        assert before(database, large).id == run
        assert (waiting(database, add(database, needs=JobNeeds(memory_gb=81))) or small).workers == 0


class TestNextDue:
    def test_the_oldest_one_that_is_due(self, database: Database) -> None:
        first, second = add(database, due=-1), add(database, due=-2)
        add(database, due=60)
        add(database, "training", due=-3)
        assert next_due(database, "probes") == first
        assert next_due(database, "probes", first) == second
        assert next_due(database, "probes", first, second) is None

    def test_one_that_was_taken_back_is_before_those_that_were_asked_for_later(self, database: Database) -> None:
        lost, young = add(database), add(database)
        with database.write() as session:
            claimed = jobs.claim(session, lost, "worker", -1)
            assert claimed is not None
            assert [job.id for job in jobs.take_back_expired(session, 3, {"code": "worker_lost"})] == [lost]
        assert next_due(database, "probes") == young  # while it waits a second, so that a crash does not spin
        with database.write() as session:
            session.execute(update(Job).where(Job.id == lost).values(available_at=now(-0.1)))
        assert next_due(database, "probes") == lost
        why = waiting(database, young)
        assert why is not None
        assert why.ahead == 1

    @pytest.mark.parametrize("how", ["handed back", "paused and resumed"])
    def test_so_is_one_that_was_put_aside(self, database: Database, how: str) -> None:
        first, young = add(database), add(database)
        with database.write() as session:
            claimed = jobs.claim(session, first, "worker", 60)
            assert claimed is not None
            jobs.hand_back(session, first, claimed.attempt, hold=how != "handed back")
        if how != "handed back":
            assert next_due(database, "probes") == young
            with database.write() as session:
                jobs.resume(session, first)
        assert next_due(database, "probes") == first

    def test_only_what_is_queued_and_known_here(self, database: Database) -> None:
        start(database, add(database))
        with database.write() as session:
            jobs.add(session, tenant="local", kind="unknown", queue="probes", subject_id="x")
            paused = jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id="y")
            assert (jobs.request_pause(session, paused.id) or paused).state == JobState.paused
        assert next_due(database, "probes") is None
