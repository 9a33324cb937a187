"""What a supervisor makes of a child that does not behave."""

import os
import selectors
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import alive
from tests.support.results import probe_result, stored
from workers.child import last_line
from workers.host.child_process import Child, Crashed, Failed, child_environment


@contextmanager
def child(script: str) -> Iterator[Child]:
    made = Child({}, [sys.executable, "-c", script])
    try:
        yield made
    finally:
        made.kill()


def read(made: Child) -> list[dict[str, Any]]:
    """All that a child says before it crashes; it must crash soon."""
    said: list[dict[str, Any]] = []
    deadline = time.monotonic() + 120
    try:
        for line in made.lines():
            assert time.monotonic() < deadline, "nobody noticed"
            if line is not None:
                said.append(line)
    except Crashed:
        return said
    raise AssertionError("no crash")


def test_lines_arrive_whole_however_they_are_cut() -> None:
    script = """
import os, time
os.write(1, b'{"a": '); time.sleep(0.3); os.write(1, b'1}\\n{"b": "' + b'x' * 3_000_000); os.write(1, b'"}\\n')
"""
    with child(script) as made:
        first, second = read(made)
    assert first == {"a": 1}
    assert len(second["b"]) == 3_000_000


def test_a_child_that_closes_its_pipe_and_lives_is_ended() -> None:
    with child("import os, time; os.close(1); time.sleep(600)") as made:
        assert read(made) == []
        assert not alive(made._process.pid)


def test_a_dead_child_is_noticed_though_its_own_child_holds_the_pipe() -> None:
    script = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with child(script) as made:
        assert read(made) == []


def test_what_a_child_wrote_last_is_read_though_it_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    # as after a pause of the whole worker: the time of the look is over, the child is dead, its result is in the pipe
    with child("import os; os.write(1, b'{\"result\": {}}\\n')") as made:
        made._process.wait()
        select, looks = selectors.DefaultSelector.select, []

        def over_at_first(selector: selectors.DefaultSelector, timeout: float | None = None) -> list[Any]:
            looks.append(timeout)
            return select(selector, timeout) if len(looks) > 1 else []

        monkeypatch.setattr(selectors.DefaultSelector, "select", over_at_first)
        assert read(made) == [{"result": {}}]


@pytest.mark.timeout(30)
def test_a_long_job_is_not_waited_for_where_its_child_does_not_read(tmp_path: Path) -> None:
    job = {"configuration": "x" * (1 << 20)}  # more than a pipe takes
    slow = Child(job, ["sleep", "600"])
    assert next(slow.lines()) is None
    slow.kill()
    echo = "import os, sys; line = sys.stdin.readline(); os.write(1, b'{\"read\": %d}\\n' % line.count('x'))"
    with child(echo) as made:
        assert read(made) == [{"read": 0}]
    reading = Child(job, [sys.executable, "-c", echo])
    assert read(reading) == [{"read": 1 << 20}]


@pytest.mark.parametrize("line", ["no json", "5", "[1]", "\\xff"])
def test_what_is_no_message_is_a_crash(line: str) -> None:
    with child(f"import os, time; os.write(1, b'{line}\\n'); time.sleep(600)") as made:
        assert read(made) == []


def test_a_child_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAPCAST_DATABASE_URL", "GAPCAST_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in child_environment().values()


@pytest.fixture
def small_memory() -> Iterator[str]:
    """The file to which a process writes its id to be held to 64 MiB, so that the kernel kills it for more."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root) / f"gapcast-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(64 << 20))
                yield str(group / "cgroup.procs")
            finally:
                group.rmdir()
            return
    pytest.skip("this machine gives no memory limits to set")


def test_a_child_whose_memory_is_full_is_told_apart_from_a_crash(small_memory: str) -> None:
    script = f"""
import os, pathlib
pathlib.Path({small_memory!r}).write_text(str(os.getpid()))
held = [bytearray(1 << 20) for _ in range(256)]
"""
    with child(script) as made, pytest.raises(Failed) as failure:
        for _ in made.lines():
            pass
    assert failure.value.error["code"] == "out_of_memory"
    assert failure.value.error["category"] == "user"


def test_a_child_that_is_killed_with_memory_to_spare_is_a_crash() -> None:
    with child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") as made:
        assert read(made) == []


@pytest.mark.filterwarnings("default")  # as in a worker: here a warning would be an error anyway
def test_a_result_leaves_as_the_json_of_its_class_or_not_at_all() -> None:
    result = probe_result()
    assert last_line(lambda: result) == {"result": stored(result)}
    result.template = 7  # type: ignore[assignment]
    error = last_line(lambda: result)["error"]
    assert (error["code"], error["category"]) == ("internal_error", "server")
