"""`gapcast tasks`: problem sets of one's own, and what a server has."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.exits import exit_code
from gapcast.cli.listing import show_list
from gapcast.cli.printing.catalog import print_problems, print_task, print_tasks
from gapcast.cli.scoring import score
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, first, print_json, say
from gapcast.client import DEFAULT_URL, Client, FieldRefusal, GapcastError
from gapcast.client.fields import Split
from gapcast.contract.faults import naming
from gapcast.contract.problems import VerifierKind
from gapcast.models import TaskProblem

app = typer.Typer(
    name="tasks",
    no_args_is_help=True,
    help="What a gap is measured on: add a file of problems, list, show, score outputs.",
)


def _check_options(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f'{text!r} is not a JSON object, such as {{"relative_tolerance": 0.01}}.')
    return text


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A .jsonl, .ndjson or .parquet file: one problem a line or row.")],
    name: Annotated[str, typer.Option(help="Lower-case, such as mine/additions.")],
    verifier: Annotated[VerifierKind, typer.Option(help="How a completion is scored.")],
    options: Annotated[str | None, typer.Option(callback=_check_options, help="The verifier's, a JSON object.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of a completion, where a configuration leaves it open (default: 512).")
    ] = None,
    preamble: Annotated[str | None, typer.Option(help="The default text of the context kind `static`.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store a file of problems: all of them, or none.

    A line is {"prompt": ..., "answer": ...}; reference_solution, privileged_context, hints, tests, id and split may
    stand beside them. Other content under a name that is there is a new revision, which the name means from then on.
    """
    with exit_on_refusal(), Client(url) as client:
        try:
            given = json.loads(options) if options is not None else None
            task = client.tasks.create(file, name, verifier, options=given, max_tokens=max_tokens, preamble=preamble)
        except GapcastError as error:
            _refused(error, file)
    if as_json:
        print_json(task)
    else:
        print_task(console, task)


def _refused(error: GapcastError, file: Path) -> None:
    """Say what is wrong and what that means for the store, and end."""
    for row in error.errors:
        say(refusal_line(row, file))
    if not error.errors:
        text = str(error).removeprefix("Nothing was stored. ")
        option = error.param in {"name", "options"}
        say(f"--{text}" if option else text if error.code == "unreachable" else f"{file}: {text}")
    if 400 <= error.status < 500 or error.code == "unreachable":
        say("Nothing was stored.")
    else:
        say("Whether it was stored is not known; send it again: the same content is stored once.")
    raise typer.Exit(exit_code(error)) from error


def refusal_line(row: FieldRefusal, file: Path) -> str:
    """Return the fault of one field: `problems.jsonl: line 3, answer: ...`, or `--max-tokens: ...`."""
    told = row["message"].removeprefix(f"{row['param']}: ")
    told = naming(told, row.get("value")) if told == row["message"] else told  # else it names its value already
    at = re.fullmatch(r"(line|row)s\.(\d+)\.?(.*)", row["param"])
    if at is None:
        option, dot, field = row["param"].partition(".")
        return f"--{option.replace('_', '-')}: {field}{': ' if dot else ''}{told}"
    place = f"{at[1]} {at[2]}"
    field = f", {at[3]}" if at[3] else ""
    return f"{file}: {place}{field}: {told.removeprefix(f'{place}: ')}"


app.command()(score)


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the tasks: the bundled ones, then yours in their newest revisions."""
    with exit_on_refusal(), Client(url) as client:
        tasks = client.tasks.list()
        show_list("tasks", len(tasks.data), lambda _: tasks, print_tasks, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The task.")],
    problems: Annotated[int, typer.Option(min=0, help="How many problems to show.")] = 3,
    after: Annotated[str | None, typer.Option(help="Only those after this id in the list.")] = None,
    split: Annotated[Split | None, typer.Option(help="Only those of this split.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show a task and its first problems, with long texts truncated."""
    with exit_on_refusal(), Client(url) as client:
        task = client.tasks.get(name)
        stored = task.id is not None and problems > 0
        shown: list[TaskProblem] = []
        more = False
        if stored:
            shown, more = first(
                problems, lambda size: client.tasks.problems(name, split=split, limit=size, after=after)
            )
    if as_json:
        print_json({"task": task.model_dump(mode="json"), "problems": [one.model_dump(mode="json") for one in shown]})
    else:
        print_task(console, task)
        print_problems(console, shown)
    if more:
        say(f"There are more: --after {shown[-1].id}")
