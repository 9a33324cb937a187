"""When a request is repeated: the one policy behind every call of the client.

By tenacity and not by stamina, whose hooks belong to the whole process: by default they print each repetition, and to
switch that off here would switch it off for everybody. The logger `gapcast.client` has a line for each repetition: at
level INFO where the server has asked for the wait, at DEBUG otherwise.
"""

import logging
import random
from typing import Any

from tenacity import RetryCallState, stop_after_attempt, stop_after_delay

from gapcast.client.errors import AnswerLost, GapcastError, RateLimited, Unreachable

AWAY_SECONDS = 30.0
"""for which a server may be away while something of it is followed: a restart takes a few"""
LONGEST_WAIT = 60.0
"""seconds; where a server asks for a longer pause the caller decides"""
FIRST_WAIT, MOST_WAIT = 0.2, 2.0
"""seconds between two attempts where the server does not say; they double"""
AWAY = frozenset({502, 503, 504})
"""statuses of a server that is not there, from itself or from a proxy before it"""

log = logging.getLogger("gapcast.client")


def is_away(error: Exception) -> bool:
    """True if the server cannot be reached now, though it may be back soon."""
    return isinstance(error, Unreachable | AnswerLost) or (isinstance(error, GapcastError) and error.status in AWAY)


def policy(*, repeatable: bool, attempts: int | None = None) -> dict[str, Any]:
    """Return tenacity's arguments for one request.

    A request of which the server has seen nothing, or which it turned away as too much (`RateLimited`), is repeated. A
    `repeatable` one also is where it may have taken effect: a GET, or a post under an `Idempotency-Key`.

    Args:
        repeatable: the request may take effect twice.
        attempts: how often it is sent at most; None: as often as `AWAY_SECONDS` allow.
    """

    def again(state: RetryCallState) -> bool:
        error = _error(state)
        if error is None or not (isinstance(error, Unreachable | RateLimited) or (repeatable and is_away(error))):
            return False
        return (error.retry_after or 0) <= LONGEST_WAIT

    return {
        "retry": again,
        "stop": stop_after_delay(AWAY_SECONDS) if attempts is None else stop_after_attempt(attempts),
        "wait": _wait,
        "before_sleep": _report,
        "reraise": True,
    }


def _error(state: RetryCallState) -> GapcastError | None:
    error = None if state.outcome is None else state.outcome.exception()
    return error if isinstance(error, GapcastError) else None


def _wait(state: RetryCallState) -> float:
    error = _error(state)
    if error is not None and error.retry_after is not None:
        return error.retry_after
    doubled = FIRST_WAIT * 2.0 ** (state.attempt_number - 1)
    return min(doubled + random.uniform(0, FIRST_WAIT), MOST_WAIT)  # noqa: S311


def _report(state: RetryCallState) -> None:
    error = _error(state)
    level = logging.INFO if error is not None and error.retry_after else logging.DEBUG
    log.log(level, "%s Trying again in %.0f s.", error, state.upcoming_sleep)
