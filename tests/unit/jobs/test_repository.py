"""The claim, the fence, the lease and the budget, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from gapcast.contract.needs import Offer
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.database import Database
from service.slots import repository as slots

LOST = {"code": "worker_lost", "message": "", "param": None, "category": "server"}


@pytest.fixture
def job_id(database: Database) -> str:
    with database.write() as session:
        return jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id="probe_1").id


def claim(database: Database, job_id: str, lease: float = 60) -> Job | None:
    with database.write() as session:
        return jobs.claim(session, job_id, "worker", lease)


def state(database: Database, job_id: str) -> Job:
    with database.read() as session:
        job = jobs.get(session, job_id)
    assert job is not None
    return job


def expire(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=now(-1)))


def make_due(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(available_at=now(-1)))


def test_many_claim_and_one_gets_it(database: Database, job_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim(database, job_id), range(16)))
    assert sum(one is not None for one in claims) == 1
    assert state(database, job_id).attempt == 1


def test_an_unknown_job_is_not_claimed(database: Database) -> None:
    assert claim(database, "job_forged") is None


def test_a_lost_lease_goes_back_to_the_queue_and_fences_the_first_attempt(database: Database, job_id: str) -> None:
    first = claim(database, job_id)
    assert first is not None
    expire(database, job_id)
    with database.write() as session:
        assert [job.state for job in jobs.take_back_expired(session, 3, LOST)] == ["queued"]
    make_due(database, job_id)
    second = claim(database, job_id)
    assert second is not None
    assert second.attempt == 2
    with database.write() as session:
        assert jobs.heartbeat(session, job_id, first.attempt, 60) is None
        assert jobs.finish(session, job_id, first.attempt, JobState.succeeded) is None
        assert jobs.release(session, job_id, first.attempt, 3, LOST) is None
        assert jobs.heartbeat(session, job_id, second.attempt, 60, {"done": 1}) == (False, False)
        assert jobs.finish(session, job_id, second.attempt, JobState.succeeded) is not None
    ended = state(database, job_id)
    assert (ended.state, ended.attempt, ended.failures, ended.progress) == ("succeeded", 2, 1, {"done": 1})


def test_a_living_lease_is_left_alone(database: Database, job_id: str) -> None:
    claim(database, job_id)
    with database.write() as session:
        assert jobs.take_back_expired(session, 3, LOST) == []


def test_a_job_that_waits_out_its_backoff_is_not_claimed(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        jobs.release(session, job_id, job.attempt, 3, LOST)
    assert claim(database, job_id) is None


def test_the_budget_ends_in_dead(database: Database, job_id: str) -> None:
    for attempt in (1, 2, 3):
        make_due(database, job_id)
        job = claim(database, job_id)
        assert job is not None
        assert job.attempt == attempt
        with database.write() as session:
            released = jobs.release(session, job_id, attempt, 3, LOST)
            assert released is not None
            assert released.state == ("dead" if attempt == 3 else "queued")
    ended = state(database, job_id)
    assert ended.finished_at is not None
    assert ended.error == LOST
    make_due(database, job_id)
    assert claim(database, job_id) is None


def test_a_queued_job_is_cancelled_at_once(database: Database, job_id: str) -> None:
    with database.write() as session:
        cancelled = jobs.request_cancel(session, job_id)
    assert cancelled is not None
    assert state(database, job_id).state == "cancelled"
    assert claim(database, job_id) is None


def test_a_running_job_hears_of_the_cancel_and_is_not_queued_again(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        jobs.request_cancel(session, job_id)
        assert jobs.heartbeat(session, job_id, job.attempt, 60) == (True, False)
        assert jobs.asked(session, job_id, job.attempt) == (True, False)
    expire(database, job_id)
    with database.write() as session:
        assert [one.state for one in jobs.take_back_expired(session, 3, LOST)] == ["cancelled"]


def test_handing_back_counts_no_failure(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        jobs.hand_back(session, job_id, job.attempt)
    again = claim(database, job_id)
    assert again is not None
    assert (again.attempt, again.failures) == (2, 0)


def test_a_message_that_was_lost_is_sent_again_once(database: Database, job_id: str) -> None:
    with database.write() as session:
        assert jobs.take_undispatched(session, 30) == []
        session.execute(update(Job).where(Job.id == job_id).values(dispatched_at=now(-31)))
        slots.sign(session, "worker", ["training"], 1, Offer())
        assert jobs.take_undispatched(session, 30) == [], "nobody would read it"
        slots.sign(session, "worker", ["probes"], 1, Offer())
        assert jobs.take_undispatched(session, 30) == [("probes", job_id)]
        assert jobs.take_undispatched(session, 30) == []


def test_the_backoff_has_an_end(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(failures=60))
        released = jobs.release(session, job_id, job.attempt, 100, LOST)
        assert released is not None
        moment = session.execute(select(now())).scalar_one()
    assert 250 < (released.available_at - moment).total_seconds() <= 256


def test_the_leases_of_a_dead_worker_end_and_those_of_others_do_not(database: Database, job_id: str) -> None:
    claim(database, job_id)
    for name, taken in (("another", []), ("worker", [job_id])):
        with database.write() as session:
            jobs.end_leases_of(session, name)
            assert [job.id for job in jobs.take_back_expired(session, 3, LOST)] == taken


def test_ended_jobs_never_change(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        jobs.finish(session, job_id, job.attempt, JobState.failed, LOST)
        assert jobs.request_cancel(session, job_id) is None
        assert jobs.finish(session, job_id, job.attempt, JobState.succeeded) is None
        assert jobs.hand_back(session, job_id, job.attempt) is None
    assert state(database, job_id).state == "failed"


def pause(database: Database, job_id: str) -> str | None:
    with database.write() as session:
        job = jobs.request_pause(session, job_id)
        return None if job is None else job.state


def resume(database: Database, job_id: str) -> bool:
    with database.write() as session:
        return jobs.resume(session, job_id) is not None


def test_a_queued_job_is_paused_at_once_and_nobody_takes_it(database: Database, job_id: str) -> None:
    assert pause(database, job_id) == "paused"
    assert claim(database, job_id) is None
    with database.write() as session:
        session.execute(update(Job).values(dispatched_at=None))
        assert jobs.take_undispatched(session, 30) == []
        assert jobs.count_live(session, "local") == 0
    assert pause(database, job_id) is None, "it is paused already"
    assert resume(database, job_id)
    assert not resume(database, job_id)
    job = claim(database, job_id)
    assert job is not None
    assert (job.attempt, job.pause_requested_at) == (1, None)


def test_a_running_job_hears_of_the_pause_and_is_paused_by_its_worker(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    assert pause(database, job_id) == "running"
    assert not resume(database, job_id)
    with database.write() as session:
        assert jobs.asked(session, job_id, job.attempt) == (False, True)
        assert jobs.heartbeat(session, job_id, job.attempt, 60) == (False, True)
        back = jobs.hand_back(session, job_id, job.attempt)
        assert back is not None
        assert (back.state, back.finished_at, back.worker, back.lease_expires_at) == ("paused", None, None, None)
        assert jobs.take_back_expired(session, 3, LOST) == []
    assert resume(database, job_id)
    again = claim(database, job_id)
    assert again is not None
    assert (again.attempt, again.failures) == (2, 0)
    with database.read() as session:
        assert jobs.asked(session, job_id, job.attempt) is None, "the first attempt has lost it"
        assert jobs.asked(session, job_id, again.attempt) == (False, False)


@pytest.mark.parametrize(
    ("asked", "state"), [((), "queued"), (("pause",), "paused"), (("pause", "cancel"), "cancelled")]
)
@pytest.mark.parametrize("end", ["lease over", "crashed", "handed back"])
def test_what_was_asked_decides_where_an_attempt_that_came_to_nothing_leaves_its_job(
    database: Database, job_id: str, asked: tuple[str, ...], state: str, end: str
) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        for what in asked:
            (jobs.request_pause if what == "pause" else jobs.request_cancel)(session, job_id)
    expire(database, job_id)
    with database.write() as session:
        if end == "lease over":
            (back,) = jobs.take_back_expired(session, 3, LOST)
        else:
            found = (
                jobs.release(session, job_id, job.attempt, 3, LOST)
                if end == "crashed"
                else jobs.hand_back(session, job_id, job.attempt)
            )
            assert found is not None
            back = found
        assert back.state == state
        assert (back.finished_at is not None) == (state == "cancelled")


def test_a_paused_job_is_cancelled_at_once(database: Database, job_id: str) -> None:
    pause(database, job_id)
    with database.write() as session:
        job = jobs.request_cancel(session, job_id)
        assert job is not None
        assert job.state == "cancelled"
    assert not resume(database, job_id)


def test_a_job_that_is_being_cancelled_or_has_ended_is_not_paused(database: Database, job_id: str) -> None:
    job = claim(database, job_id)
    assert job is not None
    with database.write() as session:
        jobs.request_cancel(session, job_id)
    assert pause(database, job_id) is None
    with database.write() as session:
        jobs.finish(session, job_id, job.attempt, JobState.succeeded)
    assert pause(database, job_id) is None
    assert state(database, job_id).state == "succeeded"
