"""What a supervisor makes of what a training run's child says, and of what is asked of the run meanwhile.

The children are real processes that speak as `workers.child` does, and train nothing.
"""

import functools
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from gapcast.contract.forecasts import ForecastGiven
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.training import TrainingRunRequest
from service.events.models import Event
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.kinds import KINDS
from service.kit.clock import now
from service.kit.database import Database
from service.predictions import service as predictions
from service.predictions.models import Prediction
from service.settings import Settings
from service.training_runs import repository as runs
from service.training_runs import service
from service.training_runs.job import checkpoints_of
from service.training_runs.models import Checkpoint, TrainingRun
from tests.support.product import eventually
from tests.support.training_results import training_result
from workers.host import supervisor
from workers.host.child_process import Child
from workers.host.supervisor import Supervisor

pytestmark = pytest.mark.slow

Body = dict[str, Any]

SPEAKING = f"""
import json, os, signal, sys, time
job = json.loads(sys.stdin.readline())
RESULT = json.loads({training_result().model_dump_json()!r})
def say(**line): print(json.dumps(line), flush=True)
def event(name, **data): say(event="training." + name, data=data)
def checkpoint(step): event("checkpoint", step=step, path=f"/step_{{step}}", bytes=step, sha256="f" * 64)
def wait(path):
    while not os.path.exists(path): time.sleep(0.02)
"""
HEARS = """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
event("progress", done=1, total=9)
while not asked: time.sleep(0.02)
"""
"""a child that works until it is asked to stop"""
SAVES = """
event("metrics", step=8)
checkpoint(8)
say(paused={"step": 8})
"""
"""and then says what it has done, all at once"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # heartbeats that no test waits for
    return Settings(data_dir=tmp_path / "data", log_level="error", lease_seconds=600, heartbeat_seconds=300)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are as often as a test needs them."""
    monkeypatch.setattr(supervisor, "PROGRESS", 0.1)
    monkeypatch.setattr(supervisor, "LOOK", 0.2)


@pytest.fixture
def job_id(database: Database, settings: Settings, configuration: Body) -> str:
    """The job of a run that waits for its worker."""
    more = {"recipe": {"steps": 20}, "probe": {"rollouts": 2}, "training": {"problems": 16}, "pool": "mine"}
    request = TrainingRunRequest.model_validate(configuration | more)
    with database.write() as session:
        run_id = service.create(session, "local", request, settings)
        return runs.by_id(session, run_id).job_id


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def run(
    database: Database, settings: Settings, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], None]:
    """Run a job with a child that does what a script says."""

    def with_script(job_id: str, script: str) -> None:
        command = [sys.executable, "-c", SPEAKING + textwrap.dedent(script)]
        monkeypatch.setattr(supervisor, "Child", functools.partial(Child, command=command))
        Supervisor(settings, database, stop).run(job_id)

    return with_script


@contextmanager
def running(run: Callable[[str, str], None], job_id: str, script: str) -> Iterator[None]:
    """The same beside the test, which waits for its end."""
    thread = threading.Thread(target=run, args=(job_id, script))
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not thread.is_alive()


def job_of(database: Database, job_id: str) -> Job:
    with database.read() as session:
        job = jobs.get(session, job_id)
    assert job is not None
    return job


def run_of(database: Database, job_id: str) -> TrainingRun:
    with database.read() as session:
        return runs.by_id(session, job_of(database, job_id).subject_id)


def told(database: Database, job_id: str) -> list[tuple[str, Body]]:
    with database.read() as session:
        rows = session.execute(select(Event).where(Event.subject_id == job_id).order_by(Event.id)).scalars()
        return [(row.type, row.data) for row in rows]


def published(database: Database) -> list[tuple[int, int]]:
    with database.read() as session:
        rows = session.execute(select(Checkpoint).order_by(Checkpoint.id)).scalars()
        return [(row.attempt, row.step) for row in rows]


