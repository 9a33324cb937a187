"""`python -m workers.child`: runs one job from a JSON line on standard input, writes JSON lines to standard output.

It imports no database and no broker code and is given no credentials. Lines: `{"event": name, "data": {...}}` while it
goes, then one `{"result": {...}}` or `{"error": {code, message, param, category}}`.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from service.kit.process import die_with_parent


def _run(kind: str, configuration: dict[str, Any], emit: Callable[[str, dict[str, Any]], None]) -> dict[str, Any]:
    # imported here: a wrong kind should not cost torch's start-up
    from service.catalog.schemas import ProbeConfiguration
    from workers.probe import run_probe

    if kind != "probe":
        raise ValueError(f"no job of kind {kind!r} is known")
    return run_probe(ProbeConfiguration.model_validate(configuration), emit)


def main() -> None:
    """Run the job."""
    job = json.loads(sys.stdin.readline())
    die_with_parent(job["parent_pid"])
    # the pipe is ours alone: whatever a library prints goes to standard error
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write(line: dict[str, Any]) -> None:
        pipe.write(json.dumps(line, allow_nan=False) + "\n")
        pipe.flush()

    from workers.failures import JobError

    try:
        result = _run(job["kind"], job["configuration"], lambda name, data: write({"event": name, "data": data}))
    except JobError as error:
        write({"error": error.as_dict()})
    except MemoryError:
        message = "The worker ran out of memory; ask for fewer problems or rollouts, or a smaller model."
        write({"error": {"code": "out_of_memory", "message": message, "param": None, "category": "user"}})
    except Exception as error:
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"[:500]
        write({"error": {"code": "internal_error", "message": message, "param": None, "category": "server"}})
    else:
        write({"result": result})


if __name__ == "__main__":
    main()
