"""`python -m workers.child`: runs one job from a JSON line on standard input, writes JSON lines to standard output.

The job: `{"entry", "stops_gently", "configuration", "resources", "parent_pid"}`.

It imports no database and no broker code and is given no credentials. Lines: `{"event": name, "data": {...}}` while it
goes, then one `{"result": {...}}` or `{"error": {code, message, param, category}}`. SIGTERM asks a job that stops
gently to save its work: its last line is `{"paused": {"step": N, "held": null}}`; that of a run which puts itself
aside says why in `held`. Of a run in several processes of which one died, the last line is `{"crashed": message}`, or
there is none.
"""

import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable

from pydantic import BaseModel

from gapcast.contract.events import EventData
from service.kit.process import die_with_parent, look_for_garbage_seldom
from workers.work import Line, Work, entry_point

NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)
"""how torch says on a CPU that it got none"""


Write = Callable[[Line], None]


def _stop_flag() -> Callable[[], bool]:
    """Return what tells if SIGTERM has come; from now on it does not end the process."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: asked.set())
    return asked.is_set


def emitter(write: Write) -> Callable[[EventData], None]:
    """Return a function that writes an event as a line."""
    return lambda data: write({"event": data.type, "data": data.written()})


def own_pipe() -> Write:
    """Return what writes a line to standard output, ours alone from now on: libraries print to standard error."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(line: Line) -> None:
        pipe.write(json.dumps(line, allow_nan=False) + "\n")
        pipe.flush()

    return write


def last_line(work: Callable[[], BaseModel]) -> Line:
    """Do the work and return how it ended, which is one of `result`, `paused` and `error`.

    Raises:
        RankDied: nobody knows how.
    """
    from workers.failures import JobError, Paused, RankDied, out_of_memory

    try:
        result = work()
        # what does not fit its class fails here, and not where a row is read
        return {"result": result.model_dump(mode="json", warnings="error")}
    except RankDied:
        raise
    except Paused as paused:
        held = paused.held.model_dump(mode="json", warnings="error") if paused.held is not None else None
        return {"paused": {"step": paused.step, "held": held}}
    except JobError as error:
        return {"error": error.as_dict()}
    except MemoryError:
        return {"error": out_of_memory("The worker's memory is full").as_dict()}
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)):
            return {"error": out_of_memory(str(error).splitlines()[0][:200]).as_dict()}
        message = f"{type(error).__name__}: {error}"[:500]
        return {"error": {"code": "internal_error", "message": message, "param": None, "category": "server"}}


def main() -> None:
    """Run the job."""
    look_for_garbage_seldom()
    line = sys.stdin.readline()
    if not line.endswith("\n"):  # its worker was killed before it had said all
        sys.exit(1)
    job = json.loads(line)
    die_with_parent(job["parent_pid"])
    stop = _stop_flag() if job["stops_gently"] else lambda: False
    write = own_pipe()

    from workers.failures import RankDied

    work = Work(job["configuration"], job["resources"], emitter(write), stop, write)
    try:
        write(last_line(lambda: entry_point(job["entry"])(work)))
    except RankDied as died:
        if died.signal == signal.SIGKILL:  # die in the same way: the supervisor then looks if memory was full
            os.kill(os.getpid(), signal.SIGKILL)
        write({"crashed": str(died)})


if __name__ == "__main__":
    main()
