"""`python -m workers`: one worker process, started by `gapcast worker` or as the embedded worker of `gapcast serve`."""

import os
import sys
import time

from sqlalchemy.exc import SQLAlchemyError

from service.kit.database import Database
from service.kit.process import die_with_parent, hide_environment
from service.migrate import head, revision
from service.settings import Settings, load
from workers.host.app import worker_app

PATIENCE = 120.0
"""seconds that a worker waits for its database to appear and be migrated, as in a fresh `docker compose up`"""


def _wait_for_database(settings: Settings) -> None:
    try:
        database = Database(settings.database_url)
    except OSError as error:
        sys.exit(f"gapcast: data_dir cannot be used: {error}")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with database.engine.connect() as connection:
                at = revision(connection)
            problem = "" if at == head() else f"its schema is at {at}, this version needs {head()}"
        except SQLAlchemyError as error:
            problem = str(error).splitlines()[0]
        if not problem:
            database.engine.dispose()
            return
        if time.monotonic() > deadline:
            sys.exit(f"gapcast: the database is not ready after {PATIENCE:.0f} s: {problem}")
        time.sleep(1)


def main() -> None:
    """Run until told to stop."""
    parent = os.environ.pop("GAPCAST_PARENT_PID", None)
    if parent is not None:
        die_with_parent(int(parent))
    hide_environment()
    settings = load()
    _wait_for_database(settings)
    # not by the command line of Celery: where APP is set, it imports what that names, from the current folder
    worker = worker_app(settings).Worker(
        quiet=True,
        pool_cls="threads",  # a thread per job watches its child process; the consumer goes on beside it
        concurrency=settings.worker_concurrency,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=settings.embedded_broker,
        loglevel="WARNING",
    )
    worker.start()


if __name__ == "__main__":
    main()
