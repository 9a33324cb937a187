"""The Celery side of a job: an application that both rooms configure alike, and messages that carry only a job's id."""

from collections.abc import Iterable

import structlog
from celery import Celery
from celery.loaders.app import AppLoader
from kombu.entity import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from gapcast.contract.waiting import QUEUES
from service.jobs.messages import WAKE, broker_queue
from service.settings import Settings

log = structlog.get_logger()

TRANSPORT_ALIASES |= {
    "gapcast-filesystem": "service.jobs.filesystem_transport:Transport",
    "redis": "service.jobs.redis_transport:Transport",
    "rediss": "service.jobs.redis_transport:Transport",
}


def celery_app(settings: Settings) -> Celery:
    """Configure Celery: JSON, early acknowledgement, no results, one message at a time (DESIGN.md, Durable jobs)."""
    # with a loader, no fixups and settings of our own, because those that Celery finds by the environment's variables
    # (CELERY_LOADER, DJANGO_SETTINGS_MODULE, CELERY_CONFIG_MODULE) it imports from the current folder
    app = Celery("gapcast", loader=AppLoader, fixups=())
    app.config_from_object(
        {
            "broker_url": settings.broker_url,
            "broker_connection_retry_on_startup": True,
            "task_serializer": "json",
            "accept_content": ["json"],
            "task_ignore_result": True,
            "task_acks_late": False,
            "task_queues": [_queue(broker_queue(name)) for name in QUEUES],
            "task_create_missing_queues": False,
            "worker_prefetch_multiplier": 1,
            "worker_enable_remote_control": False,
            "worker_hijack_root_logger": False,
            "worker_send_task_events": False,
            "broker_transport_options": {"socket_connect_timeout": 2, "socket_timeout": 10},
        }
    )
    if settings.embedded_broker:
        folder = settings.data_dir / "broker" / "messages"
        folder.mkdir(parents=True, exist_ok=True)
        app.conf.broker_url = "gapcast-filesystem://localhost//"
        app.conf.broker_transport_options = {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "polling_interval": 0.2,  # seconds; kombu's second would be most of a small probe's time
        }
    return app


def _queue(name: str) -> Queue:
    """A queue with an exchange of its own, as Celery makes those that it is not told about."""
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


class Dispatcher:
    """Sends wake-ups. One that cannot be sent is no loss: the reconciler sends it again."""

    def __init__(self, settings: Settings) -> None:
        self._app = celery_app(settings)
        # nobody waits for a broker that is away: kombu would try for seconds, whatever `retry` says
        self._app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0}

    def wake(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Publish one message a job, of which queue and id are given."""
        for queue, job_id in jobs:
            try:
                self._app.send_task(WAKE, args=[job_id], queue=broker_queue(queue), retry=False)
            except Exception as error:
                log.warning("wake_up_not_sent", job=job_id, error=str(error))

    def check(self) -> None:
        """Raise when the broker does not answer within two seconds."""
        with self._app.connection(connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            with connection.channel() as channel:
                for queue in self._app.amqp.queues.values():
                    queue.bind(channel).declare()
