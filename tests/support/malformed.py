"""Messages that are no wake-up: each ended or stopped a worker that left the check to kombu and Celery, or could."""

import base64
import json
from typing import Any, NamedTuple

from service.jobs.messages import WAKE

JSON = "application/json"
FORGED = "job_" + "0" * 32
"""the id of no job"""


class Message(NamedTuple):
    """What a program can publish on any broker."""

    body: bytes
    content_type: str | None = JSON
    headers: dict[str, Any] | None = None

    def envelope(self) -> bytes:
        """The message as kombu writes it where a transport knows nothing of headers."""
        info = {"exchange": "", "routing_key": "gapcast"}
        return json.dumps(
            {
                "body": base64.b64encode(self.body).decode(),
                "content-type": self.content_type,
                "content-encoding": "utf-8",
                "headers": self.headers or {},
                "properties": {"body_encoding": "base64", "delivery_tag": "tag", "delivery_info": info},
            }
        ).encode()


def call(arguments: Any = (FORGED,), **headers: Any) -> Message:
    """A wake-up with these arguments and headers, as Celery writes it."""
    return Message(json.dumps([arguments, {}, {}]).encode(), JSON, {"task": WAKE, "id": "one"} | headers)


def body(text: bytes) -> Message:
    return call()._replace(body=text)


MALFORMED = {
    "garbage": Message(b"\xff\x00garbage", None),
    "garbage for the task": body(b"\xff\x00garbage"),
    "empty": body(b""),
    "a number": body(b"3"),
    "null": body(b"null"),
    "a short list": body(b"[1]"),
    "an object": body(b"{}"),
    "deep": body(b"[" * 60_000),
    "10 MB": body(b"x" * 10_000_000),
    "no headers": call()._replace(headers=None),
    "an older protocol": Message(json.dumps({"task": WAKE, "args": [FORGED], "kwargs": {}}).encode()),
    "no content type": call()._replace(content_type=None),
    "pickle": call()._replace(content_type="application/x-python-serialize"),
    "another task": call(task="celery.chord_unlock"),
    "an unknown task": Message(call().body, JSON, {"task": "os.system"}),
    "a list of tasks": call(task=[WAKE]),
    "a list of numbers": call([1, 2, 3]),
    "named arguments": call({"job_id": FORGED}),
    "no argument": call([]),
    "a list of ids": call([[FORGED]]),
    "an object for an id": call([{"id": FORGED}]),
    "null for an id": call([None]),
    "a NUL": call(["job_\x00"]),
    "half a surrogate pair": call(["job_\ud800"]),
    "a long id": call(["job_" + "0" * 10_000_000]),
    "no id at all": call(["'; DROP TABLE jobs; --"]),
}

HARMLESS = {
    "a job that is not there": call(),
    "no request id": Message(call().body, JSON, {"task": WAKE}),
    "a list for a request id": call(id=[1]),
    "a number for time limits": call(timelimit=7),
    "a list for another name": call(shadow=["a"]),
    "numbers for stamps": call(stamps=3, stamped_headers=3),
    "a far time": call(eta="9999-12-31T23:59:59+00:00"),
    "calls afterwards": body(json.dumps([[FORGED], {}, {"callbacks": [{"task": WAKE}], "errbacks": 3}]).encode()),
}
"""Wake-ups all the same: what is wrong with them is nothing that a worker reads."""


def changed(**values: Any) -> bytes:
    """An envelope with other values."""
    return json.dumps(json.loads(call().envelope()) | values).encode()


MALFORMED_ENVELOPES = {
    "empty": b"",
    "garbage": b"\xff\x00garbage",
    "a list": b"[1]",
    "an object": b"{}",
    "null": b"null",
    "half": call().envelope()[:200],
    "deep": b"[" * 60_000,
    "10 MB": b"x" * 10_000_000,
    "a large number": b"1" * 10_000,
    "a type of kombu's": b'{"__type__": "datetime", "__value__": 3}',
    "a list for a body": changed(body=[1]),
    "a body that is not base64": changed(body="abc"),
    "a list for headers": changed(headers=[1]),
    "a list for a content type": changed(**{"content-type": [1]}),
}
HARMLESS_ENVELOPES = {
    "a list for properties": changed(properties=[1]),
    "a list for a delivery tag": changed(properties={"delivery_tag": [1]}),
    "another encoding": changed(properties={"body_encoding": "nope"}),
    "a number for an encoding": changed(**{"content-encoding": 3}),
    "compressed": changed(headers={"task": WAKE, "compression": "application/x-gzip"}),
}
