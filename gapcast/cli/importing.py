"""`gapcast observations import`: past runs as people have them, in their own words and units."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gapcast.cli.exits import exit_code
from gapcast.cli.printing.observations import print_batch
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, refuse, row_refusals, say
from gapcast.client import DEFAULT_URL, Client, GapcastError
from gapcast.elsewhere.looks import PARTS, Form
from gapcast.elsewhere.past_runs import NAMES, PastRun, Wanted, is_table, read_runs, record_of
from gapcast.elsewhere.wandb_project import read_project
from gapcast.models import Batch

EXAMPLE = """\
external_id,family,model,parameters,task,context_kind,recipe.teacher,recipe.divergence,recipe.steps,problems,rollouts,\
before,teacher,after
qwen3-8b-feedback-0,qwen3,Qwen/Qwen3-8B,8.2e9,livecodebench-v6,feedback,ema,reverse_kl,150,256,4,0.41,0.59,0.55
qwen3-8b-hints-0,qwen3,Qwen/Qwen3-8B,8.2e9,livecodebench-v6,hints,ema,reverse_kl,150,256,4,0.41,0.52,0.50
"""

Pool = Annotated[str | None, typer.Option(help="Pool of the rows that name none (default: `default`).")]


def import_runs(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="A table (.csv, .ndjson, .jsonl, .json, .parquet); or runs: a W&B or MLflow folder, "
            "trainer_state.json, metrics.jsonl, a log of verl's.",
        ),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="The field that a column is, such as Name=external_id; may be repeated. Others are then not read, but "
            "for those with a field's name.",
        ),
    ] = None,
    defaults: Annotated[
        list[str] | None,
        typer.Option(
            "--defaults",
            metavar="FIELD=VALUE",
            help="Of rows that lack the field, such as family=qwen3; may be repeated.",
        ),
    ] = None,
    percent: Annotated[
        bool, typer.Option("--percent", help="Accuracies, differences and standard errors are in percent.")
    ] = False,
    format_: Annotated[
        Form | None, typer.Option("--format", help="Of a run's log or folder (default: by its content).")
    ] = None,
    wandb: Annotated[
        str | None, typer.Option("--wandb", metavar="ENTITY/PROJECT", help="In place of FILE: the runs of a project.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a table to fill in, and end.")] = False,
    pool: Pool = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Store past runs: all of them, or none.

    A row has baseline, gap and improvement, or the accuracies before, after and teacher. `gapcast observations export`
    writes such files too. Rows with an external_id are stored once, however often they are sent.
    With --pool all rows go there, without it each where it says.
    """
    if example:
        typer.echo(EXAMPLE, nl=False)
        return
    if bool(files) == (wandb is not None):
        refuse(["Name what to import: FILE, or --wandb ENTITY/PROJECT. --example prints a table to fill in."])
    fields, given = pairs("--map", map_, last=True), pairs("--defaults", defaults)
    with exit_on_refusal(), Client(url) as client:
        if files and format_ is None and any(is_table(file) for file in files):
            if len(files) > 1:
                refuse(["FILE: expected one table, or the logs of several runs, got several. Import them one by one."])
            if parts := [part for part in fields.values() if part in PARTS]:
                refuse([f"--map: {parts[0]} is a part of a run's log, and {files[0]} is a table. A table has `after`."])
            batch = _sent(
                lambda: client.observations.import_file(
                    files[0], pool=pool, map=fields, defaults=given, percent=percent
                ),
                [],
                f"{files[0]}: ",
            )
        else:
            runs = read_project(wandb) if wandb else [run for file in files or () for run in read_runs(file, format_)]
            batch = _import_runs(client, runs, fields, given, pool, percent=percent)
            batch.unused = []  # of a log: nearly everything
    show_batch(batch, as_json)


def pairs(option: str, texts: Sequence[str] | None, *, last: bool = False) -> dict[str, str]:
    """Read `A=B`, at the last equals sign or at the first."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=") if last else text.partition("=")
        if not equals or not name.strip():
            shape = "COLUMN=FIELD" if last else "FIELD=VALUE"
            refuse([f"{option}: expected {shape}, got {text!r}."])
        if name.strip() in found:
            refuse([f"{option}: names {name.strip()!r} twice. Leave one of them out."])
        found[name.strip()] = value.strip()
    return found


def _import_runs(
    client: Client,
    runs: Sequence[PastRun],
    fields: dict[str, str],
    defaults: dict[str, str],
    pool: str | None,
    *,
    percent: bool,
) -> Batch:
    wanted = Wanted.of(fields, defaults, percent=percent)
    records = [record_of(run, wanted) for run in runs]
    columns = {column: field for column, field in fields.items() if field not in PARTS}
    columns |= {column: field for column, field in NAMES.items() if field not in wanted.fields and column not in fields}
    return _sent(
        lambda: client.observations.create(records, pool, map=columns, defaults=defaults, percent=percent),
        [run.where for run in runs],
        "",
    )


def _sent(send: Callable[[], Batch], places: Sequence[str], file: str) -> Batch:
    """Send rows; end with what is wrong with each, at its place."""
    try:
        return send()
    except GapcastError as error:
        refused(error, [file + _as_option(_placed(line, places)) for line in row_refusals(error)])


def _placed(line: str, places: Sequence[str]) -> str:
    """`row 3, baseline: ...` with the run in place of its number."""
    row = re.match(r"row (\d+)(?=[,:])", line)
    place = int(row[1]) if row is not None else 0
    return places[place - 1] + line[row.end() :] if row is not None and 0 < place <= len(places) else line


def _as_option(line: str) -> str:
    """A fault of a parameter as one of the option that sets it."""
    name, _, message = line.partition(": ")
    option = {"map": "--map", "default": "--defaults", "percent": "--percent"}.get(name)
    return f"{option}: {message.removeprefix(f'{name}: ')}" if option is not None else line


def refused(error: GapcastError, lines: Sequence[str]) -> NoReturn:
    """Say what is wrong and what that means for the store, and end."""
    for line in lines:
        say(line)
    if 400 <= error.status < 500 or error.code == "unreachable":
        say("Nothing was stored.")
    else:
        say("It is not known if it was stored. Rows with an external_id can be sent again: they are stored once.")
    raise typer.Exit(exit_code(error)) from error


def show_batch(batch: Batch, as_json: bool) -> None:
    """Print what became of rows."""
    if as_json:
        print_json(batch)
    else:
        print_batch(console, batch)
