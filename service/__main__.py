"""`python -m service serve | migrate`: the API process, started by `gapcast serve` among others."""

import argparse
import socket
import sys

import uvicorn
from pydantic import ValidationError

from service.app import create_app
from service.jobs.embedded import EmbeddedWorker
from service.kit.database import Database
from service.logs import configure
from service.migrate import migrate
from service.settings import Settings


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        rows = [f"  {'.'.join(map(str, row['loc'])) or 'settings'}: {row['msg']}" for row in error.errors()]
        sys.exit("\n".join(["gapcast: these settings (GAPCAST_* or gapcast.toml) do not fit:", *rows]))


def serve(settings: Settings) -> None:
    """Migrate, start the embedded worker where one is wanted, and serve until stopped."""
    try:
        settings.check_bind()
    except ValueError as error:
        sys.exit(f"gapcast: {error}")
    configure(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        sys.exit(f"gapcast: cannot listen on {settings.host}:{settings.port}: {error.strerror}; try --port 0")
    database = Database(settings.database_url)
    migrate(database)
    database.engine.dispose()
    port = listener.getsockname()[1]
    shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
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
            )
        else:
            server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning", access_log=False))
            server.run(sockets=[listener])
    finally:
        if worker is not None:
            worker.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m service", description="The Gapcast API process.")
    parser.add_argument("command", choices=["serve", "migrate"], help="serve the API, or only migrate the database")
    arguments = parser.parse_args()
    settings = _settings()
    if arguments.command == "migrate":
        migrate(Database(settings.database_url))
    else:
        serve(settings)


if __name__ == "__main__":
    main()
