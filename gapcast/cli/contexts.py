"""`gapcast contexts`: the ways to build the self-teacher's context."""

from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.listing import print_json_list
from gapcast.cli.printing.catalog import print_kind, print_kinds
from gapcast.cli.rendering import render
from gapcast.cli.terminal import AsJson, Set, Url, console, exit_on_refusal, print_json, refuse
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.nearest import did_you_mean


def contexts(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Show its options and an example; or `render`.")
    ] = None,
    configuration: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="After `render`: the file of `gapcast predict`.")
    ] = None,
    problem: Annotated[str | None, typer.Option(help="After `render`: the id of the problem that is shown.")] = None,
    attempt: Annotated[
        list[Path] | None,
        typer.Option(help="After `render`: a file with an attempt of the student, first its own, then its peers'."),
    ] = None,
    set_: Set = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the context kinds, or show one with its options and an example.

    `gapcast contexts render CONFIG --problem ID` prints exactly what student and self-teacher see of a problem, with
    the model's own chat template. It runs on this machine, with its settings (as `gapcast worker`), without weights.
    """
    if kind == "render":
        if configuration is None or problem is None:
            refuse(["render: expected a configuration and --problem, got less. Name both."])
        render(configuration, set_, problem, attempt or [], as_json=as_json)
        return
    with exit_on_refusal(), Client(url) as client:
        kinds = list(client.contexts.list())
    found = [one for one in kinds if kind in (None, one.kind)]
    if not found:
        names = [one.kind for one in kinds]
        refuse([f"KIND: expected one of {', '.join(names)}, got {kind!r}.{did_you_mean(kind or '', names)}"])
    if as_json:
        if kind is None:
            print_json_list(found)
        else:
            print_json(found[0])
    elif kind is None:
        print_kinds(console, found)
    else:
        print_kind(console, found[0])
