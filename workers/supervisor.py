"""Claims a job, runs it in a child process, keeps its lease, and ends it: everything but the work itself."""

import os
import threading
import time
from typing import Any

import stamina
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import record_return, worker_name
from service.kit.database import Database
from service.predictions.service import settle
from service.probes import repository as probes
from service.settings import Settings
from workers.child_process import Child, Crashed, Failed
from workers.preparing import prepare

log = structlog.get_logger()

PROGRESS = 0.5
"""seconds between two progress events that are stored: a person sees it move, the database hardly notices"""
AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""how a database that does not answer shows"""
PARTIAL = "probe.partial"
"""the child's line with the result so far: it is kept with the probe and is no event of the job"""
PATIENCE = 300.0
"""seconds for which the end of a job is tried again while the database is away: a result is GPU time, and the fence
keeps a late one from doing harm"""


class LeaseLost(Exception):
    """Another attempt holds the job, or it has ended: nothing of this one may be written."""


class Stopped(Exception):
    """The worker is asked to stop."""


class Cancelled(Exception):
    """Somebody asked for the job to be cancelled."""


class Supervisor:
    """Runs jobs for one worker process; `run` is called from several threads when the concurrency is above one."""

    def __init__(self, settings: Settings, database: Database, stop: threading.Event) -> None:
        self._settings, self._database, self._stop = settings, database, stop
        self.name = worker_name(os.getpid())

    def run(self, job_id: str) -> None:
        """Claim a job and see it to its end; does nothing when it is not to be had."""
        if self._stop.is_set():
            with self._database.write() as session:
                jobs.forget_dispatch(session, job_id)
            return
        with self._database.write() as session:
            job = jobs.claim(session, job_id, self.name, self._settings.lease_seconds)
            if job is None:
                return
            configuration = probes.by_id(session, job.subject_id).configuration
            events.add(session, job.tenant, job.id, "job.started", {"attempt": job.attempt, "worker": self.name})
        log.info("job_claimed", job=job.id, attempt=job.attempt)
        child = None
        try:
            with self._database.read() as session:
                resources = prepare(session, job.tenant, configuration, self._settings, self.name)
            child = Child({"kind": job.kind, "configuration": configuration, "resources": resources})
            self._end(job, self._watch(job, child))
        except Failed as failure:
            self._fail(job, JobState.failed, failure.error)
        except Cancelled:
            self._fail(job, JobState.cancelled, None)
        except Crashed as crash:
            self._give_back(job, {"code": "worker_crashed", "message": str(crash), "param": None, "category": "server"})
        except Stopped:
            self._hand_back(job)
        except LeaseLost:
            log.warning("lease_lost", job=job.id, attempt=job.attempt)
        except Exception as error:
            log.exception("attempt_failed", job=job.id, attempt=job.attempt)
            message = f"The worker failed to run this job ({type(error).__name__}); its log says more."
            self._give_back(job, {"code": "worker_error", "message": message, "param": None, "category": "server"})
        finally:
            if child is not None:
                child.kill()

    def _watch(self, job: Job, child: Child) -> dict[str, Any]:
        """Keep the lease and store progress until the child has a result."""
        deadline = time.monotonic() + self._settings.job_seconds
        beat = reported = time.monotonic()
        held_until = beat + self._settings.lease_seconds
        waiting: dict[str, Any] | None = None
        partial: dict[str, Any] | None = None
        lines = child.lines()
        while True:
            line = next(lines)
            moment = time.monotonic()
            if line is not None and "result" in line:
                result: dict[str, Any] = line["result"]
                return result
            if line is not None and "error" in line:
                raise Failed(line["error"])
            if self._stop.is_set():
                raise Stopped
            if moment > deadline:
                limit = f"The job ran longer than {self._settings.job_seconds:g} s, the most that one attempt may run."
                raise Failed({"code": "time_limit", "message": limit, "param": None, "category": "user"})
            if line is not None and line["event"] == PARTIAL:
                partial = line["data"]
            elif line is not None:
                waiting = line
            due = (waiting is not None or partial is not None) and moment - reported >= PROGRESS
            if due or moment - beat >= self._settings.heartbeat_seconds:
                try:
                    self._beat(job, waiting, partial)
                    partial = None
                    held_until = moment + self._settings.lease_seconds
                except AWAY as error:
                    log.warning("heartbeat_failed", job=job.id, error=f"{type(error).__name__}: {error}"[:200])
                    if moment > held_until:
                        raise LeaseLost from error
                beat = reported = moment
                waiting = None

    def _beat(self, job: Job, line: dict[str, Any] | None, partial: dict[str, Any] | None) -> None:
        with self._database.write() as session:
            progress = line["data"] if line is not None else None
            asked = jobs.heartbeat(session, job.id, job.attempt, self._settings.lease_seconds, progress)
            if asked is None:
                raise LeaseLost
            if partial is not None:
                probes.store_partial(session, job.subject_id, partial)
            if line is not None:
                events.add(session, job.tenant, job.id, line["event"], line["data"])
        if asked:
            raise Cancelled

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _end(self, job: Job, result: dict[str, Any]) -> None:
        with self._database.write() as session:
            ended = jobs.finish(session, job.id, job.attempt, JobState.succeeded)
            if ended is None:
                raise LeaseLost
            probes.store_result(session, job.subject_id, result)
            events.add(session, job.tenant, job.id, "job.succeeded", {"attempt": job.attempt})
            settle(session, ended)
        log.info("job_succeeded", job=job.id, attempt=job.attempt)

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _fail(self, job: Job, state: JobState, error: dict[str, Any] | None) -> None:
        with self._database.write() as session:
            ended = jobs.finish(session, job.id, job.attempt, state, error)
            if ended is None:
                return
            events.add(session, job.tenant, job.id, f"job.{state}", {"attempt": job.attempt, "error": error})
            settle(session, ended)
        log.warning("job_ended", job=job.id, state=state, error=error)

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _give_back(self, job: Job, error: dict[str, Any]) -> None:
        """After a crash: another attempt, or the end of the budget."""
        with self._database.write() as session:
            back = jobs.release(session, job.id, job.attempt, self._settings.max_failures, error)
            if back is not None:
                record_return(session, back, settle)
        log.warning("job_crashed", job=job.id, attempt=job.attempt, error=error["message"])

    @stamina.retry(on=AWAY, attempts=None, timeout=PATIENCE)
    def _hand_back(self, job: Job) -> None:
        """When the worker stops: the job is queued again at once and no failure is counted."""
        with self._database.write() as session:
            back = jobs.hand_back(session, job.id, job.attempt)
            if back is not None:
                events.add(session, job.tenant, job.id, "job.handed_back", {"attempt": job.attempt})
