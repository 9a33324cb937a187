import zlib

from kombu.message import Message

from workers.host import consumer


def test_a_compressed_message_is_not_unpacked() -> None:
    """kombu would, before anybody sees it: two megabytes into two gigabytes."""
    assert consumer.Consumer
    packed = zlib.compress(b"0" * 1_000_000)
    message = Message(body=packed, headers={"compression": "application/x-gzip"})
    assert message.body == packed
    assert [str(error) for _, error, _ in message.errors] == ["a wake-up is not compressed"]
