import subprocess
import sys
from pathlib import Path

import pytest

from service.kit.file_lock import FileLock, Held

HOLD = """
import sys
from pathlib import Path
from service.kit.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.note({"address": "http://127.0.0.1:1"})
print("held", flush=True)
sys.stdin.read()
"""


def test_the_next_process_learns_who_holds_the_lock_until_the_kernel_releases_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "server.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Held) as held:
            FileLock(path)
        assert held.value.notes == {"pid": str(holder.pid), "address": "http://127.0.0.1:1"}
        holder.kill()  # as a crash ends it: nothing of its own runs
        holder.wait()
        FileLock(path).release()


def test_a_lock_that_is_released_is_free_in_the_same_process_too(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(Held):
        FileLock(tmp_path / "lock")
    lock.release()
    FileLock(tmp_path / "lock").release()


@pytest.mark.parametrize("text", ["", '{"pid', "[1]"])
def test_notes_that_are_half_written_are_none(tmp_path: Path, text: str) -> None:
    lock = FileLock(tmp_path / "lock")
    (tmp_path / "lock").write_text(text)
    with pytest.raises(Held) as held:
        FileLock(tmp_path / "lock")
    assert held.value.notes == {}
    lock.release()
