"""Messages between a sandboxed process and the worker: one line of JSON each, every one of them answered.

Standard library only: it runs inside.
"""

import json
import traceback
from typing import Any, BinaryIO

FILE = "program.py"
"""what a traceback calls the program"""

Message = dict[str, Any]
"""One message; `serve`, `judge`, `harness` and `launch` say what theirs hold"""

CHUNK = 65536
"""bytes read at once: a pipe's usual buffer"""


def receive(stream: BinaryIO) -> Any:  # noqa: ANN401
    """The next message; None when the other side has gone. Nothing is read ahead: a message is asked for singly."""
    parts = []
    while chunk := stream.read(CHUNK):
        parts.append(chunk)
        if chunk.endswith(b"\n"):
            return json.loads(b"".join(parts))
    return None


def send(stream: BinaryIO, message: Any) -> None:  # noqa: ANN401
    """Send a message."""
    send_line(stream, json.dumps(message))


def send_line(stream: BinaryIO, line: str) -> None:
    """Send a message that is JSON already."""
    data = memoryview(line.encode() + b"\n")
    while data:
        data = data[stream.write(data) or 0 :]


def describe(error: BaseException) -> str:
    """`ValueError: text`, with the program's line where one is known."""
    text = "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]
    if isinstance(error, SyntaxError):
        return f"{text} (line {error.lineno})" if error.lineno else text
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return f"{text} (line {lines[-1]})" if lines else text