def has_begun(database: Database, job_id: str) -> None:
    """Wait until the child has spoken."""
    eventually(lambda: any(name == "training.progress" for name, _ in told(database, job_id)), 20)


TALKATIVE = """
for step in range(1, 201):
    event("progress", done=step, total=200)
    event("metrics", step=step)
    if step % 50 == 0: checkpoint(step)
    if step == 200: event("evaluated", step=step)
    event("partial", baseline=step / 1000)
    if step == 100: time.sleep(0.4)
"""


class TestLines:
    def test_nothing_but_progress_is_dropped_and_all_keeps_its_order(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        run(job_id, TALKATIVE + "say(result=RESULT)")
        events = told(database, job_id)
        names = [name for name, _ in events]
        assert (names[0], names[-1]) == ("job.started", "job.succeeded")
        kept = [(name, data["step"]) for name, data in events if name.startswith("training.") and "step" in data]
        expected: list[tuple[str, int]] = []
        for step in range(1, 201):
            expected.append(("training.metrics", step))
            if step % 50 == 0:
                expected.append(("training.checkpoint", step))
        assert kept == [*expected, ("training.evaluated", 200)]
        assert published(database) == [(1, 50), (1, 100), (1, 150), (1, 200)]
        done = [data["done"] for name, data in events if name == "training.progress"]
        assert 0 < len(done) < 20
        assert done == sorted(done)
        assert "training.partial" not in names
        run_row = run_of(database, job_id)
        assert (run_row.result, run_row.partial) == (training_result().model_dump(mode="json"), None)
        assert run_row.observation_id is not None

    def test_a_database_that_is_away_for_a_while_gets_it_all_later(
        self, database: Database, job_id: str, run: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there, away = jobs.heartbeat, iter([True, True, True])

        def heartbeat(*arguments: Any) -> Any:
            if next(away, False):
                raise OperationalError("", {}, Exception("away"))
            return there(*arguments)

        monkeypatch.setattr(jobs, "heartbeat", heartbeat)
        run(job_id, TALKATIVE + "time.sleep(0.5)\nsay(result=RESULT)")
        assert [data["step"] for name, data in told(database, job_id) if name == "training.metrics"] == [*range(1, 201)]
        assert len(published(database)) == 4

    def test_a_database_that_is_away_before_the_child_begins_costs_no_attempt(
        self,
        database: Database,
        settings: Settings,
        job_id: str,
        run: Callable[[str, str], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.heartbeat_seconds = 0.05
        places, heartbeat, away = supervisor.places, jobs.heartbeat, iter([True] * 4)

        def unless_away(there: Callable[..., Any]) -> Callable[..., Any]:
            def called(*arguments: Any) -> Any:
                if next(away, False):
                    raise OperationalError("", {}, Exception("away"))
                return there(*arguments)

            return called

        monkeypatch.setattr(supervisor, "places", unless_away(places))
        monkeypatch.setattr(jobs, "heartbeat", unless_away(heartbeat))
        run(job_id, "say(result=RESULT)")
        job = job_of(database, job_id)
        assert (job.state, job.attempt, job.failures) == ("succeeded", 1, 0)

    def test_the_lease_is_kept_while_a_result_is_answered(
        self,
        database: Database,
        settings: Settings,
        job_id: str,
        run: Callable[[str, str], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.heartbeat_seconds = 0.1
        prepare, heartbeat, answering, kept = supervisor.prepare, jobs.heartbeat, threading.Event(), threading.Event()

        def beat(*arguments: Any) -> Any:
            if answering.is_set():
                kept.set()
            return heartbeat(*arguments)

        def slowly(*arguments: Any) -> Any:
            answering.set()
            assert kept.wait(20), "no heartbeat came meanwhile"
            return prepare(*arguments)

        monkeypatch.setattr(jobs, "heartbeat", beat)
        monkeypatch.setattr(supervisor, "prepare", slowly)
        run(job_id, "say(result=RESULT)")
        assert job_of(database, job_id).state == "succeeded"

    def test_looks_that_fail_keep_no_heartbeat_back(
        self,
        database: Database,
        settings: Settings,
        job_id: str,
        run: Callable[[str, str], None],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        settings.heartbeat_seconds = 0.5
        there, beats = jobs.heartbeat, []

        def heartbeat(*arguments: Any) -> Any:
            beats.append(1)
            return there(*arguments)

        def away(*_: Any) -> Any:
            raise OperationalError("", {}, Exception("away"))

        monkeypatch.setattr(jobs, "heartbeat", heartbeat)
        monkeypatch.setattr(jobs, "asked", away)
        with running(run, job_id, f'wait("{tmp_path / "go"}")\nsay(result=RESULT)'):
            try:
                eventually(lambda: len(beats) >= 3, 15)
            finally:
                (tmp_path / "go").touch()
        assert job_of(database, job_id).state == "succeeded"

    @pytest.mark.parametrize(
        ("end", "state"),
        [
            ('say(error={"code": "e", "message": "m", "param": None, "category": "user"})', "failed"),
            ("sys.exit(3)", "queued"),
        ],
    )
    def test_what_was_said_last_is_kept_however_it_ends(
        self, database: Database, job_id: str, run: Callable[[str, str], None], end: str, state: str
    ) -> None:
        run(job_id, f'event("partial", baseline=0.5)\ncheckpoint(7)\nevent("warning", code="c")\n{end}')
        assert job_of(database, job_id).state == state
        assert run_of(database, job_id).partial == {"baseline": 0.5}
        assert published(database) == [(1, 7)]
        assert ("training.warning", {"code": "c"}) in told(database, job_id)

    def test_an_attempt_that_has_lost_its_job_publishes_nothing(
        self, database: Database, job_id: str, run: Callable[[str, str], None], tmp_path: Path
    ) -> None:
        go = tmp_path / "go"
        script = f'event("progress", done=1, total=2)\nwait("{go}")\ncheckpoint(9)\nsay(result=RESULT)'
        with running(run, job_id, script):
            has_begun(database, job_id)
            with database.write() as session:
                session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=now(-1)))
                jobs.take_back_expired(session, 3, {"code": "worker_lost"})
            go.touch()
        assert job_of(database, job_id).state == "queued"
        assert published(database) == []
        assert run_of(database, job_id).result is None
        assert "training.checkpoint" not in [name for name, _ in told(database, job_id)]

    def test_what_nobody_foresaw_gets_another_try_and_what_has_a_name_does_not(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        error = {"message": "OSError: No space left on device", "param": None, "category": "server"}
        run(job_id, f"checkpoint(4)\nsay(error={error | {'code': 'internal_error'}!r})")
        job = job_of(database, job_id)
        assert (job.state, (job.error or {})["message"]) == ("queued", "OSError: No space left on device")
        assert published(database) == [(1, 4)]
        with database.write() as session:
            session.execute(update(Job).values(available_at=now(-1)))
        run(job_id, f"say(error={error | {'code': 'training_diverged'}!r})")
        assert job_of(database, job_id).state == "failed"

    def test_an_attempt_may_take_its_kinds_time(
        self, database: Database, settings: Settings, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        settings.training_seconds, settings.job_seconds = 0.5, 3600
        run(job_id, "time.sleep(600)")
        job = job_of(database, job_id)
        assert (job.state, (job.error or {})["code"]) == ("failed", "time_limit")

    def test_a_child_that_is_silent_for_too_long_counts_as_crashed(
        self, database: Database, settings: Settings, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        settings.training_silence_seconds, settings.silence_seconds = 1.0, 3600
        talks = 'for step in range(1, 15):\n    event("progress", done=step, total=20)\n    time.sleep(0.1)\n'
        run(job_id, f"{talks}checkpoint(14)\ntime.sleep(600)")
        job = job_of(database, job_id)
        assert (job.state, job.failures, (job.error or {})["code"]) == ("queued", 1, "worker_crashed")
        assert "said nothing for 1 s" in (job.error or {})["message"]
        assert published(database) == [(1, 14)]

    def test_a_child_that_a_signal_has_stopped_counts_as_crashed(
        self, database: Database, settings: Settings, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        settings.lease_seconds, settings.heartbeat_seconds = 1.0, 0.2
        run(job_id, "checkpoint(3)\nos.kill(os.getpid(), signal.SIGSTOP)")
        job = job_of(database, job_id)
        assert (job.state, job.failures) == ("queued", 1)
        assert "SIGSTOP" in (job.error or {})["message"]
        assert published(database) == [(1, 3)]

    def test_a_child_knows_where_everything_is(
        self, database: Database, settings: Settings, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        run(job_id, "for step in (3, 5): checkpoint(step)\nsys.exit(1)")
        with database.write() as session:
            session.execute(update(Job).values(available_at=now(-1)))
        run(job_id, "checkpoint(4)\nsys.exit(1)")
        with database.write() as session:
            session.execute(update(Job).values(available_at=now(-1)))
        settings.worker_memory_gb = 80
        run(job_id, 'event("given", **job)\nsay(result=RESULT)')
        (given,) = [data for name, data in told(database, job_id) if name == "training.given"]
        run_row = run_of(database, job_id)
        assert (given["entry"], given["configuration"]) == ("workers.ranks.job:run", run_row.configuration)
        watch = ForecastGiven.model_validate(given["resources"].pop("watch"))
        assert (watch.steps, watch.rule) == (run_row.configuration["recipe"]["steps"], None)
        assert given["resources"] == {
            "source": None,
            "task_folder": None,
            "checkpoints": ["/step_5", "/step_4", "/step_3"],
            "checkpoint_folder": str(settings.data_dir / "training" / job_id / "3"),
            "export_folder": str(settings.data_dir / "models" / run_row.id),
            "card": {"run_id": run_row.id, "pool": "mine", "family": "lab-qwen3", "predicted": None},
            "memory_gb": 80.0,
            "released": False,
        }


@pytest.mark.slow
class TestStopping:
    def pause(self, database: Database, job_id: str) -> None:
        with database.write() as session:
            assert jobs.request_pause(session, job_id) is not None

    def test_a_child_may_put_its_run_aside(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        run(job_id, 'say(paused={"step": 8, "held": {"step": 8, "by": "pilot"}})')
        job = job_of(database, job_id)
        assert (job.state, job.failures, job.worker) == ("paused", 0, None)
        assert told(database, job_id)[-1] == ("job.paused", {"attempt": 1, "step": 8, "held": "pilot"})
        assert run_of(database, job_id).held == "pilot"

    def test_a_silent_child_is_asked_to_pause_and_saves_its_work(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        with running(run, job_id, HEARS + SAVES):
            has_begun(database, job_id)
            self.pause(database, job_id)
        job = job_of(database, job_id)
        assert (job.state, job.failures, job.worker, job.lease_expires_at) == ("paused", 0, None, None)
        assert published(database) == [(1, 8)]
        assert told(database, job_id)[-2:] == [
            ("training.checkpoint", {"step": 8, "path": "/step_8", "bytes": 8, "sha256": "f" * 64}),
            ("job.paused", {"attempt": 1, "step": 8}),
        ]

    @pytest.mark.parametrize(
        "script",
        [
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nevent('progress', done=1)\ntime.sleep(600)",
            "event('progress', done=1)\ntime.sleep(600)",
        ],
        ids=["does not hear", "dies of it"],
    )
    def test_one_that_does_not_save_its_work_is_paused_all_the_same(
        self,
        database: Database,
        job_id: str,
        run: Callable[[str, str], None],
        settings: Settings,
        script: str,
    ) -> None:
        settings.worker_stop_seconds = 1
        with running(run, job_id, script):
            has_begun(database, job_id)
            self.pause(database, job_id)
        job = job_of(database, job_id)
        assert (job.state, job.failures) == ("paused", 0)
        assert told(database, job_id)[-1] == ("job.paused", {"attempt": 1, "step": None})

    def test_one_that_is_done_meanwhile_has_succeeded(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        with running(run, job_id, HEARS + "say(result=RESULT)"):
            has_begun(database, job_id)
            self.pause(database, job_id)
        assert job_of(database, job_id).state == "succeeded"
        assert run_of(database, job_id).observation_id is not None

    def test_a_stopping_worker_lets_its_child_save_its_work(
        self, database: Database, job_id: str, run: Callable[[str, str], None], stop: threading.Event
    ) -> None:
        with running(run, job_id, HEARS + SAVES):
            has_begun(database, job_id)
            stop.set()
        job = job_of(database, job_id)
        assert (job.state, job.failures) == ("queued", 0)
        assert published(database) == [(1, 8)]
        assert told(database, job_id)[-1] == ("job.handed_back", {"attempt": 1, "step": 8})

    def test_a_silent_child_is_cancelled_between_two_heartbeats(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        script = 'event("progress", done=1)\nevent("partial", baseline=0.5)\ntime.sleep(600)'
        with running(run, job_id, script):
            has_begun(database, job_id)
            with database.write() as session:
                jobs.request_cancel(session, job_id)
        row = run_of(database, job_id)
        assert (job_of(database, job_id).state, row.partial, row.live_key) == ("cancelled", {"baseline": 0.5}, None)

    def test_cancelled_while_it_is_being_paused(
        self, database: Database, job_id: str, run: Callable[[str, str], None]
    ) -> None:
        script = "signal.signal(signal.SIGTERM, lambda *_: event('stopping'))\nevent('progress', done=1)\nwait('never')"
        with running(run, job_id, script):
            has_begun(database, job_id)
            self.pause(database, job_id)
            eventually(lambda: "training.stopping" in [name for name, _ in told(database, job_id)], 20)
            with database.write() as session:
                jobs.request_cancel(session, job_id)
        assert job_of(database, job_id).state == "cancelled"

    def test_a_cancelled_probe_of_a_stopping_worker_ends_who_waits_for_it(
        self,
        database: Database,
        settings: Settings,
        configuration: Body,
        run: Callable[[str, str], None],
        stop: threading.Event,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(supervisor, "LOOK", 60)  # it hears of the stop first
        request = PredictionRequest.model_validate(configuration)
        asked = predictions.prepare(database, "local", request, settings)
        with database.write() as session:
            prediction_id = predictions.create(session, "local", asked, settings).id
            job_id = predictions.state_of(session, "local", prediction_id).job_id
        assert job_id is not None
        script = "print(json.dumps({'event': 'probe.progress', 'data': {}}), flush=True)\ntime.sleep(600)"
        with running(run, job_id, script):
            eventually(lambda: any(name == "probe.progress" for name, _ in told(database, job_id)), 20)
            with database.write() as session:
                jobs.request_cancel(session, job_id)
            stop.set()
        with database.read() as session:
            prediction = session.get(Prediction, prediction_id)
        assert prediction is not None
        assert (job_of(database, job_id).state, prediction.status) == ("cancelled", "cancelled")


class TestSweep:
    @pytest.mark.parametrize(
        ("state", "stays"),
        [(state, state not in {JobState.succeeded, JobState.cancelled}) for state in JobState],
    )
    def test_checkpoints_go_once_nobody_wants_them(
        self, database: Database, settings: Settings, job_id: str, state: JobState, stays: bool
    ) -> None:
        folder = checkpoints_of(settings.data_dir) / job_id / "1" / "step_5"
        folder.mkdir(parents=True)
        unknown = checkpoints_of(settings.data_dir) / "job_of_another_database"
        unknown.mkdir()
        with database.write() as session:
            session.execute(update(Job).values(state=state))
        KINDS["training"].sweep(database, settings)
        assert folder.exists() == stays
        assert unknown.exists()
