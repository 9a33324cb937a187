"""`gapcast probes`: the gaps that a server has measured."""

from typing import Annotated

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.following import follow_probe, no_longer_following
from gapcast.cli.importing_scores import import_
from gapcast.cli.listing import (
    NAMED,
    PROBES,
    After,
    Limit,
    OfModel,
    OfName,
    OfStatus,
    OfTags,
    OfTask,
    filters,
    id_of,
    show_list,
)
from gapcast.cli.printing.lists import print_probes
from gapcast.cli.printing.probes import show_probe
from gapcast.cli.samples import sample_storage, samples
from gapcast.cli.terminal import AsJson, Url, console, errors, exit_on_refusal, print_json
from gapcast.client import DEFAULT_URL, Client
from gapcast.models import Probe

app = typer.Typer(
    name="probes",
    no_args_is_help=True,
    help="Probes, the measured gaps: list, show, follow, cancel, import, and what the model wrote.\n\n"
    "`gapcast probe` and predictions make one.",
)
app.command("import")(import_)
app.command()(samples)
app.command()(sample_storage)
Named = Annotated[str, typer.Argument(metavar="PROBE", help=f"Its id: {NAMED}.")]


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    model: OfModel = None,
    task: OfTask = None,
    status: OfStatus = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List probes, newest first; gaps in accuracy points with their standard errors."""
    wanted = filters(tag, model=model, task=task, status=status, name=name)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "probes",
            limit,
            lambda size: client.probes.list(limit=size, after=after, **wanted),
            print_probes,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(probe: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show a probe: the gap, its controls, and the cost of measuring it."""
    with exit_on_refusal(), Client(url) as client:
        show_probe(client.probes.get(id_of(client, PROBES, probe)), as_json=as_json)


@app.command()
def follow(probe: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow a probe until it has ended. Ctrl-C stops following, and the probe goes on."""
    with exit_on_refusal(), Client(url) as client:
        end_of_probe(client, client.probes.get(id_of(client, PROBES, probe)), url, as_json=as_json)


@app.command()
def cancel(probe: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a probe that has not ended, and the predictions that wait for it; what is measured is kept."""
    with exit_on_refusal(), Client(url) as client:
        found = client.probes.cancel(id_of(client, PROBES, probe))
    if as_json:
        print_json(found)
    else:
        state = found.status if found.ended else "cancelling"
        console.print(f"{found.id}: {state}", highlight=False, soft_wrap=True)


def end_of_probe(client: Client, probe: Probe, url: str, *, as_json: bool) -> None:
    """Follow a probe to its end, print it, and exit with 1 if it did not succeed."""
    try:
        ended = follow_probe(client, probe, errors if as_json else console)
    except KeyboardInterrupt:
        no_longer_following("probes", [probe.id], url, ("follow", "cancel"))
    show_probe(ended, as_json=as_json)
    if ended.status != "succeeded":
        raise typer.Exit(Exit.FAILED)
