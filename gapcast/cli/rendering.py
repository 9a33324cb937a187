"""`gapcast contexts render`: what student and self-teacher see of one problem."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import typer

from gapcast.cli.configuration import read_configuration
from gapcast.cli.exits import Exit
from gapcast.cli.probe import request_of
from gapcast.cli.terminal import console, errors, print_json, refuse, say
from gapcast.contract.base import JsonObject
from gapcast.launching import module_command, safe_environment
from gapcast.words import NO_CONTEXT, count

SIDES = {"student": "student", "teacher": "self-teacher"}


def render(file: Path, changes: list[str] | None, problem: str, attempts: Sequence[Path], *, as_json: bool) -> None:
    """Print both prompts of a problem, exactly as the model reads them.

    A process with this machine's settings renders them, as a worker would: the chat template is the model's own.

    Raises:
        typer.Exit: the configuration is refused, or the prompts cannot be rendered here.
    """
    if importlib.util.find_spec("transformers") is None:
        errors.print("This needs transformers, which the base install leaves out: pip install 'gapcast\\[worker]'")
        raise typer.Exit(Exit.FAILED)
    configuration = read_configuration(file, changes)
    try:
        texts = [path.read_text() for path in attempts]
    except (OSError, UnicodeDecodeError) as error:
        refuse([f"--attempt: {error}"])
    said = _rendered({"request": request_of(configuration), "problem": problem, "attempts": texts})
    if "refused" in said:
        rows = [(row["param"], row["message"]) for row in said["refused"]["errors"]]
        refuse(configuration.refusals(rows) if rows else [said["refused"]["detail"]])
    if "result" not in said:
        say(said["error"]["message"])
        raise typer.Exit(Exit.FAILED)
    found = said["result"]
    if as_json:
        print_json(found)
        return
    for side, title in SIDES.items():
        console.print(f"--- {title}, {count(found[side]['tokens'], 'token')}", style="bold", highlight=False)
        typer.echo(found[side]["text"])
    if found["reason"] is not None:
        reason = NO_CONTEXT.get(found["reason"], found["reason"])
        say(f"The self-teacher has no context here and sees the student's prompt: {reason}.")
    elif found["corrupted"]:
        say("The context is a wrong one, as the configuration's corruption asks for.")


def _rendered(asked: JsonObject) -> JsonObject:
    done = subprocess.run(
        module_command("workers.rendering"),
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        env=safe_environment(os.environ),
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if not lines:
        raise typer.Exit(Exit.REFUSED if done.returncode == Exit.REFUSED else Exit.FAILED)
    said: JsonObject = json.loads(lines[-1])
    return said
