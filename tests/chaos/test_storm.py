"""A short storm: a few faults of every kind, on servers of its own; `make chaos` is the long one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.storm import Plan, storm

pytestmark = [pytest.mark.slow, pytest.mark.services]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="gapcast-storm-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_nothing_is_lost_and_nothing_done_twice_in_a_storm(folder: Path) -> None:
    plan = Plan(
        open=3,
        lease=4,
        kills=4,
        unanswered=1,
        worker_stops=1,
        child_stops=0,
        worker_ends=1,
        broker_restarts=1,
        broker_outages=0,
        flushes=1,
        pile=3,
        database_stops=1,
        copies=1,
        crowds=1,
        longest_pause=1,
        patience=200,
    )
    report = storm(plan, folder)
    assert not report.wrong, "\n".join(report.lines())
