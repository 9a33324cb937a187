"""Claims a job, runs it in a child process, keeps its lease, and ends it: everything but the work itself."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import stamina
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.catalog import service as catalog
from service.catalog.export import export_task
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import Job, JobState
from service.jobs.service import record_return, worker_name
from service.kit.database import Database
from service.predictions.service import settle
from service.probes import repository as probes
from service.settings import Settings
from workers.failures import out_of_memory

log = structlog.get_logger()

COMMAND = (sys.executable, "-m", "workers.child")
TICK = 0.2
"""seconds between looks at the clock while the child is silent"""
PROGRESS = 0.5
"""seconds between two progress events that are stored: a person sees it move, the database hardly notices"""
AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""how a database that does not answer shows"""
PARTIAL = "probe.partial"
"""the child's line with the result so far: it is kept with the probe and is no event of the job"""
PATIENCE = 300.0
"""seconds for which the end of a job is tried again while the database is away: a result is GPU time, and the fence
keeps a late one from doing harm"""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""the child's environment; no GAPCAST_* variable, so no credentials"""
PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "NCCL_")


class LeaseLost(Exception):
    """Another attempt holds the job, or it has ended: nothing of this one may be written."""


class Stopped(Exception):
    """The worker is asked to stop."""


class Cancelled(Exception):
    """Somebody asked for the job to be cancelled."""


class Crashed(Exception):
    """The child ended without a result."""


class Failed(Exception):
    """The child said why it cannot succeed."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


def child_environment() -> dict[str, str]:
    """What the child may see of our environment, and what keeps it modest and offline."""
    kept = {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # two threads were up to 25 times slower on a busy small machine (OPSD.md, Engines)
        "PYTHONUNBUFFERED": "1",
    }


class Child:
    """A job's process in a session of its own."""

    def __init__(self, job: dict[str, Any], command: Sequence[str] = COMMAND) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            start_new_session=True,
        )
        self._oom_kills = _oom_kills()
        stdin = self._process.stdin
        if stdin is None:
            raise Crashed("the child has no standard input")
        try:
            stdin.write((json.dumps(job | {"parent_pid": os.getpid()}) + "\n").encode())
            stdin.close()
        except BrokenPipeError:
            log.warning("child_died_at_start")  # its end is read below as a crash

    def lines(self) -> Iterator[dict[str, Any] | None]:
        """Yield each line of the child, and None at least every TICK seconds; raises Crashed at its end."""
        stdout = self._process.stdout
        if stdout is None:
            raise Crashed("the child has no standard output")
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(TICK):
                    # dead, though something it started holds the pipe open; but what it wrote last is read first
                    if self._process.poll() is not None and not selector.select(0):
                        raise self._crash()
                    yield None
                    continue
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._crash()
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    yield _message(line)
                yield None

    def _crash(self) -> Crashed | Failed:
        by_itself = self._process.poll() is not None or self._waited()
        self.kill()  # a child that closed its pipe may live on
        code = self._process.returncode
        if by_itself and code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return Failed(out_of_memory("The system killed the job because its memory was full").as_dict())
        return Crashed(f"the child ended with code {code} and without a result")

    def _waited(self) -> bool:
        """Whether it ends within a moment: its pipe closes a little before it is gone."""
        try:
            self._process.wait(TICK)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the child and all that it started; vLLM's engine process would outlive it."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("child_gone")
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _oom_kills() -> int:
    """How often this system has killed a process because memory was full; 0 where it does not say."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    except OSError:
        return 0
    return int(counters.get("oom_kill", 0))


def _message(line: bytes) -> dict[str, Any]:
    """Read a line of the child; what is no JSON object is a crash."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise Crashed("the child wrote what is no JSON") from error
    if not isinstance(message, dict):
        raise Crashed("the child wrote what is no JSON object")
    return message


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
            resources = self._resources(job, configuration)
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

    def _resources(self, job: Job, configuration: dict[str, Any]) -> dict[str, Any]:
        """Where this machine has what the job needs; an uploaded task is written to the data folder first."""
        folder = self._settings.data_dir
        with self._database.read() as session:
            task = export_task(
                session, job.tenant, configuration["task"], configuration["task_revision"], folder / "tasks"
            )
        source = catalog.model_sources(self._settings).get(configuration["model"])
        return {
            "source": source,
            "task_folder": str(task) if task is not None else None,
            "rollouts": str(folder / "rollouts.sqlite"),
        }

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
