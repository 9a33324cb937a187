"""`python -m workers.child`: runs one job from a JSON line on standard input, writes JSON lines to standard output.

The job: `{"kind", "configuration", "resources", "parent_pid"}`.

It imports no database and no broker code and is given no credentials. Lines: `{"event": name, "data": {...}}` while it
goes, then one `{"result": {...}}` or `{"error": {code, message, param, category}}`. SIGTERM asks a training run to
stop: it writes a checkpoint, and its last line is `{"paused": {"step": N}}`.
"""

import gc
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from service.kit.process import die_with_parent

GARBAGE = (100_000, 20, 100)
"""Looks for garbage are seldom: what the libraries hold never is, and going through it cost a small probe 5 %."""
NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)
"""how torch says on a CPU that it got none"""


def _run(job: dict[str, Any], emit: Callable[[str, dict[str, Any]], None], stop: Callable[[], bool]) -> dict[str, Any]:
    # imported here: a wrong kind should not cost torch's start-up
    from workers.resources import Resources

    if job["kind"] == "probe":
        from service.catalog.schemas import ProbeConfiguration
        from workers.probe import run_probe

        probe = ProbeConfiguration.model_validate(job["configuration"])
        return run_probe(probe, Resources.read(probe.model, job["resources"]), emit)
    if job["kind"] == "training":
        from service.catalog.training import TrainingConfiguration
        from workers.opsd import run_training

        training = TrainingConfiguration.model_validate(job["configuration"])
        return run_training(training, Resources.read(training.model, job["resources"]), emit, stop)
    raise ValueError(f"no job of kind {job['kind']!r} is known")


def _stop_flag() -> Callable[[], bool]:
    """Whether SIGTERM has come; from now on it ends the process no more."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: asked.set())
    return asked.is_set


def main() -> None:
    """Run the job."""
    gc.set_threshold(*GARBAGE)
    job = json.loads(sys.stdin.readline())
    die_with_parent(job["parent_pid"])
    stop = _stop_flag() if job["kind"] == "training" else lambda: False
    # the pipe is ours alone: whatever a library prints goes to standard error
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(line: dict[str, Any]) -> None:
        pipe.write(json.dumps(line, allow_nan=False) + "\n")
        pipe.flush()

    from workers.failures import JobError, Paused, out_of_memory

    try:
        write({"result": _run(job, lambda name, data: write({"event": name, "data": data}), stop)})
    except Paused as paused:
        write({"paused": {"step": paused.step}})
    except JobError as error:
        write({"error": error.as_dict()})
    except MemoryError:
        write({"error": out_of_memory("The worker's memory is full").as_dict()})
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)):
            write({"error": out_of_memory(str(error).splitlines()[0][:200]).as_dict()})
            return
        message = f"{type(error).__name__}: {error}"[:500]
        write({"error": {"code": "internal_error", "message": message, "param": None, "category": "server"}})


if __name__ == "__main__":
    main()
