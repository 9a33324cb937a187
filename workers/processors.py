"""How many processors this process may use: a container's share of a machine, not the machine."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/proc/self/cgroup")
"""the control groups of this process, one a line: `number:controllers:path` (cgroups(7))"""
MOUNTED = Path("/sys/fs/cgroup")


def usable_processors(groups: Path = GROUPS, mounted: Path = MOUNTED) -> int:
    """Return how many processors this process may use at a time, at least 1.

    That is the smaller of its affinity and the quota of its control group or of one above it (`--cpus` of Docker, a
    CPU limit of Kubernetes); a part of a processor counts as one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(share) for share in _quotas(groups, mounted))]))


def _quotas(groups: Path, mounted: Path) -> Iterator[float]:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            for folder in _upward(mounted, path):
                yield from _quota(folder, "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in _upward(mounted / controllers, path) or _upward(mounted / "cpu", path):
                yield from _quota(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _upward(mounted: Path, path: str) -> list[Path]:
    """The group's folder and those above it; in a container the path may be that of the machine outside."""
    folder = mounted / path.strip("/")
    return [one for one in (folder, *folder.parents) if one.is_relative_to(mounted) and one.is_dir()]


def _quota(folder: Path, *names: str) -> Iterator[float]:
    try:
        quota, period = " ".join((folder / name).read_text().strip() for name in names).split()
        if quota.isdecimal() and int(period) > 0:  # else "max" or -1: no quota
            yield int(quota) / int(period)
    except (OSError, ValueError):
        return
