"""What is in the embedded queue's folder is delivered, or dropped and logged; it never raises and never blocks."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Consumer, Exchange, Queue
from kombu.message import Message
from kombu.transport.virtual import Channel
from structlog.testing import capture_logs

from service.jobs.broker import Dispatcher, celery_app
from service.jobs.messages import Malformed, broker_queue, job_id_of
from service.settings import Settings
from tests.support import malformed

JOB = "job_" + "1" * 32
QUEUE = broker_queue("probes")


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.data_dir / "broker" / "messages"


@pytest.fixture
def channel(settings: Settings) -> Iterator[Channel]:
    with celery_app(settings).connection_for_read() as connection, connection.channel() as opened:
        yield opened


def next_message(channel: Channel) -> Message | None:
    message: Message | None = Queue(QUEUE)(channel).get(no_ack=True)
    return message


def id_in(message: Message | None) -> str:
    assert message is not None
    return job_id_of(message.headers, message.content_type, message.body)


def put(folder: Path, raw: bytes) -> Path:
    """A message that is older than any other."""
    path = folder / f"0_{len(list(folder.iterdir()))}.{QUEUE}.msg"
    path.write_bytes(raw)
    return path


def dropped(logs: list[Any]) -> list[str]:
    return [line["reason"] for line in logs if line["event"] == "message_dropped"]


@pytest.mark.parametrize("name", malformed.MALFORMED_ENVELOPES)
def test_a_malformed_file_is_dropped_and_logged_and_the_next_one_delivered(
    settings: Settings, folder: Path, channel: Channel, name: str
) -> None:
    put(folder, malformed.MALFORMED_ENVELOPES[name])
    Dispatcher(settings).wake([("probes", JOB)])
    with capture_logs() as logs:
        assert id_in(next_message(channel)) == JOB
    assert len(dropped(logs)) == 1
    assert dropped(logs)[0].startswith("message")
    assert not list(folder.iterdir())
    assert next_message(channel) is None


def test_a_thousand_malformed_files_are_dropped_at_one_look(folder: Path, channel: Channel) -> None:
    for _ in range(1000):
        put(folder, b"")
    assert next_message(channel) is None
    assert not list(folder.iterdir())


def test_what_is_not_a_file_blocks_nothing_and_stays(settings: Settings, folder: Path, channel: Channel) -> None:
    (folder / f"0_a.{QUEUE}.msg").mkdir()
    (folder / f"0_b.{QUEUE}.msg").symlink_to("/nowhere")
    os.mkfifo(folder / f"0_c.{QUEUE}.msg")
    Dispatcher(settings).wake([("probes", JOB)])
    assert id_in(next_message(channel)) == JOB
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("name", malformed.HARMLESS_ENVELOPES)
def test_of_an_envelope_only_what_a_wake_up_needs_is_read(folder: Path, channel: Channel, name: str) -> None:
    put(folder, malformed.HARMLESS_ENVELOPES[name])
    assert id_in(next_message(channel)) == malformed.FORGED


def test_each_message_is_handed_out_once(settings: Settings, folder: Path, channel: Channel) -> None:
    jobs = [f"job_{number:032x}" for number in range(20)]
    for job in jobs:
        Dispatcher(settings).wake([("probes", job)])
    with celery_app(settings).connection_for_read() as connection, connection.channel() as other:
        taken = [id_in(next_message(one)) for _ in range(10) for one in (channel, other)]
    assert sorted(taken) == jobs
    assert not list(folder.iterdir())


def test_a_message_that_was_not_acknowledged_is_put_back_as_it_was(settings: Settings, folder: Path) -> None:
    Dispatcher(settings).wake([("probes", JOB)])
    seen: list[str] = []
    for _ in range(2):
        with celery_app(settings).connection_for_read() as connection, connection.channel() as opened:
            with Consumer(opened, Queue(QUEUE), on_message=lambda message: seen.append(id_in(message))):
                connection.drain_events(timeout=60)
            opened.close()
    assert seen == [JOB, JOB]
    assert len(list(folder.iterdir())) == 1


def test_a_half_written_file_of_bindings_is_not_read(
    settings: Settings, folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kombu writes one beside the messages, and a crash can leave it empty."""
    monkeypatch.chdir(folder.parent)
    Path("control").mkdir()
    Path("control", f"{QUEUE}.exchange").write_text("")
    Queue(QUEUE, Exchange(QUEUE))(channel).declare()
    Dispatcher(settings).check()


@pytest.mark.parametrize("name", malformed.MALFORMED)
def test_what_is_no_wake_up(name: str) -> None:
    message = malformed.MALFORMED[name]
    with pytest.raises(Malformed) as refused:
        job_id_of(message.headers or {}, message.content_type, message.body)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", malformed.HARMLESS)
def test_of_a_wake_up_only_the_id_is_read(name: str) -> None:
    message = malformed.HARMLESS[name]
    assert job_id_of(message.headers or {}, message.content_type, message.body) == malformed.FORGED
