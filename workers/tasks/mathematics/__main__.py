"""`python -m workers.tasks.mathematics`: compares formulas, one JSON line of a question and one of its answer each.

A question that takes more processor time than it may ends the process: no computation of the library can prevent that.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys

from workers.tasks.mathematics.compare import compare

MEMORY_BYTES = 4 << 30
"""of address space: the library alone reserves some 300 MB"""


def main() -> None:
    """Answer until the questions end."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(most, MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with contextlib.redirect_stdout(io.StringIO()):
        _say(answers, {"ready": True})
        for line in sys.stdin:
            asked = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
            try:
                answer = compare(asked["gold"], asked["completion"], asked["digits"], whole=asked["whole"])
            except MemoryError:
                sys.exit(1)
            except Exception:  # the library is asked about whatever a model writes
                answer = {"gold": True, "equal": False, "read": None}
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            _say(answers, answer)


def _say(answers: io.TextIOWrapper, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
