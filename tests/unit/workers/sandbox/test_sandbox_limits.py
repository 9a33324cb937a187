# ruff: noqa: E501 - one program a line
"""What a program may take, and that nothing of it is left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.tasks.sandbox import Limits, Session, Status, run
from workers.tasks.sandbox.idle import end_all

pytestmark = pytest.mark.slow

ORDINARY = """
import asyncio, bisect, collections, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq, itertools
import json, math, random, re, statistics, string, sys, threading, time, typing, zlib, bz2, lzma, queue, calendar, uuid
import concurrent.futures, csv, difflib, enum, io, operator, pprint, struct, unicodedata, array, contextlib, textwrap
import collections.abc, concurrent.futures, email.mime.text, importlib.resources, json.tool, unittest.mock, xml.etree
assert "é".encode("cp1252") == b"\\xe9" and "é".encode("latin-1").decode("utf-16", "replace")
@dataclasses.dataclass
class Point:
    x: int
async def later():
    await asyncio.sleep(0.001)
    return 5
found = []
threads = [threading.Thread(target=found.append, args=(i,)) for i in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    squares = list(pool.map(lambda x: x * x, range(3)))
sys.setrecursionlimit(10**6)
deep = lambda n: 0 if n == 0 else 1 + deep(n - 1)
words = re.findall(r"\\w+", input())
print(json.dumps([sorted(found), squares, words, Point(3).x, math.gcd(12, 18), deep(20000), asyncio.run(later())]))
print(len(str(2 ** 100_000)), decimal.Decimal(1) / 3, hashlib.sha256(b"").hexdigest()[:8], sum(map(int, sys.stdin)))
"""


def test_an_ordinary_program_does_not_notice(attempt) -> None:
    ended = attempt(ORDINARY, "ab, cd\n1\n2\n3\n")
    assert ended.status is Status.ok, ended.stderr_tail
    first, second = ended.stdout.decode().splitlines()
    assert first == '[[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 4], ["ab", "cd"], 3, 6, 20000, 5]'
    assert second == "30103 0.3333333333333333333333333333 e3b0c442 6"


@pytest.mark.parametrize(
    ("program", "status", "stdout"),
    [
        ("print(1); exit()", Status.ok, b"1\n"),
        ("import sys; print(1); sys.exit(3)", Status.error, b"1\n"),
        ("import os; os.write(1, b'x'); os._exit(0)", Status.ok, b"x"),
        ("import atexit; atexit.register(print, 'end')", Status.ok, b"end\n"),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(.05), print(2))).start()",
            Status.ok,
            b"2\n",
        ),
        ("if __name__ == '__main__': print(__name__)", Status.ok, b"__main__\n"),
        ("print('é', input())", Status.ok, "é ü\n".encode()),
        ("print(1); 1/0", Status.error, b"1\n"),
        ("import os; os.abort()", Status.error, b""),
        ("import ctypes; ctypes.string_at(0)", Status.error, b""),
        ("import signal; signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()", Status.error, b""),
        ("import os, signal; signal.raise_signal(signal.SIGKILL)", Status.killed, b""),
        ("def f(:", Status.syntax, b""),
        ("x = '\\0'\0", Status.syntax, b""),
    ],
)
def test_how_a_program_ends(attempt, program: str, status: Status, stdout: bytes) -> None:
    ended = attempt(program, "ü\n")
    assert (ended.status, ended.stdout) == (status, stdout), ended


def test_a_traceback_shows_the_program_and_not_the_harness(attempt) -> None:
    ended = attempt("def f():\n    return 1 / 0\n\nf()", "")
    assert ended.stderr_tail.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in ended.stderr_tail
    assert "harness" not in ended.stderr_tail


@pytest.mark.parametrize(
    "program",
    [
        "bytearray(200 << 20)",
        "x = []\nwhile True: x.append(bytes(1 << 20))",
        "1 << (1 << 34)",
        "import mmap\nx = [mmap.mmap(-1, 64 << 20) for _ in range(4)]",
        "x = 'a'\nwhile True: x += x",
        "import threading\nthreading.stack_size(100 << 20)\nfor _ in range(9): threading.Thread(target=input).start()",
    ],
)
def test_memory_is_limited(attempt, program: str) -> None:
    ended = attempt(program, "")
    assert ended.status in {Status.memory, Status.error}, ended
    assert any(word in ended.stderr_tail for word in ("MemoryError", "memory", "can't start new thread")), ended


def test_memory_within_the_limit_is_given(attempt) -> None:
    assert attempt("print(len(bytearray(100 << 20)))", "").stdout == b"104857600\n"


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import os; os.close(0); os.close(1); os.close(2)\nwhile True: pass",
        "import signal, time\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except OSError: pass\ntime.sleep(60)",
        "import threading, time\nfor _ in range(9): threading.Thread(target=time.sleep, args=(60,)).start()",
        "import os\nfor _ in range(9):\n  try: os.fork()\n  except OSError: pass\nwhile True: pass",
        "9 ** 9 ** 9",
        "try:\n  import time; time.sleep(60)\nfinally:\n  time.sleep(60)",
        "import sys\nsys.settrace(lambda *a: time.sleep(60))\nimport time\n(lambda: 0)()",
        "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
    ],
)
def test_a_program_that_does_not_end_is_killed(box: Session, program: str) -> None:
    started = time.monotonic()
    ended = box.run(program, "", seconds=0.15, wall_seconds=1)
    assert ended.status is Status.timeout
    assert 0.15 <= time.monotonic() - started < 30
    assert box.run("print(1)", "").stdout == b"1\n"


def test_the_limit_counts_the_processor_time_of_all_threads(box: Session) -> None:
    ended = box.run("while True: pass", "", seconds=0.15)
    assert ended.status is Status.timeout
    assert 0.15 <= ended.seconds < 0.3
    waiting = box.run("import time; time.sleep(0.4)", "", seconds=0.15)
    assert waiting.status is Status.ok
    assert waiting.seconds < 0.15
    work = "import hashlib\nfrom threading import Thread\nx = bytes(1 << 20)\n"
    work += "def f():\n  while True: hashlib.sha256(x)\nfor _ in '1234': Thread(target=f).start()"
    assert 0.15 <= box.run(work, "", seconds=0.15).seconds < 0.4


def test_a_program_cannot_lift_the_limit(box: Session) -> None:
    lift = "import resource, signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    lift += "try: resource.setrlimit(resource.RLIMIT_CPU, (999, 999))\nexcept (OSError, ValueError): pass\n"
    lift += "signal.setitimer(signal.ITIMER_PROF, 0)\nwhile True: pass"
    assert box.run(lift, "", seconds=0.15).status is Status.timeout


@pytest.mark.parametrize(
    "program",
    [
        "while True: print('x' * 10000)",
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        "import os, threading\n[threading.Thread(target=lambda: [os.write(1, b'x' * 65536) for _ in range(99)]).start() for _ in '12']",
    ],
)
def test_output_is_limited(attempt, program: str) -> None:
    ended = attempt(program, "")
    assert ended.status is Status.output_limit
    assert len(ended.stdout) < 400_000
    assert len(ended.stderr_tail) <= 8192


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.setrecursionlimit(10**9)\ndef f(n, x): return f(n + 1, bytes(10000)) + 1\nf(0, 0)",
        "import sys; sys.setrecursionlimit(10**9)\nx, y = [], []\nfor _ in range(10**6): x, y = [x], [y]\nx == y",
        "eval('(' * 100000)",
        "class A:\n  def __repr__(self): return repr(self)\nimport sys; sys.setrecursionlimit(10**9); repr(A())",
    ],
)
def test_deep_recursion_ends_the_program_only(attempt, program: str) -> None:
    assert attempt(program, "").status in {Status.error, Status.memory}


def test_a_program_that_does_not_read_its_input_is_not_waited_for(attempt) -> None:
    assert attempt("print(1)", "x" * (1 << 20)).stdout == b"1\n"


THREADS = """
import threading
threading.stack_size(65536)
stop = threading.Event()
started = 0
try:
    while True:
        threading.Thread(target=stop.wait, daemon=True).start()
        started += 1
except RuntimeError:
    print(started < 100)
stop.set()
"""


def test_threads_are_few(attempt) -> None:
    assert attempt(THREADS, "").stdout == b"True\n"


def test_pipes_hold_little(attempt) -> None:
    """Memory of the kernel that no limit of address space counts."""
    program = (
        "import os\npipes = []\ntry:\n  while True: pipes.append(os.pipe())\nexcept OSError: print(len(pipes) < 64)"
    )
    assert attempt(program, "").stdout == b"True\n"


def processes_of(session: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(folder.name)
    return found


def test_the_sandbox_is_started_without_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from outside: what a process was started with stays in its memory, whatever it clears later."""
    monkeypatch.setenv("GAPCAST_SECRET", "x")
    with Session(Limits()) as session:
        assert session._process is not None
        assert Path(f"/proc/{session._process.pid}/environ").read_bytes() in {b"", b"LC_CTYPE=C.UTF-8\0"}


def test_no_process_is_left() -> None:
    with Session(Limits(seconds=0.2, wall_seconds=0.3)) as session:
        assert session._process is not None
        first = session._process.pid
        assert len(processes_of(first)) == 2
        assert session.run("import time; time.sleep(9)", "").status is Status.timeout
        wait_for(lambda: len(processes_of(first)) == 2)
        assert session.run("while True: pass", "", wall_seconds=60).status is Status.timeout
        wait_for(lambda: len(processes_of(first)) == 2)
        assert session.run("print(1)", "", wall_seconds=60).stdout == b"1\n"
        assert session._process.pid == first
        session.kill()
        wait_for(lambda: processes_of(first) == [])
        assert session.run("print(1)", "", wall_seconds=60).stdout == b"1\n"
        second = session._process.pid
        assert len(processes_of(second)) == 2
    wait_for(lambda: processes_of(second) == [])


WORKER = """
import threading
from workers.tasks.sandbox import Limits, Session
session = Session(Limits(seconds=60))
session.ready()
print(session._process.pid, flush=True)
threading.Thread(target=session.run, args=("import time; time.sleep(60)", "")).start()
"""


def test_the_sandbox_dies_with_the_worker() -> None:
    """The worker is killed, so nothing of it can clean up."""
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        sandbox = int(worker.stdout.readline())
        wait_for(lambda: len(processes_of(sandbox)) == 3)
        worker.kill()
    wait_for(lambda: processes_of(sandbox) == [])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_descriptor_is_left() -> None:
    end_all()
    before = len(os.listdir("/proc/self/fd"))
    for program in ("print(1)", "def f(:", "while True: pass", "while True: print('x' * 9999)"):
        run(program, "1", Limits(seconds=0.2))
    end_all()
    assert len(os.listdir("/proc/self/fd")) == before


def test_runs_do_not_see_each_other(attempt) -> None:
    attempt("import builtins, sys\nbuiltins.found = sys.modules['found'] = 1", "")
    assert (
        attempt("import builtins, sys\nprint(hasattr(builtins, 'found'), 'found' in sys.modules)", "").stdout
        == b"False False\n"
    )
