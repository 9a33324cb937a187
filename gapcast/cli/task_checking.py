"""A task file checked on this machine: a process of the workers does it, and this reads what it says."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.terminal import errors
from gapcast.client.files import task_media_type
from gapcast.client.sync.tasks import opened
from gapcast.contract.base import JsonObject
from gapcast.launching import module_command, safe_environment


def check_here(path: Path, request: JsonObject) -> JsonObject:
    """Check a file as an upload is checked, and return the last line of the process: a result, or why there is none.

    Args:
        path: the file.
        request: `verifier`, `options`, `layout` and `columns`, as `workers.checking` takes them.

    Raises:
        OSError: the file cannot be read.
        ValueError: its ending is none of a task file's.
    """
    if importlib.util.find_spec("regex") is None:
        errors.print("This needs the verifiers, which the base install leaves out: pip install 'gapcast\\[worker]'")
        raise typer.Exit(Exit.FAILED)
    asked = json.dumps(request | {"media_type": task_media_type(path)})
    last: JsonObject = {}
    with (
        opened(path) as file,
        subprocess.Popen(
            module_command("workers.checking", asked),
            stdin=file,
            stdout=subprocess.PIPE,
            env=safe_environment(os.environ),
            text=True,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with errors.status("checking ...") as status:
            for line in process.stdout:
                last = json.loads(line)
                if "progress" in last:
                    status.update(f"checked {last['progress']['done']} of {last['progress']['problems']} problems")
    return last or {"error": {"message": f"the check ended without a result (exit code {process.returncode})"}}
