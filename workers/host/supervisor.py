"""Claims a job, runs it in a child process, keeps its lease, and ends it: everything but the work itself."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import stamina
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from gapcast.contract.events import (
    EventData,
    JobCancelled,
    JobFailed,
    JobHandedBack,
    JobPaused,
    JobStarted,
    JobSucceeded,
)
from gapcast.contract.needs import JobNeeds
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.kind import Kind
from service.jobs.models import Job, JobState
from service.jobs.needs import offer_of
from service.jobs.repository import Asked
from service.jobs.service import record_return, worker_name
from service.kinds import KINDS, prepare, settle
from service.kit.database import Database
from service.settings import Settings
from workers.host.child_process import Child, Crashed, Failed
from workers.host.inbox import SAMPLES, Event, Inbox
from workers.host.pace import Pace
from workers.host.preparing import places

log = structlog.get_logger()

Found = TypeVar("Found")

PROGRESS = 0.5
"""seconds between two writes of what a child says: a person sees it move, the database hardly notices"""
LOOK = 3.0
"""seconds between two looks whether a job is to stop, while its child says nothing"""
AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""how a database that does not answer shows"""
UNFORESEEN = "internal_error"
"""the code of whatever a child raised that is no failure with a name"""
PATIENCE = 300.0
"""seconds for which the end of a job is tried again while the database is away: a result is GPU time, and the fence
keeps a late one from doing harm"""


class LeaseLost(Exception):
    """Another attempt holds the job, or it has ended: nothing of this one may be written."""


class Stopped(Exception):
    """The job is to be paused, or its worker stops; `step` is where it goes on, if it says so.

    `held` is why its child has put it aside; None: somebody asked for it.
    """

    def __init__(self, step: int | None = None, held: JsonObject | None = None) -> None:
        super().__init__()
        self.step, self.held = step, held


class Cancelled(Exception):
    """Somebody asked for the job to be cancelled."""


class Supervisor:
    """Runs jobs for one worker process; each of its slots calls `run` in a thread of its own."""

    def __init__(self, settings: Settings, database: Database, stop: threading.Event) -> None:
        self._settings, self._database, self._stop = settings, database, stop
        self.name = worker_name(os.getpid())

    def run(self, job_id: str) -> bool:
        """Claim a job and see it to its end; False, and nothing is done, when it is not to be had."""
        with self._database.write() as session:
            job = jobs.claim(session, job_id, self.name, self._settings.lease_seconds)
            if job is None:
                return False
            kind = KINDS[job.kind]
            configuration = kind.configuration(session, job)
            events.add(session, job.tenant, job.id, JobStarted(attempt=job.attempt, worker=self.name))
        log.info("job_claimed", job=job.id, attempt=job.attempt)
        _Attempt(job, kind, self._settings, self._database, self._stop, self.name).run(configuration)
        return True


