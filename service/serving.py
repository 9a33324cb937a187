"""`serve`: hold what is this server's alone, listen, report where, and serve until stopped."""

import errno
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from uvicorn.supervisors import Multiprocess

from gapcast import __version__
from service.app import create_app
from service.jobs.embedded import EmbeddedWorker
from service.kit.database import Database, place_of, sqlite_file
from service.kit.file_lock import FileLock, Held
from service.kit.process import PARENT, hide_environment, refuse
from service.kit.protocol import Protocol
from service.logs import configure
from service.migrate import migrate
from service.settings import Settings

log = structlog.get_logger()

GRACE = 3
"""seconds that open requests get at the end"""
MOST_OPEN = 4096
"""connections of one API process: ten times the streams of a tenant, and far beyond what it can work on at a time"""
OTHER_FILES = 256
"""of one API process: those of the database, and of the libraries"""
BACKLOG = 2048
"""connections that may wait to be accepted; uvicorn's own number"""


def serve(settings: Settings) -> None:
    """Migrate, start the embedded worker where the settings ask for one, and serve until stopped."""
    try:
        settings.check_bind()
    except ValueError as error:
        refuse(str(error))
    configure(settings)
    logging.captureWarnings(True)
    hide_environment()
    locks = _hold(settings)
    listener = _listen(settings)
    migrate_or_refuse(settings)
    address = _address(settings, listener)
    for lock in locks:
        lock.note({"address": address})
    worker = EmbeddedWorker(settings) if settings.starts_worker else None
    reports = Reports(settings)
    reports.started(address)
    if worker is not None:
        worker.start()

    def stopping() -> None:
        reports.stopping()
        if worker is not None:
            worker.ask_to_stop()  # at once, while the open requests get their seconds

    try:
        if settings.api_workers > 1:
            os.environ[PARENT] = str(os.getpid())
            config = _config("service.app:create_app", settings.api_workers)
            _Processes(config, [listener], stopping).run()
        else:
            _Server(_config(create_app(settings), 1), stopping).run(sockets=[listener])
    finally:
        if worker is not None:
            worker.stop()
        reports.stopped()
        for lock in locks:
            lock.release()


def migrate_or_refuse(settings: Settings) -> None:
    """Bring the database to this version's schema, or end this process with the reason."""
    try:
        database = Database(settings.database_url)
        migrate(database)
        database.close()
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        refuse(f"database_url: expected a database that can be used, got an error: {reason}")


def _hold(settings: Settings) -> list[FileLock]:
    """Lock what one server alone may use: the queue in files, and the file of SQLite.

    Servers on PostgreSQL and a broker keep nothing of their own, so any number of them may run.
    """
    paths = {settings.data_dir / "server.lock"} if settings.embedded_broker else set[Path]()
    file = sqlite_file(settings.database_url)
    if file is not None:
        inside = file.parent == settings.data_dir
        paths.add(settings.data_dir / "server.lock" if inside else file.with_name(f"{file.name}.lock"))
    locks = []
    for path in sorted(paths):
        try:
            locks.append(FileLock(path))
        except Held as held:
            refuse(_in_use(settings, held))
        except OSError as error:
            refuse(f"data_dir: expected a folder whose files can be written and locked, got {path}: {error.strerror}.")
    return locks


def _in_use(settings: Settings, held: Held) -> str:
    process = f"process {held.notes['pid']}" if "pid" in held.notes else "another process"
    of_the_folder = held.path.parent == settings.data_dir
    what = f"the data folder {settings.data_dir}" if of_the_folder else f"the database {held.path.with_suffix('')}"
    other = "name another folder with --data-dir" if of_the_folder else "name another database in GAPCAST_DATABASE_URL"
    if "address" not in held.notes:  # it has not come to listen yet
        return f"A server that is starting ({process}) uses {what}. Wait for it, or {other}."
    address = held.notes["address"]
    return f"The server on {address} ({process}) uses {what}. Use that address, or {other}."


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle on: an answer in two pieces waits 40 ms until the first is acknowledged
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # at once: of two that start at a time, the second fails here and not in uvicorn
    except OSError as error:
        free = "Choose another port with --port (0 takes a free one)."
        if error.errno == errno.EADDRINUSE:
            refuse(f"port: expected a free port, got {port}, on which another program listens at {host}. {free}")
        if error.errno == errno.EACCES:
            refuse(f"port: expected a port that this user may listen on, got {port}. {free}")
        refuse(f"host: expected an address of this machine, got {host!r} ({error.strerror}).")
    return listener


