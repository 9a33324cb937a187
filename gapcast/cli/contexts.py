"""`gapcast contexts`: the ways to build the self-teacher's context."""

from typing import Annotated

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.printing.catalog import print_kind, print_kinds
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, say
from gapcast.client import DEFAULT_URL, Client


def contexts(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="Show its options and an example.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the context kinds, or show one with its options and an example."""
    with exit_on_refusal(), Client(url) as client:
        kinds = list(client.contexts.list())
    found = [one for one in kinds if kind in (None, one.kind)]
    if not found:
        say(f"There is no context kind {kind!r}; there are {', '.join(one.kind for one in kinds)}.")
        raise typer.Exit(Exit.REFUSED)
    if as_json:
        answer = [one.model_dump(mode="json") for one in found]
        print_json(answer if kind is None else answer[0])
    elif kind is None:
        print_kinds(console, found)
    else:
        print_kind(console, found[0])
