# ruff: noqa: E501 - one control group a line
"""As many completions are verified side by side as this process may use processors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.processors import usable_processors

ALL = len(os.sched_getaffinity(0))


def groups(folder: Path, content: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A file like /proc/self/cgroup, and a folder like /sys/fs/cgroup."""
    mounted = folder / "cgroup"
    mounted.mkdir()
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(text)
    (folder / "self").write_text(content)
    return folder / "self", mounted


@pytest.mark.parametrize(
    ("content", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, ALL),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/docker/x\n", {"cpu.max": "100000 100000\n"}, 1),
        ("4:cpu,cpuacct:/x\n0::/\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"}, 1),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, ALL),
        ("1:name=systemd:/\n", {}, ALL),
    ],
)  # fmt: skip
def test_a_quota_is_followed(tmp_path: Path, content: str, files: dict[str, str], expected: int) -> None:
    assert usable_processors(*groups(tmp_path, content, files)) == expected


def test_the_affinity_is_followed() -> None:
    """As under `taskset -c 0`."""
    program = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    program += "from workers.sampling.arms import Sampler\nprint(Sampler.verifiers.fget(None))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=True
    )
    assert ended.stdout == "1\n"