def _address(settings: Settings, listener: socket.socket) -> str:
    shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _config(app: FastAPI | str, processes: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=processes,
        http=Protocol,
        limit_concurrency=_connections(),
        log_config=None,  # its lines are written as ours are
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )


def _connections() -> int:
    """Return how many connections one process may hold; the limit of open files is raised for them as far as it goes.

    One more is answered 503 at once. Without this number a process would run out of files, and then accept nobody.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN + OTHER_FILES if most == resource.RLIM_INFINITY else min(most, MOST_OPEN + OTHER_FILES)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(wanted - OTHER_FILES, 64)


class Reports:
    """The lines of a server's terminal that are not log lines: where it listens, and that it stops."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._as_json = settings.log_format == "json"
        self._announced = False

    def started(self, address: str) -> None:
        """Report the address, where the data is, what the worker does, and where the logs go."""
        rows = self._rows()
        if self._as_json:
            log.info("server_listens", address=address, **rows)
            return
        lines = [f"  {name:<9} {value}" for name, value in rows.items()]
        text = [f"Gapcast {__version__} listens on {address}", *lines, "Ctrl-C stops it."]
        sys.stdout.write("\n".join(text) + "\n")
        sys.stdout.flush()

    def _rows(self) -> dict[str, str]:
        settings = self._settings
        database = sqlite_file(settings.database_url)
        if settings.embedded_broker and database == settings.data_dir / "gapcast.db":
            rows = {"data": f"{settings.data_dir} (SQLite, queue in files)"}
        else:
            queue = str(settings.data_dir) if settings.embedded_broker else place_of(settings.broker_url)
            rows = {"database": str(database or place_of(settings.database_url)), "queue": queue}
        rows["worker"] = self._worker()
        if settings.api_key is not None:
            rows["key"] = "each request needs the API key (GAPCAST_API_KEY)"
        return rows | {"logs": f"on standard error, level {settings.log_level} and above"}

    def _worker(self) -> str:
        if not self._settings.starts_worker:
            return "none started here; `gapcast worker` with the same settings starts one"
        missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
        if missing:
            need = "pip install 'gapcast[worker]'"
            return f"cannot measure gaps here, because {' and '.join(missing)} cannot be imported ({need})"
        return "starting; a log line reports when it is ready"

    def stopping(self) -> None:
        """Report at once that the server stops, even from a signal's handler: nothing here waits for a lock."""
        if self._announced or self._as_json:
            return
        self._announced = True
        jobs = " A job that runs goes back to the queue." if self._settings.starts_worker else ""
        after_the_echo = "\n" if sys.stdout.isatty() else ""  # a terminal has just shown ^C
        os.write(sys.stdout.fileno(), f"{after_the_echo}Gapcast is stopping.{jobs}\n".encode())

    def stopped(self) -> None:
        """Log that the server has stopped, where its log is read by programs."""
        if self._as_json:
            log.info("server_stopped")


class _Server(uvicorn.Server):
    """uvicorn's server, which calls `stopping` when it is told to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Call it, then stop as uvicorn does."""
        self._stopping()
        super().handle_exit(sig, frame)


class _Processes(Multiprocess):
    """uvicorn's several processes, whose parent calls `stopping` when it is told to stop."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], stopping: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._stopping = stopping

    def handle_int(self) -> None:
        """Call it, then stop as uvicorn does."""
        self._stopping()
        super().handle_int()

    def handle_term(self) -> None:
        """Call it, then stop as uvicorn does."""
        self._stopping()
        super().handle_term()
