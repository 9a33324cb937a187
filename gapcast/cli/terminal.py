"""The parts that the commands share: consoles, common options, and how refusals are printed."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NoReturn, Protocol

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from gapcast.cli.exits import Exit, exit_code
from gapcast.client import GapcastError, Page
from gapcast.client.reading import Kind
from gapcast.client.requests import MOST_A_PAGE
from gapcast.client.retries import log as repetitions
from gapcast.contract.base import JsonObject
from gapcast.contract.faults import naming

if TYPE_CHECKING:
    from gapcast.cli.configuration import Configuration

UNPROCESSABLE = 422
console = Console(emoji=False)  # `run:100:a` is a name and no picture
errors = Console(stderr=True, emoji=False)

Url = Annotated[str, typer.Option(envvar="GAPCAST_URL", help="Address of the server.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field of the configuration, such as recipe.steps=300; may be repeated.",
        show_default=False,
    ),
]
_json_asked: ContextVar[bool] = ContextVar("json_asked", default=False)


def note_json(asked: bool) -> bool:
    """Note whether the command that begins was given --json, for what it prints of errors."""
    _json_asked.set(asked)
    return asked


AsJson = Annotated[
    bool,
    typer.Option(
        "--json", callback=note_json, help="Print the whole answer as JSON, and an error as the API's problem object."
    ),
]
Name = Annotated[str | None, typer.Option(help="A name of your own for it, at most 200 characters.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="A tag to find it by; may be repeated.", show_default=False)
]
OF_A_RUN = frozenset({"seeds", "training"})
"""Fields of a configuration for `gapcast train`, so that one file serves every command."""


def check_share(value: float | None) -> float | None:
    """Refuse an option's value that no share can have, before a server is asked."""
    if value is None or -1 <= value <= 1:
        return value
    raise typer.BadParameter(f"expected a share from -1 to 1, got {value:g}.{_in_points(value)}")


def check_width(value: float | None) -> float | None:
    """Refuse likewise what no width can be: a half-width, a standard error."""
    if value is None or 0 < value <= 1:
        return value
    raise typer.BadParameter(f"expected a share above 0 and at most 1, got {value:g}.{_in_points(value)}")


def check_difference(value: float | None) -> float | None:
    """Refuse likewise what no size of a difference can be."""
    if value is None or 0 <= value <= 1:
        return value
    raise typer.BadParameter(f"expected a share from 0 to 1, got {value:g}.{_in_points(value)}")


def _in_points(value: float) -> str:
    """Return the hint for a value above 1 that is probably meant in accuracy points, or nothing."""
    return f" {value / 100:g} is {value:g} accuracy points." if 1 < abs(value) <= 100 else ""


def check_level(value: float | None) -> float | None:
    """Refuse likewise a level of an interval, or a probability."""
    if value is None or 0 < value < 1:
        return value
    hint = f" {value / 100:g} is {value:g} %." if 1 < value < 100 else ""
    raise typer.BadParameter(f"expected a level between 0 and 1, got {value:g}.{hint}")


def say(line: str) -> None:
    """Print one line to standard error as it is."""
    errors.print(line, highlight=False, markup=False, soft_wrap=True)


class Written(Protocol):
    """A request that a user has written and a server may refuse: a configuration, several, a comparison."""

    def refusals(self, faults: Iterable[tuple[str, str]]) -> list[str]:
        """Return the lines to print about fields and what is wrong with them."""
        ...


def print_refusal(error: GapcastError, configuration: "Written | None" = None) -> None:
    """Print why a server refused: each field on a line of its own, with its line in the file if it has one.

    With --json it is a problem object (RFC 9457) on standard output, so that a program reads one document there.
    """
    if _json_asked.get():
        print_json(problem_of(error))
    if configuration is not None and error.status == UNPROCESSABLE and error.errors:
        for line in configuration.refusals([(row["param"], row["message"]) for row in error.errors]):
            say(line)
    elif len(error.errors) > 1:
        for row in error.errors:
            say(f"{row['param']}: {row['message']}")
    else:
        say(str(error))


