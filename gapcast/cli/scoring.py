"""`gapcast tasks score`: what a verifier says of outputs that the user has; no server and no model."""

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.exits import Exit
from gapcast.cli.terminal import AsJson, console, print_json, print_table, say
from gapcast.contract.base import JsonObject
from gapcast.contract.faults import sentence
from gapcast.contract.problems import Verifier, VerifierKind
from gapcast.launching import module_command, safe_environment
from gapcast.words import scored_outputs

MODULE = "workers.tasks.score"
MOST_READ = 60
"""characters of an answer or a note that a line of the table shows"""


def score(
    file: Annotated[
        Path, typer.Argument(help="A .jsonl file: a problem's fields and `completion` a line, and `label` if known.")
    ],
    verifier: Annotated[VerifierKind, typer.Option(help="How a completion is scored.")],
    options: Annotated[str | None, typer.Option(help="The verifier's, a JSON object.")] = None,
    opened: Annotated[
        bool,
        typer.Option(
            "--opened", help="The prompts ended with an opened thinking part (<think>): completions begin in it."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score outputs that you have: the score and the answer that was read of each, and a summary.

    A line is {"answer": "42", "completion": "... 42."}. A `label`, the score that a completion should have, is compared
    with the verifier's. Nothing is stored, and no server is asked.

    Exit codes: 0 done, 1 it could not be scored here, 2 a line or an option is wrong.
    """
    spec = verifier_of(verifier, options)
    arguments = [str(file), "--verifier", json.dumps(spec), *(["--opened"] if opened else [])]
    command = module_command(MODULE, *arguments)
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=safe_environment(os.environ), text=True, check=False)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    for row in rows:
        if "error" in row:
            say(row["error"])
    if ended.returncode:
        raise typer.Exit(Exit.REFUSED if ended.returncode == Exit.REFUSED else Exit.FAILED)
    summary = summary_of(rows)
    if as_json:
        print_json({"scores": rows, "summary": summary})
        return
    _print_scores(console, rows)
    say(scored_outputs(**summary))


def verifier_of(kind: str, options: str | None) -> JsonObject:
    """Return a verifier with its options, checked.

    Raises:
        typer.BadParameter: the options are not an object, or not this verifier's.
    """
    try:
        given = json.loads(options) if options is not None else {}
    except ValueError as error:
        raise typer.BadParameter(f"{options!r} is not JSON: {error}.", param_hint="--options") from error
    if not isinstance(given, dict):
        raise typer.BadParameter(f"expected a JSON object, got {options!r}.", param_hint="--options")
    spec = {**given, "kind": kind}
    try:
        TypeAdapter(Verifier).validate_python(spec)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != kind)
        raise typer.BadParameter(f"{place}: {sentence(first)}", param_hint="--options") from error
    return spec


def summary_of(rows: list[JsonObject]) -> dict[str, int]:
    """Count what was scored, and how often the label is the score."""
    labelled = [row for row in rows if row["label"] is not None]
    return {
        "outputs": len(rows),
        "right": sum(row["score"] >= 1 for row in rows),
        "partly": sum(0 < row["score"] < 1 for row in rows),
        "unread": sum(row["read"] is None and row["score"] == 0 for row in rows),
        "labelled": len(labelled),
        "agree": sum(row["score"] == row["label"] for row in labelled),
    }


def _print_scores(console: Console, rows: list[JsonObject]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    labelled = any(row["label"] is not None for row in rows)
    for name in ("Line", "Score", *(["Label"] if labelled else []), "Read", "Note"):
        table.add_column(name, justify="right" if name in {"Line", "Score", "Label"} else "left", overflow="fold")
    for row in rows:
        label = [f"{row['label']:g}" if row["label"] is not None else ""] if labelled else []
        texts = (escape(_short(row["read"] or "")), escape(_short(row["note"])))
        table.add_row(str(row["line"]), f"{row['score']:g}", *label, *texts)
    print_table(console, table)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_READ else f"{line[: MOST_READ - 3]}..."
