"""Portions: fixed looks for a probe that stops by its width, a minute each for one that does not."""

import pytest

from workers.sampling import schedule
from workers.sampling.schedule import portions


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(schedule, "time", made)
    return made


def taken(clock: Clock, problems: int, sequential: bool, most: int, seconds_a_problem: float) -> list[tuple[int, int]]:
    found = []
    for start, end in portions(problems, sequential, most):
        found.append((start, end))
        clock.now += (end - start) * seconds_a_problem
    return found


def test_a_sequential_probes_looks_do_not_depend_on_its_speed(clock: Clock) -> None:
    slow, fast = (taken(clock, 100, True, 8, seconds) for seconds in (100.0, 0.001))
    assert slow == fast
    assert [end for _, end in slow] == [32, 40, 48, 56, 64, 80, 96, 100]


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [(0.001, [32, 288, 300]), (1.0, [32, 88, 144, 200, 256, 300]), (1000.0, [32, *range(40, 300, 8), 300])],
)
def test_a_fixed_probes_portions_take_a_minute(clock: Clock, seconds: float, ends: list[int]) -> None:
    assert [end for _, end in taken(clock, 300, False, 256, seconds)] == ends


def test_every_problem_is_taken_once(clock: Clock) -> None:
    for problems in (1, 2, 31, 32, 33, 40, 1000):
        found = taken(clock, problems, False, 64, 0.5)
        assert [place for start, end in found for place in range(start, end)] == list(range(problems))
