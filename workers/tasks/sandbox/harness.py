"""What runs in the confined process: a program, or its functions for somebody else to call, or tests that call them.

The program shares this process and can change anything in it. So nothing is believed that comes from here but a
value or a text that is compared outside, where the expected one is. Standard library only.
"""

import atexit
import builtins
import linecache
import os
import sys
import threading
import traceback
import types
from typing import BinaryIO

from workers.tasks.sandbox import judge, serve
from workers.tasks.sandbox.messages import FILE, describe, receive, send
from workers.tasks.sandbox.preload import Namespace, generous_builtins

OUT_OF_MEMORY, BROKEN = 86, 87
"""exit codes: MemoryError reached the top; the harness itself failed. Any numbers that programs seldom use"""

FRAMES = 20
"""innermost frames of a traceback that are shown: enough to see where, however deep a recursion went"""


def run(mode: str, channel: int) -> int:
    """Run what the channel brings: `mode` is `program`, `serve` or `judge`. Answers the exit code."""
    os.environ.clear()  # the interpreter itself had set LC_CTYPE
    stream = os.fdopen(channel, "r+b", buffering=0)
    header = receive(stream)
    if mode == "judge":
        return judge.run(stream, header)
    code = _compiled(stream, header["source"])
    if code is None:
        return 1
    if mode == "program":
        stream.close()
        raised, exit_code = _execute(code, _module("__main__", vars(builtins)))
        return _finish(exit_code)
    module = _module("program", generous_builtins())
    raised, exit_code = _execute(code, module)
    if raised is not None:
        send(stream, {"message": raised})
        return exit_code or 1
    send(stream, {"ready": True})
    return serve.run(stream, vars(module))


def _compiled(stream: BinaryIO, source: str) -> types.CodeType | None:
    """The program's code; the other side is told whether it compiles before any of it has run."""
    linecache.cache[FILE] = (len(source), None, source.splitlines(True), FILE)
    try:
        code = compile(source, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        send(stream, {"syntax": describe(error)})
        return None
    send(stream, {"compiled": True})
    return code


def _module(name: str, beneath: Namespace) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module)["__builtins__"] = beneath
    sys.modules[name] = module
    sys.argv = [FILE]
    return module


def _execute(code: types.CodeType, module: types.ModuleType) -> tuple[str | None, int]:
    """What the program raised, if anything, and its exit code."""
    try:
        exec(code, vars(module))  # noqa: S102 - what this sandbox is for
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return describe(error), int(error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
        return describe(error), 1
    except BaseException as error:
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # without this frame
        traceback.print_exception(error, limit=-FRAMES)
        return describe(error), OUT_OF_MEMORY if isinstance(error, MemoryError) else 1
    return None, 0


def _finish(code: int) -> int:
    """End as Python does: wait for threads, run exit functions, flush."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        return code or 1
    return code
