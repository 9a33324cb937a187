"""What a broker's message may be: one job's id, as a call of one task. Nothing else reaches kombu's and Celery's code.

Both trust their messages: a list where a text should be raises in the consumer's loop and ends the worker, or is left
unacknowledged and stops it from taking more.
"""

import base64
from typing import Annotated, Any, TypeVar

import structlog
from kombu.utils.uuid import uuid
from pydantic import Base64Bytes, BaseModel, Field, TypeAdapter, ValidationError

log = structlog.get_logger()

WAKE = "gapcast.wake"
"""The one task: its argument is a job id."""
MEDIA_TYPE = "application/json"
LONGEST = 65_536
"""bytes of a message; one of ours has less than a thousand"""

Read = TypeVar("Read")


def broker_queue(queue: str) -> str:
    """Name a queue of jobs as the broker knows it, where other programs may have queues too."""
    return f"gapcast.{queue}"


class Malformed(ValueError):
    """The message is not a wake-up."""


class _Headers(BaseModel):
    task: str


class _Envelope(BaseModel):
    """kombu's envelope on transports that have none of their own: the file system and Redis."""

    body: Base64Bytes
    content_type: str = Field(alias="content-type")
    headers: _Headers


_ENVELOPE = TypeAdapter(_Envelope)
_JobId = Annotated[str, Field(pattern="^job_[0-9a-f]{32}$")]
_CALL = TypeAdapter(tuple[tuple[_JobId], dict[str, Any], dict[str, Any]])
"""Celery's arguments, named arguments, and what else to call"""


def _read(shape: TypeAdapter[Read], text: bytes | str, name: str) -> Read:
    if len(text) > LONGEST:
        raise Malformed(f"{name}: longer than any wake-up (over {LONGEST} bytes)")
    try:
        return shape.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in (name, *first["loc"]))
        raise Malformed(f"{place}: {first['msg']}") from None


def payload_of(raw: bytes, queue: str) -> dict[str, Any]:
    """Return the payload that kombu makes a message of, built afresh from what a wake-up needs of the raw one.

    Raises:
        Malformed: kombu could not make a message of it.
    """
    envelope = _read(_ENVELOPE, raw, "message")
    return {
        "body": base64.b64encode(envelope.body).decode(),
        "content-type": envelope.content_type,
        "content-encoding": "utf-8",
        "headers": {"task": envelope.headers.task},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": uuid(),
            "delivery_info": {"exchange": "", "routing_key": queue},  # where it goes if it is put back
        },
    }


def job_id_of(headers: dict[str, Any], content_type: object, body: bytes | str) -> str:
    """Return the id in a wake-up.

    Raises:
        Malformed: this is not a wake-up.
    """
    if headers.get("task") != WAKE:
        raise Malformed(f"task: expected {WAKE}, got {headers.get('task')!r:.80}")
    if content_type != MEDIA_TYPE:
        raise Malformed(f"content type: expected {MEDIA_TYPE}, got {content_type!r:.80}")
    (job_id,), _, _ = _read(_CALL, body, "body")
    return job_id


def log_dropped(reason: Exception) -> None:
    """Log that a message is not read. Its job, if it has one, is sent again by the reconciler."""
    log.warning("message_dropped", reason=f"{reason}"[:300])
