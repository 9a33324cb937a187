"""What is shown of a comparison while it goes on: lines in a pipe, a table that is drawn anew in a terminal."""

import io
from collections.abc import Iterator

from rich.console import Console

from gapcast.cli.comparison_following import watch_comparison
from gapcast.contract.base import Failure
from gapcast.contract.events import EventData, JobRetrying, JobStarted
from tests.support.comparisons import comparison, happened, progressed, round_, standing, told
from tests.support.product import eventually

STARTED = JobStarted(attempt=1, worker="w")
FIRST = told(round_())
SECOND = told(round_(2, standings=[standing(0, eliminated=True), standing(1, problems=96), standing(2)]))


def piped(*data: EventData) -> list[str]:
    """The lines that a pipe is told."""
    out = io.StringIO()
    watch_comparison(happened(*data), comparison(status="queued", rounds=[]), Console(file=out, width=200))
    return [line.strip() for line in out.getvalue().splitlines()]


def shown(words: str, *data: EventData) -> bool:
    """True if a terminal shows the words when all of this has happened; it is drawn a few times a second."""
    out = io.StringIO()

    def happening() -> Iterator[object]:
        yield from happened(*data)
        eventually(lambda: words in out.getvalue(), known=out.getvalue)

    console = Console(file=out, width=120, height=20, force_terminal=True, color_system=None)
    watch_comparison(happening(), comparison(status="queued", rounds=[]), console)  # type: ignore[arg-type]
    return True


def test_a_pipe_is_told_a_line_a_round() -> None:
    lines = piped(STARTED, progressed(0, 2560), progressed(640, 2560), FIRST, progressed(700, 2560, 2), SECOND)
    assert lines == [
        "waiting for a worker",
        "loading the model",
        "round 1: 640 rollouts; hints +36.6 points, P(best) 97.0 %; 0 eliminated",
        "round 2: 1,280 rollouts; hints +36.6 points, P(best) 97.0 %; 1 eliminated",
    ]


def test_the_second_probe_is_told_once() -> None:
    lines = piped(FIRST, progressed(0, 2048, 2, second=True), progressed(900, 2048, 2, second=True))
    assert lines[2:] == ["probing hints once more, with fresh samples"]


def test_rounds_that_are_told_again_after_a_lost_worker_are_not_printed_again() -> None:
    lost = JobRetrying(attempt=1, failures=1, error=Failure(code="worker_lost", message="m", category="server"))
    lines = piped(STARTED, FIRST, SECOND, lost, STARTED, FIRST, SECOND, told(round_(3)))
    assert [line.partition(":")[0] for line in lines if line.startswith("round")] == ["round 1", "round 2", "round 3"]
    assert lines[4:6] == ["the attempt was lost; trying again", "loading the model"]


def test_a_terminal_shows_all_configurations_from_the_start() -> None:
    assert shown("hints (level 3)")
    assert shown("loading the model", STARTED)


def test_a_terminal_shows_how_they_stand_and_how_much_is_left() -> None:
    assert shown("●", FIRST)
    assert shown("eliminated", FIRST, SECOND)
    going = (progressed(640, 2560, 2), progressed(840, 2560, 2))  # 200 rollouts in a second
    assert shown("round 2: sampling rollouts, 840 of at most 2,560 rollouts; at most 8.6 s left", FIRST, *going)
    second = (progressed(0, 2048, 2, second=True), progressed(512, 2048, 2, second=True))
    assert shown("once more, with fresh samples, 512 of 2,048 rollouts; 3.0 s left", FIRST, *second)


def test_the_time_that_it_waits_is_not_what_rollouts_take() -> None:
    assert shown(
        "1,240 of at most 2,560 rollouts; at most 13 s left",
        progressed(0, 2560),
        progressed(1000, 2560),
        STARTED,
        progressed(1140, 2560),
        progressed(1240, 2560),
    )
