"""Celery's consumer behind a check: only a wake-up that we have written anew ourselves reaches Celery's code."""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from celery.utils.log import get_logger
from celery.worker import consumer
from kombu import compression
from kombu.message import Message
from kombu.utils.uuid import uuid

from service.jobs.messages import MEDIA_TYPE, WAKE, Malformed, job_id_of, log_dropped


def _refuse(*_: object) -> NoReturn:
    raise Malformed("a wake-up is not compressed")


# kombu unpacks before anybody can look: some kilobytes into gigabytes
for _method in compression.encoders():  # type: ignore[no-untyped-call]
    compression.register(_refuse, _refuse, _method)  # type: ignore[no-untyped-call]


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """The consumer that drops every message which is not a wake-up."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Message], None]:  # noqa: ANN401
        """Return what is called with each message."""
        handle = super().create_task_handler(*arguments, **options)

        def on_task_received(message: Message) -> None:
            try:
                job_id = job_id_of(message.headers, message.content_type, message.body)
            except Malformed as error:
                self.on_decode_error(message, error)
                return
            # Celery obeys two dozen headers and what stands beside the arguments (eta, timelimit, callbacks, ...)
            message.headers = {"task": WAKE, "id": uuid()}
            message.content_type, message.content_encoding = MEDIA_TYPE, "utf-8"
            message.body = json.dumps([[job_id], {}, {}]).encode()
            handle(message)

        return on_task_received

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Drop a message; the broker keeps it no longer."""
        log_dropped(exc)
        message.reject_log_error(get_logger(__name__), self.connection_errors)  # type: ignore[no-untyped-call]
