"""A process that outlives its worker is ended by the next one; a living worker's is not."""

import os
import subprocess
import sys

import pytest

from workers.host.child_process import child_environment
from workers.host.orphans import MARK, end_orphans

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")


def test_what_a_dead_worker_has_left_is_ended_and_nothing_else() -> None:
    ours = child_environment()
    pid, started, space = ours[MARK].split(".")
    assert int(pid) == os.getpid()
    gone = subprocess.Popen(["true"])
    gone.wait()
    marks = [f"{gone.pid}.{started}.{space}", f"{pid}.1.{space}", ours[MARK], f"{gone.pid}.{started}.pid:[1]", "?", ""]
    left = [subprocess.Popen(["sleep", "60"], env=ours | {MARK: one}) for one in marks]
    try:
        ended = end_orphans()
        assert [one.pid in ended for one in left] == [True, True, *[False] * 4]
        assert [one.wait(10) for one in left[:2]] == [-9, -9]
        assert [one.poll() for one in left[2:]] == [None] * 4
    finally:
        for one in left:
            one.kill()
            one.wait()
