"""A worker's slots on their own: what one cannot start keeps nothing else from starting."""

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from gapcast.contract.needs import JobNeeds
from service.jobs import repository as jobs
from service.kit.database import Database
from service.settings import Settings
from service.slots.models import Slots as Signed
from tests.support.product import eventually
from workers.host import slots
from workers.host.pace import Pace
from workers.host.slots import Slots
from workers.host.supervisor import Supervisor


class Recording(Supervisor):
    """Claims jobs, and holds those of training until they are done or it stops; the first probe cannot be started."""

    def __init__(self, settings: Settings, database: Database, stop: threading.Event) -> None:
        super().__init__(settings, database, stop)
        self.started: list[str] = []
        self.refused: list[str] = []
        self.done = threading.Event()

    def run(self, job_id: str) -> bool:
        with self._database.write() as session:
            job = jobs.get(session, job_id)
            assert job is not None
            if job.subject_id == "broken":
                self.refused.append(job_id)
                raise LookupError(job_id)
            if jobs.claim(session, job_id, self.name, 60) is None:
                return False
        self.started.append(job.subject_id)
        if job.queue == "training":
            while not self.done.is_set() and not self._stop.wait(0.05):
                pass
        return True


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def supervisor(database: Database, settings: Settings, stop: threading.Event) -> Recording:
    return Recording(settings, database, stop)


def queue(database: Database, *subjects: str, queue: str = "probes") -> None:
    with database.write() as session:
        for subject in subjects:
            kind = "probe" if queue == "probes" else "training"
            jobs.add(session, tenant="local", kind=kind, queue=queue, subject_id=subject)


def test_the_slots_of_a_worker(
    database: Database,
    settings: Settings,
    supervisor: Recording,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "LOOK", 600)  # only what is woken looks
    working = Slots(settings, database, supervisor, stop)
    working.start()
    with database.read() as session:
        signed = {(row.queue, row.slots) for row in session.query(Signed)}
    assert signed == {("probes", 1), ("training", 1)}
    queue(database, "first", "second", queue="training")
    working.wake()
    eventually(lambda: supervisor.started == ["first"])
    queue(database, "broken", "sound")
    working.wake()
    eventually(lambda: supervisor.started == ["first", "sound"])
    assert len(supervisor.refused) == 1
    working.wake()
    eventually(lambda: len(supervisor.refused) == 2)
    assert "second" not in supervisor.started, "a training run has one slot, which the first one holds"
    working.stop()
    with database.read() as session:
        assert session.query(Signed).all() == []


def test_an_idle_slot_looks_without_a_wake_up(
    database: Database,
    settings: Settings,
    supervisor: Recording,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "LOOK", 0.05)
    settings.worker_queues = ["probes"]
    working = Slots(settings, database, supervisor, stop)
    working.start()
    queue(database, "run", queue="training")
    queue(database, "probe")
    eventually(lambda: supervisor.started == ["probe"])
    working.stop()


def test_jobs_run_at_once_as_far_as_the_memory_goes_and_labels_are_kept(
    database: Database,
    settings: Settings,
    supervisor: Recording,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "LOOK", 0.05)
    settings.worker_queues, settings.worker_concurrency = ["training"], 3
    settings.worker_labels, settings.worker_memory_gb = ["gpu"], 80
    working = Slots(settings, database, supervisor, stop)
    with database.write() as session:
        for subject, needs in {
            "too large": JobNeeds(memory_gb=81),
            "elsewhere": JobNeeds(labels=["a100"]),
            "first": JobNeeds(labels=["gpu"], memory_gb=50),
            "second": JobNeeds(memory_gb=30),
            "third": JobNeeds(memory_gb=1),
        }.items():
            jobs.add(session, tenant="local", kind="training", queue="training", subject_id=subject, needs=needs)
    looks = []
    look = jobs.next_due

    def counted(*arguments: Any) -> jobs.Due | None:
        looks.append(arguments)
        return look(*arguments)

    monkeypatch.setattr(jobs, "next_due", counted)
    working.start()
    eventually(lambda: set(supervisor.started) == {"first", "second"})
    looks.clear()
    eventually(lambda: len(looks) > 3)
    assert set(supervisor.started) == {"first", "second"}, "the third does not fit, though its slot is idle"
    supervisor.done.set()
    eventually(lambda: "third" in supervisor.started)
    working.stop()
    assert set(supervisor.started) == {"first", "second", "third"}


def test_a_job_that_two_slots_see_at_once_holds_its_memory_until_it_ends(
    database: Database,
    settings: Settings,
    supervisor: Recording,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "LOOK", 0.05)
    settings.worker_queues, settings.worker_concurrency, settings.worker_memory_gb = ["training"], 2, 80
    with database.write() as session:
        for subject, gigabytes in {"first": 40, "second": 50}.items():
            needs = JobNeeds(memory_gb=gigabytes)
            jobs.add(session, tenant="local", kind="training", queue="training", subject_id=subject, needs=needs)
    both, look, looks = threading.Barrier(2), jobs.next_due, count()

    def at_once(*arguments: Any) -> jobs.Due | None:
        due = look(*arguments)
        if next(looks) < 2:  # the first look of each slot
            both.wait(30)
        return due

    monkeypatch.setattr(jobs, "next_due", at_once)
    working = Slots(settings, database, supervisor, stop)
    working.start()
    eventually(lambda: supervisor.started == ["first"])
    eventually(lambda: next(looks) > 10)
    assert supervisor.started == ["first"], "both do not fit"
    supervisor.done.set()
    eventually(lambda: supervisor.started == ["first", "second"])
    working.stop()


class TestPace:
    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = iter([0.0, 10.0, 40.0])
        monkeypatch.setattr("workers.host.pace.time.monotonic", lambda: next(times))

    def test_is_known_from_the_second_progress_that_counts_something(self) -> None:
        pace = Pace()
        assert pace.beside(None) is None
        assert pace.beside({"done": 0, "total": 9, "phase": "baseline"}) == {"done": 0, "total": 9, "phase": "baseline"}
        assert pace.beside({"done": 5, "total": 9}) == {"done": 5, "total": 9}
        assert pace.beside({"done": 5, "total": 9}) == {"done": 5, "total": 9}
        assert pace.beside({"done": 7, "total": 9}) == {"done": 7, "total": 9, "rate": 0.05, "seconds_left": 40.0}

    def test_a_progress_of_another_shape_is_left_as_it_is(self) -> None:
        assert Pace().beside({"rounds": 3}) == {"rounds": 3}
