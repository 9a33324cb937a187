"""`python -m service serve | migrate`: the API process, started by `gapcast serve` among others."""

import argparse
import os
import signal
import socket
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from service.app import create_app
from service.jobs.embedded import EmbeddedWorker
from service.kit.database import Database
from service.kit.process import die_with_parent, hide_environment
from service.logs import configure
from service.migrate import migrate
from service.settings import Settings, load


def _migrate(settings: Settings) -> None:
    try:
        database = Database(settings.database_url)
        migrate(database)
        database.engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        sys.exit(f"gapcast: the database cannot be used: {reason} (database_url, or data_dir where it is empty)")


GRACE = 3
"""seconds that open requests get at the end; an event stream would go on for ever"""


def serve(settings: Settings) -> None:
    """Migrate, start the embedded worker where one is wanted, and serve until stopped."""
    try:
        settings.check_bind()
    except ValueError as error:
        sys.exit(f"gapcast: {error}")
    configure(settings)
    hide_environment()
    # uvicorn raises SIGTERM again when it has shut down; as an exit it passes the `finally` that stops the worker
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle on: an answer in two pieces waits 40 ms until the first is acknowledged
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        sys.exit(f"gapcast: cannot listen on {settings.host}:{settings.port}: {error.strerror}; try --port 0")
    _migrate(settings)
    port = listener.getsockname()[1]
    shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    print(f"Gapcast listens on http://{shown}:{port}", flush=True)  # noqa: T201
    worker = EmbeddedWorker(settings) if settings.starts_worker else None
    if worker is not None:
        worker.start()
    try:
        if settings.api_workers > 1:
            listener.close()
            uvicorn.run(
                "service.app:create_app",
                factory=True,
                host=settings.host,
                port=port,
                workers=settings.api_workers,
                log_level="warning",
                timeout_graceful_shutdown=GRACE,
            )
        else:
            config = uvicorn.Config(
                create_app(settings), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE
            )
            server = uvicorn.Server(config)
            server.run(sockets=[listener])
    finally:
        if worker is not None:
            worker.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m service", description="The Gapcast API process.")
    parser.add_argument("command", choices=["serve", "migrate"], help="serve the API, or only migrate the database")
    arguments = parser.parse_args()
    parent = os.environ.pop("GAPCAST_PARENT_PID", None)
    if parent is not None:
        die_with_parent(int(parent))
    settings = load()
    if arguments.command == "migrate":
        _migrate(settings)
    else:
        serve(settings)


if __name__ == "__main__":
    main()
