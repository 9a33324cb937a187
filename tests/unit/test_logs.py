"""The log as it is on standard error of a process of its own: ours, the libraries', Python's warnings."""

import json
import re
import subprocess
import sys

import pytest

LOGS = """
import asyncio, logging, warnings
import structlog
from service.logs import configure
from service.settings import Settings

configure(Settings())
logging.captureWarnings(True)
log = structlog.get_logger()
log.debug("not_shown")
log.info("worker_ready", worker="host:1")
log.warning("job_ended", error={"code": "x", "message": "It is full."}, note="two\\nlines", empty="")
logging.getLogger("celery.worker").warning("cannot_connect to %s", "redis")
logging.getLogger("celery.worker").info("not shown")
warnings.warn("this is old\\nand long", FutureWarning, stacklevel=1)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("attempt_failed", job="job_1")
server = logging.getLogger("uvicorn.error")
try:
    raise asyncio.CancelledError("Task cancelled")
except asyncio.CancelledError as error:
    server.error("Exception in ASGI application", exc_info=error)
server.error("Cancel %s running task(s), timeout graceful shutdown exceeded", 3)
server.error("Exception in ASGI application: %s", "another")
"""


def logged(monkeypatch: pytest.MonkeyPatch, form: str) -> list[str]:
    monkeypatch.setenv("GAPCAST_LOG_FORMAT", form)
    done = subprocess.run([sys.executable, "-c", LOGS], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_person_reads_one_line_an_event_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = logged(monkeypatch, "text")
    time = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
    events = [time.sub("", line) for line in lines if time.match(line)]
    assert events[:3] == [
        "worker ready worker=host:1",
        r"warning: job ended error='It is full.' note='two\nlines' empty=''",
        "warning: celery.worker: cannot_connect to redis",
    ]
    assert re.fullmatch(r"warning: <string>:\d+: FutureWarning: this is old and long", events[3])
    assert events[4:] == [
        "error: attempt failed job=job_1",
        "error: uvicorn.error: Exception in ASGI application: another",
    ]
    assert "ZeroDivisionError: division by zero" in lines
    assert "CancelledError" not in "".join(lines)
    assert "\033" not in "".join(lines)


def test_a_program_reads_json_where_the_setting_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [json.loads(line) for line in logged(monkeypatch, "json")]
    assert [event["event"] for event in events[:3]] == ["worker_ready", "job_ended", "cannot_connect to redis"]
    assert [event["level"] for event in events] == ["info", "warning", "warning", "warning", "error", "error"]
    assert events[1]["error"] == {"code": "x", "message": "It is full."}
    assert events[2]["logger"] == "celery.worker"
    assert "ZeroDivisionError" in events[4]["exception"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", event["timestamp"]) for event in events)