def print_faults(lines: Sequence[str]) -> None:
    """Print what is wrong with a command or a file, before a server is asked; with --json a problem object too."""
    if _json_asked.get():
        print_json({"title": "Invalid command", "status": 0, "code": "invalid_command", "detail": "\n".join(lines)})
    for line in lines:
        say(line)


def refuse(lines: Sequence[str]) -> NoReturn:
    """Print what is wrong with a command or a file, and exit with 2."""
    print_faults(lines)
    raise typer.Exit(Exit.REFUSED)


def problem_of(error: GapcastError) -> JsonObject:
    """Return an exception of the client as the API's problem object; without an answer its status is 0."""
    title = HTTPStatus(error.status).phrase if error.status else "No answer"
    problem = {"title": title, "status": error.status, "code": error.code, "detail": str(error)}
    return problem | ({"param": error.param, "errors": error.errors} if error.errors else {})


def label(configuration: "Configuration", name: str | None, tags: Sequence[str] | None) -> JsonObject:
    """Return the fields that --name and --tag set, and let their faults name the options."""
    given = {"name": name, "tags": list(tags) if tags else None}
    fields = {field: value for field, value in given.items() if value is not None}
    configuration.named_by({"name": "--name", "tags": "--tag"} if fields else {})
    return fields


def plain_unless_terminal(app: typer.Typer) -> None:
    """Let help and usage errors draw boxes only where somebody looks at a terminal."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        app.rich_markup_mode = None


class _Waits(logging.Handler):
    """Prints what the client logs to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record's message."""
        say(record.getMessage())


WAITS = _Waits(logging.INFO)


def report_waits() -> None:
    """Report to standard error each wait that a server has asked for, and nothing else about repetitions."""
    repetitions.setLevel(logging.INFO)
    repetitions.addHandler(WAITS)


@contextmanager
def exit_on_refusal(configuration: "Written | None" = None) -> Iterator[None]:
    """End with a message and an exit code if the server refuses or does not answer, or a file cannot be used."""
    try:
        yield
    except GapcastError as error:
        print_refusal(error, configuration)
        raise typer.Exit(exit_code(error)) from error
    except OSError as error:
        refuse([f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)])
    except ValueError as error:
        refuse([str(error)])


def row_refusals(error: GapcastError) -> Iterator[str]:
    """Yield the faults of sent rows, one field a line: `row 3, gap.se: ...`, `row 3 (line 4), gap.se: ...`."""
    for one in error.errors:
        at = re.fullmatch(r"observations\.(\d+)\.?(.*)", one["param"])
        if at is None:
            param, message = one["param"], one["message"]
            yield message if param in message else f"{param}: {message}"
            continue
        field = f", {at[2]}" if at[2] else ""
        placed = re.match(r"(row \d+(?: \(line \d+\))?): ", one["message"])
        row = placed[1] if placed is not None else f"row {int(at[1]) + 1}"
        message = one["message"][placed.end() if placed is not None else 0 :]
        yield f"{row}{field}: {naming(message, one.get('value'))}"
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


def print_panel(console: Console, table: Table, title: str) -> None:
    """Print a table in a box under a title; outside a terminal without the box."""
    if console.is_terminal:
        console.print(Panel(table, title=title, title_align="left", expand=False), highlight=False)
    else:
        console.print(title, highlight=False, markup=False)
        print_table(console, table)


def print_table(console: Console, table: Table, *, wraps: bool = False) -> None:
    """Print a table as wide as it needs to be, so that no id and no number is broken.

    One of sentences `wraps` in a terminal; in a pipe nothing does.
    """
    if not console.is_terminal:
        table.box = None
    if wraps and console.is_terminal:
        console.print(table, highlight=False)
        return
    wide = Console(file=console.file, width=10_000, emoji=False)
    wide.width = wide.measure(table).maximum
    wide.print(table, highlight=False)
