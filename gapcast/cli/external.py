"""`gapcast external`: runs that other programs train, as they were reported to a server."""

from typing import Annotated

import typer

from gapcast.cli.listing import (
    EXTERNAL_RUNS,
    NAMED,
    After,
    Limit,
    OfModel,
    OfName,
    OfPool,
    OfTags,
    OfTask,
    filters,
    id_of,
    show_list,
)
from gapcast.cli.printing.external import print_end, print_external, print_externals
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.external_runs import ExternalStatus

app = typer.Typer(
    name="external",
    no_args_is_help=True,
    help="Runs that are trained elsewhere: list, show, end, cancel, delete.\n\n`gapcast track` reports them.",
)
Named = Annotated[str, typer.Argument(metavar="RUN", help=f"Its id: {NAMED}.")]


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    model: OfModel = None,
    task: OfTask = None,
    pool: OfPool = None,
    status: Annotated[ExternalStatus | None, typer.Option(help="Only those of this status.")] = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first; gains in accuracy points."""
    wanted = filters(tag, model=model, task=task, pool=pool, status=status, name=name)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "external runs",
            limit,
            lambda size: client.external_runs.list(limit=size, after=after, **wanted),
            print_externals,
            as_json=as_json,
        )


@app.command()
def show(run: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show where a run is expected to end, now and after each of its looks so far."""
    with exit_on_refusal(), Client(url) as client:
        found = client.external_runs.get(id_of(client, EXTERNAL_RUNS, run))
    if as_json:
        print_json(found)
    else:
        print_external(console, found)


@app.command()
def end(
    run: Named,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="It ended before its last step: the estimate of its looks is stored.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """End a run: its last look is its outcome, and becomes an observation with its curve."""
    with exit_on_refusal(), Client(url) as client:
        found = client.external_runs.end(id_of(client, EXTERNAL_RUNS, run), stopped=stopped)
    if as_json:
        print_json(found)
    else:
        print_end(console, found)


@app.command()
def cancel(run: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """End a run without an observation; its looks are kept."""
    with exit_on_refusal(), Client(url) as client:
        found = client.external_runs.cancel(id_of(client, EXTERNAL_RUNS, run))
    if as_json:
        print_json(found)
    else:
        console.print(f"{found.id}: {found.status}", highlight=False, soft_wrap=True)


@app.command()
def delete(run: Named, url: Url = DEFAULT_URL) -> None:
    """Remove a run that has ended, with its looks; its observation stays."""
    with exit_on_refusal(), Client(url) as client:
        run_id = id_of(client, EXTERNAL_RUNS, run)
        client.external_runs.delete(run_id)
    console.print(f"{run_id}: deleted", highlight=False, soft_wrap=True)
