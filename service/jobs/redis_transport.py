"""kombu's Redis transport, but a malformed item of the queue is dropped where kombu raises in the worker's loop."""

import json
from typing import Any

from kombu.transport import redis

from service.jobs.messages import Malformed, log_dropped, payload_of


def _popped(reply: tuple[bytes, bytes] | None, **_: Any) -> tuple[bytes, str] | None:  # noqa: ANN401
    """Check what BRPOP answers; None, as if nothing had come, makes kombu ask again."""
    if reply is None:
        return None
    key, raw = reply
    try:
        return key, json.dumps(payload_of(raw, _queue_of(key)))
    except Malformed as error:
        log_dropped(error)
        return None


def _queue_of(key: bytes) -> str:
    """The queue of a Redis key; one with a priority has that behind a separator."""
    return key.decode(errors="replace").partition(redis.Channel.sep)[0]


class Channel(redis.Channel):
    """The channel whose connections check what they pop."""

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401
        client = super()._create_client(asynchronous)  # type: ignore[no-untyped-call]
        client.set_response_callback("BRPOP", _popped)
        return client


class Transport(redis.Transport):
    """The Redis transport with this channel."""

    Channel = Channel
