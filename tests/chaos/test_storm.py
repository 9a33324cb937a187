"""A short storm: a few faults, on servers of its own; `make chaos` is the long one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.storm import Plan, storm

pytestmark = [pytest.mark.slow, pytest.mark.services]

SEED = 8
"""one whose first jobs are small: comparisons that are killed have tests of their own"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="gapcast-storm-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_nothing_is_lost_and_nothing_done_twice_in_a_storm(folder: Path) -> None:
    few = {"kills": 2, "unanswered": 1, "worker_stops": 1, "database_stops": 1, "flushes": 1, "pile": 2, "copies": 1}
    none = {name: 0 for name, field in Plan.model_fields.items() if field.annotation is int}
    rest = {"seed": SEED, "workers": 2, "api_workers": 1, "open": 2, "lease": 3, "longest_pause": 1, "patience": 180}
    plan = Plan(**(none | few | rest))
    report = storm(plan, folder)
    logs = [line for log in sorted(folder.glob("*r-*.log")) for line in (log.name, *log.read_text().splitlines()[-60:])]
    assert not report.wrong, "\n".join([*report.lines(), *logs])