class _Attempt:
    """One attempt of a job, from its claim to its end."""

    def __init__(
        self, job: Job, kind: Kind[Any], settings: Settings, database: Database, stop: threading.Event, worker: str
    ) -> None:
        self._job, self._kind, self._worker = job, kind, worker
        self._settings, self._database, self._stop = settings, database, stop
        self._inbox = Inbox()
        self._pace = Pace()

    def run(self, configuration: JsonObject) -> None:
        """Run the child, and write down how it ended."""
        job = self._job
        child = None
        try:
            resources = self._resources(configuration)
            job_line = {"entry": self._kind.entry, "stops_gently": self._kind.stops_gently}
            child = Child(job_line | {"configuration": configuration, "resources": resources})
            self._end(self._watch(child))
        except Failed as failure:
            self._fail(JobState.failed, failure.error)
        except Cancelled:
            self._fail(JobState.cancelled, None)
        except Crashed as crash:
            self._give_back({"code": "worker_crashed", "message": str(crash), "param": None, "category": "server"})
        except Stopped as stopped:
            self._hand_back(stopped.step, stopped.held)
        except (LeaseLost, *AWAY):  # nobody could hold a job for longer than that
            log.warning("lease_lost", job=job.id, attempt=job.attempt)
        except Exception as error:
            log.exception("attempt_failed", job=job.id, attempt=job.attempt)
            message = f"The worker failed to run this job ({type(error).__name__}); its log says more."
            self._give_back({"code": "worker_error", "message": message, "param": None, "category": "server"})
        finally:
            if child is not None:
                child.kill()

    def _resources(self, configuration: JsonObject) -> JsonObject:
        """Find what the child needs; a database that is away for less than a lease costs none of the attempts."""
        read = stamina.retry(on=AWAY, attempts=None, timeout=self._settings.lease_seconds)(self._read_resources)
        return self._meanwhile(lambda: read(configuration))

    def _meanwhile(self, work: Callable[[], Found]) -> Found:
        """Do what may take longer than a lease, and keep the lease: to learn a rule, or to answer a comparison."""
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(work)
            while not wait([found], self._settings.heartbeat_seconds).done:
                try:
                    self._beat()
                except AWAY as error:  # the next write finds out if the job is still held
                    log.warning("heartbeat_failed", job=self._job.id, error=f"{type(error).__name__}: {error}"[:200])
            return found.result()

    def _read_resources(self, configuration: JsonObject) -> JsonObject:
        with self._database.read() as session:
            found = places(session, self._job.tenant, configuration, self._settings, self._worker)
            share = offer_of(self._settings).share_of(JobNeeds.model_validate_json(self._job.needs))
            return found | self._kind.resources(session, self._job, self._settings) | {"memory_gb": share or None}

    # --- while it runs

    def _watch(self, child: Child) -> JsonObject:
        """Keep the lease and store what the child says until it has a result."""
        limit, silence = self._kind.seconds(self._settings), self._kind.silence(self._settings)
        started = beat = written = looked = heard = time.monotonic()
        held_until = beat + self._settings.lease_seconds
        stopped = 0.0  # seconds
        patience: float | None = None  # until when a child that was asked to stop is waited for
        asked = Asked(cancel=False, pause=False)
        lines = child.lines()
        while True:
            try:
                line = next(lines)
            except Crashed as crash:
                if patience is not None:
                    raise Stopped from crash
                raise
            moment = time.monotonic()
            if line is not None:
                heard = moment
                result = self._take(line)
                if result is not None:
                    return result
            if patience is None and (self._stop.is_set() or asked.pause):
                if not self._kind.stops_gently:
                    raise Stopped
                child.ask_to_stop()
                patience = moment + self._settings.worker_stop_seconds
            if patience is not None and moment > patience:
                log.warning("child_did_not_stop", job=self._job.id, attempt=self._job.attempt)
                raise Stopped
            if moment - started > limit:
                message = f"The job ran longer than {limit:g} s, the most that one attempt may run."
                raise Failed({"code": "time_limit", "message": message, "param": None, "category": "user"})
            if moment - heard > silence:
                raise Crashed(f"the child has said nothing for {silence:g} s, the most that it may be silent")
            write = bool(self._inbox) and moment - written >= PROGRESS
            try:
                if write or moment - beat >= self._settings.heartbeat_seconds:
                    stopped = stopped + moment - beat if child.is_stopped() else 0.0
                    if stopped > self._settings.lease_seconds:
                        raise Crashed(f"the child has been stopped by a signal (SIGSTOP) for {stopped:.0f} s")
                    asked = self._beat()
                    held_until = moment + self._settings.lease_seconds
                    beat = written = looked = moment
                elif moment - looked >= LOOK:
                    asked = self._look()
                    looked = moment
            except AWAY as error:
                log.warning("heartbeat_failed", job=self._job.id, error=f"{type(error).__name__}: {error}"[:200])
                if moment > held_until:
                    raise LeaseLost from error
                written = looked = moment
                beat = max(beat, moment - self._settings.heartbeat_seconds + LOOK)  # the next one not before a look
            if asked.cancel:
                raise Cancelled

    def _take(self, line: JsonObject) -> JsonObject | None:
        """Keep a line of the child for the next write; its last one is its result, or how else it has ended."""
        if "error" in line:
            error = line["error"]
            if self._kind.stops_gently and error["code"] == UNFORESEEN:
                # a full disk, a lost GPU: days of training get another try from the last checkpoint, within the budget
                raise Crashed(error["message"])
            raise Failed(error)
        if "paused" in line:
            raise Stopped(**line["paused"])
        if "event" in line:
            self._inbox.take(line["event"], line["data"])
            return None
        result: JsonObject = line["result"]
        return result

    def _beat(self) -> Asked:
        """Extend the lease, and store what the child has said."""
        job = self._job
        progress = self._pace.beside(self._inbox.progress)
        with self._database.write() as session:
            asked = jobs.heartbeat(session, job.id, job.attempt, self._settings.lease_seconds, progress)
            if asked is None:
                raise LeaseLost
            self._store(session, self._inbox.events_with(progress))
        self._inbox.clear()
        return asked

    def _look(self) -> Asked:
        with self._database.read() as session:
            asked = jobs.asked(session, self._job.id, self._job.attempt)
        if asked is None:
            raise LeaseLost
        return asked

    def _store(self, session: Session, told: list[Event]) -> None:
        """Write what the child has said, in a transaction that holds the job."""
        job = self._job
        if self._inbox.partial is not None:
            self._kind.store_partial(session, job, self._inbox.partial)
        for name, data in told:
            self._kind.store_event(session, job, name, data, self._settings)
            if not name.endswith(SAMPLES):
                events.write(session, job.tenant, job.id, name, data)

    # --- how it ends

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _end(self, result: JsonObject) -> None:
        job = self._job
        prepared = self._meanwhile(lambda: prepare(self._database, job, result))
        with self._database.write() as session:
            ended = jobs.finish(session, job.id, job.attempt, JobState.succeeded)
            if ended is None:
                raise LeaseLost
            self._store(session, self._inbox.lasting)
            self._kind.store_result(session, ended, result)
            events.add(session, job.tenant, job.id, JobSucceeded(attempt=job.attempt))
            settle(session, ended, prepared)
        log.info("job_succeeded", job=job.id, attempt=job.attempt)

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _fail(self, state: JobState, error: JsonObject | None) -> None:
        job = self._job
        with self._database.write() as session:
            ended = jobs.finish(session, job.id, job.attempt, state, error)
            if ended is None:
                return
            self._store(session, self._inbox.lasting)
            told = JobCancelled if state == JobState.cancelled else JobFailed
            events.add(session, job.tenant, job.id, told.model_validate({"attempt": job.attempt, "error": error}))
            settle(session, ended)
        log.warning("job_ended", job=job.id, state=state, error=error)

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _give_back(self, error: JsonObject) -> None:
        """After a crash: another attempt, or the end of the budget."""
        job = self._job
        with self._database.write() as session:
            back = jobs.release(session, job.id, job.attempt, self._settings.max_failures, error)
            if back is not None:
                self._store(session, self._inbox.lasting)
                record_return(session, back, settle)
        log.warning("job_crashed", job=job.id, attempt=job.attempt, error=error["message"])

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _hand_back(self, step: int | None, held: JsonObject | None) -> None:
        """When the job is to be paused or the worker stops: no failure is counted."""
        job = self._job
        with self._database.write() as session:
            back = jobs.hand_back(session, job.id, job.attempt, hold=held is not None)
            if back is None:
                return
            self._store(session, self._inbox.lasting)
            ends: dict[JobState, type[EventData]] = {JobState.paused: JobPaused, JobState.cancelled: JobCancelled}
            told = ends.get(JobState(back.state), JobHandedBack)
            data = {"attempt": job.attempt, "step": step} | ({"held": held["by"]} if held is not None else {})
            events.add(session, job.tenant, job.id, told.model_validate(data, extra="ignore"))
            if JobState(back.state).is_terminal:
                settle(session, back)
            elif held is not None:
                self._kind.hold(session, back, held)
        log.info("job_handed_back", job=job.id, attempt=job.attempt, state=back.state)
