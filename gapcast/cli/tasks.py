"""`gapcast tasks`: problem sets of one's own, and what a server has."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.exits import Exit, exit_code
from gapcast.cli.listing import show_list
from gapcast.cli.printing.catalog import print_problems, print_task, print_tasks
from gapcast.cli.scoring import score
from gapcast.cli.task_checking import check_here
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, first, print_json, say
from gapcast.client import DEFAULT_URL, Client, FieldRefusal, GapcastError
from gapcast.client.fields import Split
from gapcast.contract.catalog import LEAST_SHARE, SelfCheck
from gapcast.contract.faults import naming
from gapcast.contract.problems import Preset, VerifierKind
from gapcast.models import Task, TaskProblem
from gapcast.task_words import checking, refused_task, self_check

OF_OPTIONS = {"name", "options", "map", "from", "verifier"}
"""parameters that options of these names set"""

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


File = Annotated[
    Path, typer.Argument(help="A .jsonl, .ndjson, .json, .csv or .parquet file (or packed, .gz): one problem a row.")
]
Verifier = Annotated[
    VerifierKind | None, typer.Option(help="How a completion is scored (default: as the --from layout says).")
]
Layout = Annotated[Preset | None, typer.Option("--from", help="The public layout that the file has.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="The column of a field, such as prompt=question or answer=reward_model.ground_truth; may be repeated.",
        show_default=False,
    ),
]
Options = Annotated[str | None, typer.Option(callback=_check_options, help="The verifier's, a JSON object.")]


@app.command()
def add(
    file: File,
    name: Annotated[str, typer.Option(help="Lower-case, such as mine/additions.")],
    verifier: Verifier = None,
    layout: Layout = None,
    columns: Columns = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Use the task at once, whatever its self-check finds.")
    ] = False,
    options: Options = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of a completion, where a configuration leaves it open (default: 512).")
    ] = None,
    preamble: Annotated[str | None, typer.Option(help="The default text of the context kind `static`.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store a file of problems: all of them, or none. A worker then checks that it scores them as it must.

    A line is {"prompt": ..., "answer": ...}; reference_solution, privileged_context, hints, tests, id and split may
    stand beside them. --from reads a public layout, --map names columns of your own. Other content under a name that is
    there is a new revision, which the name means once it is ready.

    Exit codes: 0 it is ready, 1 its self-check has refused it, 2 the file was refused.
    """
    with exit_on_refusal(), Client(url) as client:
        try:
            task = client.tasks.create(
                file,
                name,
                verifier,
                layout=layout,
                columns=_mapped(columns),
                accept=accept,
                options=json.loads(options) if options is not None else None,
                max_tokens=max_tokens,
                preamble=preamble,
            )
        except GapcastError as error:
            _refused(error, file)
        if task.status == "checking":
            task = _checked(client, task)
    if as_json:
        print_json(task)
    else:
        print_task(console, task)
    if task.status == "refused":
        say(refused_task(task))
        raise typer.Exit(Exit.FAILED)


def _mapped(columns: list[str] | None) -> dict[str, str]:
    """FIELD=COLUMN texts by field; what is wrong with one the server says."""
    parts = (text.partition("=") for text in columns or [])
    return {field.strip(): column.strip() for field, _, column in parts}


def _checked(client: Client, task: Task) -> Task:
    """Say how the self-check goes, until it has ended."""
    told = ""

    def report(seen: Task) -> None:
        nonlocal told
        line = checking(seen)
        if line != told:
            say(line)
        told = line

    return client.tasks.wait(task, report)


@app.command()
def check(
    file: File,
    verifier: Verifier = None,
    layout: Layout = None,
    columns: Columns = None,
    options: Options = None,
    as_json: AsJson = False,
) -> None:
    """Check a file of problems on this machine as `add` would, without a server; nothing is stored.

    Exit codes: 0 `add` would take it, 1 its self-check would refuse it, 2 the file would be refused.
    """
    with exit_on_refusal():
        request = {"verifier": verifier, "options": options, "layout": layout, "columns": columns or []}
        ended = check_here(file, request)
    if "refused" in ended:
        _say_refused(ended["refused"]["detail"], ended["refused"]["errors"], file, param=ended["refused"]["param"])
        raise typer.Exit(Exit.REFUSED)
    if "result" not in ended:
        say(f"{file}: {ended['error']['message']}")
        raise typer.Exit(Exit.FAILED)
    found = SelfCheck.model_validate(ended["result"])
    if as_json:
        print_json(found)
    else:
        for line in self_check(found):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if found.share < LEAST_SHARE:
        raise typer.Exit(Exit.FAILED)


def _say_refused(detail: str, rows: list[FieldRefusal], file: Path, *, param: str | None) -> None:
    for row in rows:
        say(refusal_line(row, file))
    if not rows:
        text = detail.removeprefix("Nothing was stored. ")
        say(f"--{text}" if param in OF_OPTIONS else f"{file}: {text}")


def _refused(error: GapcastError, file: Path) -> None:
    """Say what is wrong and what that means for the store, and end."""
    if error.code == "unreachable":
        say(str(error))
    else:
        _say_refused(str(error), error.errors, file, param=error.param)
    if 400 <= error.status < 500 or error.code == "unreachable":
        say("Nothing was stored.")
    else:
        say("Whether it was stored is not known; send it again: the same content is stored once.")
    raise typer.Exit(exit_code(error)) from error


def refusal_line(row: FieldRefusal, file: Path) -> str:
    """Return the fault of one field: `problems.jsonl: line 3, answer: ...`, or `--max-tokens: ...`."""
    told = row["message"].removeprefix(f"{row['param']}: ")
    told = naming(told, row.get("value")) if told == row["message"] else told  # else it names its value already
    at = re.fullmatch(r"(line|row|item)s\.(\d+)\.?(.*)", row["param"])
    if row["param"].startswith("columns."):
        return f"{file}: {told}"
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
