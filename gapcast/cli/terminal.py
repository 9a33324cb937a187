"""What the commands share: where they print, options that several take, how they read files and tell refusals."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import stamina.instrumentation
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from gapcast.client import GapcastError, Page
from gapcast.client.reading import Kind
from gapcast.client.requests import MOST_A_PAGE
from gapcast.contract.base import JsonObject

Configuration = dict[str, Any]
"""What a configuration's file holds, or what is sent of it; the server checks it"""

console = Console(emoji=False)  # `run:100:a` is a name and no picture
errors = Console(stderr=True, emoji=False)

Url = Annotated[str, typer.Option(envvar="GAPCAST_URL", help="Address of the server.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
OF_A_RUN = frozenset({"seeds", "training"})
"""what a configuration says for `gapcast train` alone, so that one file serves every command"""


def check_share(value: float | None) -> float | None:
    """Refuse an option's value that no share can have, before a server is asked."""
    if value is None or -1 <= value <= 1:
        return value
    hint = f": {value / 100:g} is {value:g} accuracy points" if math.isfinite(value) and abs(value) <= 100 else ""
    raise typer.BadParameter(f"{value:g} is no share between -1 and 1; shares are meant, not points{hint}.")


def check_width(value: float | None) -> float | None:
    """The same for a share that is above 0: a half-width, a standard error."""
    if value is not None and value <= 0:
        raise typer.BadParameter(f"{value:g} is not above 0.")
    return check_share(value)


def check_level(value: float) -> float:
    """The same for the level of an interval."""
    if 0 < value < 1:
        return value
    hint = f": {value / 100:g} is {value:g} %" if 1 < value < 100 else ""
    raise typer.BadParameter(f"{value:g} is no level between 0 and 1; a share is meant, not per cent{hint}.")


def read_configuration(path: Path) -> Configuration:
    """Read a YAML or JSON file that holds a mapping; `-` is standard input.

    Raises:
        typer.Exit: it is none, with code 2; what is wrong is printed.
    """
    import yaml

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        body = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        say(f"Cannot read {path}: {error}")
        raise typer.Exit(2) from error
    except (yaml.YAMLError, ValueError) as error:
        say(f"{path} is neither YAML nor JSON: {error}")
        raise typer.Exit(2) from error
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        say(f"{path} holds what JSON cannot say (a date, a NaN?): {error}")
        raise typer.Exit(2) from error
    if not isinstance(body, dict):
        say(f"{path} must hold a mapping with model, task and context.")
        raise typer.Exit(2)
    return body


def say(line: str) -> None:
    """Print one line to standard error as it is."""
    errors.print(line, highlight=False, markup=False, soft_wrap=True)


def print_refusal(error: GapcastError) -> None:
    """Print why a server refused: each field on a line of its own where there are several."""
    if len(error.errors) > 1:
        for row in error.errors:
            say(f"{row['param']}: {row['message']}")
    else:
        say(str(error))


def report_waits() -> None:
    """Report to standard error each longer wait that a server has asked for, and nothing else about repetitions.

    Without this stamina would log every repetition to standard output, where answers are.
    """
    stamina.instrumentation.set_on_retry_hooks([_report_wait])


def _report_wait(details: stamina.instrumentation.RetryDetails) -> None:
    if isinstance(details.caused_by, GapcastError) and details.caused_by.retry_after:
        say(f"{details.caused_by} Trying again in {details.wait_for:.0f} s.")


@contextmanager
def exit_on_refusal() -> Iterator[None]:
    """End with code 2 where the server refuses or does not answer, or a file cannot be read or written."""
    try:
        yield
    except GapcastError as error:
        print_refusal(error)
        raise typer.Exit(2) from error
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        raise typer.Exit(2) from error
    except ValueError as error:
        say(str(error))
        raise typer.Exit(2) from error


def row_refusals(error: GapcastError) -> Iterator[str]:
    """What is wrong with sent rows, one field a line: `row 3, gap.se: ...`."""
    for one in error.errors:
        at = re.fullmatch(r"observations\.(\d+)\.?(.*)", one["param"])
        if at is None:
            param, message = one["param"], one["message"]
            yield message if param in message else f"{param}: {message}"
            continue
        row, field = int(at[1]) + 1, at[2]
        message = one["message"].removeprefix(f"row {row}: ")
        value = None if message == "Field required" else one.get("value")  # that of the whole row
        sent = "" if value is None else f" (got {value!r})"
        yield f"row {row}{f', {field}' if field else ''}: {message}{sent}"
    if not error.errors:
        yield str(error)


def first(limit: int, pages: Callable[[int], Page[Kind]]) -> tuple[list[Kind], bool]:
    """Return the first `limit` items of a list, and True if there are more.

    Args:
        limit: how many.
        pages: asks for the list in pages of so many items.
    """
    found = list(islice(pages(min(limit + 1, MOST_A_PAGE)), limit + 1))
    return found[:limit], len(found) > limit


def print_json(answer: BaseModel | JsonObject | list[JsonObject]) -> None:
    """Print an answer for programs."""
    text = answer.model_dump_json(indent=2) if isinstance(answer, BaseModel) else json.dumps(answer, indent=2)
    typer.echo(text)


def print_table(console: Console, table: Table, *, wraps: bool = False) -> None:
    """Print a table as wide as it needs to be, so that no id and no number is broken.

    One of sentences `wraps` in a terminal; in a pipe nothing does.
    """
    if wraps and console.is_terminal:
        console.print(table, highlight=False)
        return
    wide = Console(file=console.file, width=10_000, emoji=False)
    wide.width = wide.measure(table).maximum
    wide.print(table, highlight=False)
