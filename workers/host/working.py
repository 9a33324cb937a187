"""The worker process from its settings to its end."""

import logging
import sys
import time
import warnings

import structlog
from celery.exceptions import SecurityWarning
from sqlalchemy.exc import SQLAlchemyError

from gapcast import __version__
from service import logs
from service.jobs.messages import broker_queue
from service.kit.database import Database, place_of
from service.kit.process import refuse
from service.loading import load
from service.migrate import head, revision
from service.settings import Settings
from workers.host.app import worker_app
from workers.host.celery_worker import Worker

log = structlog.get_logger()

PATIENCE = 120.0
"""seconds that a worker waits for its database to appear and be migrated, as in a fresh `docker compose up`"""


def work(*, embedded: bool) -> None:
    """Wait for the database, then take jobs until told to stop.

    Args:
        embedded: a server has started this worker, and its terminal is the server's.
    """
    settings = load(report_unknown=not embedded)
    logs.configure(settings)
    logging.captureWarnings(True)
    # Celery warns against root because of pickle, which arbitrary code can be; our messages are JSON and hold an id
    warnings.filterwarnings("ignore", category=SecurityWarning)
    _wait_for_database(settings)
    app, slots = worker_app(settings)
    quiet = embedded or settings.log_format == "json"
    if not quiet:
        queue = settings.data_dir if settings.embedded_broker else place_of(settings.broker_url)
        sys.stdout.write(f"Gapcast {__version__} worker, takes jobs from {queue}. Ctrl-C stops it.\n")
        sys.stdout.flush()
    # not by the command line of Celery: where APP is set, it imports what that names, from the current folder
    worker = app.subclass_with_self(Worker)(
        quiet=True,
        pool_cls="threads",  # of one, beside the consumer: all that a message does is to wake the slots
        concurrency=1,
        queues=[broker_queue(queue) for queue in settings.worker_queues],
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=settings.embedded_broker,
        loglevel="WARNING",
    )
    worker.stop_line = "" if quiet else "The worker is stopping. A job that runs goes back to the queue."
    try:
        worker.start()
    finally:
        slots.stop()


def _wait_for_database(settings: Settings) -> None:
    try:
        database = Database(settings.database_url)
    except (OSError, SQLAlchemyError) as error:
        refuse(f"database_url: expected a database that can be used, got an error: {error}")
    began = time.monotonic()
    told = False
    while True:
        try:
            with database.engine.connect() as connection:
                at = revision(connection)
            problem = "" if at == head() else f"its schema is at {at}, and this version needs {head()}"
        except SQLAlchemyError as error:
            problem = str(getattr(error, "orig", None) or error).splitlines()[0]
        if not problem:
            database.close()
            return
        if time.monotonic() - began > PATIENCE:
            refuse(f"database_url: expected a database that is ready, got after {PATIENCE:.0f} s: {problem}.")
        if not told:
            log.info("waiting_for_the_database", seconds=PATIENCE, problem=problem)
            told = True
        time.sleep(1)
