"""When a request is repeated: the one policy behind every call of the client.

stamina repeats, and reports each repetition to its hooks: a warning of structlog's, unless
`stamina.instrumentation.set_on_retry_hooks` has set others, as the `gapcast` command does.
"""

from collections.abc import Callable

from gapcast.client.errors import AnswerLost, GapcastError, RateLimited, Unreachable

AWAY_SECONDS = 30.0
"""for which a server may be away while something of it is followed: a restart takes a few"""
LONGEST_WAIT = 60.0
"""seconds; where a server asks for a longer pause the caller decides"""
FIRST_WAIT, MOST_WAIT = 0.2, 2.0
"""seconds between two attempts where the server does not say; they double"""
AWAY = frozenset({502, 503, 504})
"""statuses of a server that is not there, from itself or from a proxy before it"""

Again = Callable[[Exception], bool | float]
"""Returns True to repeat a request, the seconds after which to, or False to give up"""


def is_away(error: Exception) -> bool:
    """True if the server cannot be reached now, though it may be back soon."""
    return isinstance(error, Unreachable | AnswerLost) or (isinstance(error, GapcastError) and error.status in AWAY)


def again(*, repeatable: bool) -> Again:
    """Return the decision for one request.

    A request of which the server has seen nothing, or which it turned away as too much (`RateLimited`), is repeated. A
    `repeatable` one also is where it may have taken effect: a GET, or a post under an `Idempotency-Key`.
    """

    def decide(error: Exception) -> bool | float:
        if not isinstance(error, Unreachable | RateLimited) and not (repeatable and is_away(error)):
            return False
        wait = error.retry_after if isinstance(error, GapcastError) else None
        if wait is None:
            return True
        return wait if wait <= LONGEST_WAIT else False

    return decide
