"""The Celery application of a worker: one task, which makes its idle slots look for jobs."""

import threading
from typing import Any

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutting_down

from service.jobs.broker import Dispatcher, celery_app
from service.jobs.messages import WAKE
from service.jobs.service import reconcile
from service.kinds import KINDS, settle
from service.kit.database import Database
from service.settings import Settings
from workers.host.orphans import end_orphans
from workers.host.slots import Slots
from workers.host.supervisor import Supervisor

log = structlog.get_logger()


def worker_app(settings: Settings) -> tuple[Celery, Slots]:
    """Build the application and the slots, which begin and stop with it."""
    app = celery_app(settings)
    app.conf.worker_consumer = "workers.host.consumer:Consumer"
    database = Database(settings.database_url, Dispatcher(settings).wake)
    stop = threading.Event()
    supervisor = Supervisor(settings, database, stop)
    slots = Slots(settings, database, supervisor, stop)

    @app.task(name=WAKE)  # type: ignore[untyped-decorator]
    def wake(job_id: str) -> None:
        log.debug("woken", job=job_id)
        slots.wake()

    def keep_reconciling() -> None:
        while True:
            try:
                reconcile(database, settings, settle)
                for kind in KINDS.values():
                    kind.sweep(database, settings)
            except Exception as error:
                log.warning("reconcile_failed", error=f"{type(error).__name__}: {error}"[:300])
            if stop.wait(settings.reconcile_seconds):
                return

    def ready(**_: Any) -> None:  # noqa: ANN401
        end_orphans()  # before a job needs the memory that they hold
        threading.Thread(target=keep_reconciling, name="reconciler", daemon=True).start()
        slots.start()
        log.info("worker_ready", worker=supervisor.name)

    def stopping(**_: Any) -> None:  # noqa: ANN401
        stop.set()
        slots.wake()

    def leave_logging(**_: Any) -> None:  # noqa: ANN401
        """Keep the log as the process has set it up; without a receiver Celery would set up its own."""

    setup_logging.connect(leave_logging, weak=False)
    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(stopping, weak=False)
    return app, slots
