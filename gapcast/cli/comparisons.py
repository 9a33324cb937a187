"""`gapcast comparisons`: the comparisons that a server has."""

from typing import Annotated

import typer

from gapcast.cli.comparison_following import follow_comparison
from gapcast.cli.exits import Exit
from gapcast.cli.following import no_longer_following
from gapcast.cli.listing import (
    COMPARISONS,
    NAMED,
    After,
    Limit,
    OfModel,
    OfName,
    OfPool,
    OfStatus,
    OfTags,
    OfTask,
    filters,
    id_of,
    show_list,
)
from gapcast.cli.printing.comparisons import print_comparison, print_comparisons
from gapcast.cli.terminal import AsJson, Url, console, errors, exit_on_refusal, print_json
from gapcast.client import DEFAULT_URL, Client
from gapcast.models import Comparison

app = typer.Typer(
    name="comparisons",
    no_args_is_help=True,
    help="Comparisons of configurations: list, show, follow, cancel.\n\n`gapcast compare` makes them.",
)
Named = Annotated[str, typer.Argument(metavar="COMPARISON", help=f"Its id: {NAMED}.")]
NOT_ADVISED = frozenset({"skip", "refused"})
"""Verdicts of configurations that are not trained without somebody who asks for each by its id."""


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    model: OfModel = None,
    task: OfTask = None,
    pool: OfPool = None,
    status: OfStatus = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List comparisons, newest first; predicted improvements in accuracy points."""
    wanted = filters(tag, model=model, task=task, pool=pool, status=status, name=name)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "comparisons",
            limit,
            lambda size: client.comparisons.list(limit=size, after=after, **wanted),
            print_comparisons,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(comparison: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show a comparison: what to train, and how every configuration stands."""
    with exit_on_refusal(), Client(url) as client:
        found = client.comparisons.get(id_of(client, COMPARISONS, comparison))
    show_comparison(found, as_json=as_json)


@app.command()
def follow(comparison: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow a comparison until it has ended. Ctrl-C stops following, and the comparison goes on."""
    with exit_on_refusal(), Client(url) as client:
        found = client.comparisons.get(id_of(client, COMPARISONS, comparison))
        end_of_comparison(client, found, url, as_json=as_json)


@app.command()
def cancel(comparison: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a comparison that has not ended; its rounds are kept."""
    with exit_on_refusal(), Client(url) as client:
        found = client.comparisons.cancel(id_of(client, COMPARISONS, comparison))
    if as_json:
        print_json(found)
    else:
        console.print(f"{found.id}: {found.status}", highlight=False, soft_wrap=True)


def end_of_comparison(client: Client, comparison: Comparison, url: str, *, as_json: bool) -> Comparison:
    """Follow a comparison to its end, print it, and exit with 1 if it did not succeed."""
    try:
        ended = follow_comparison(client, comparison, errors if as_json else console)
    except KeyboardInterrupt:
        no_longer_following("comparisons", [comparison.id], url, ("follow", "cancel"))
    show_comparison(ended, as_json=as_json)
    if ended.status != "succeeded":
        raise typer.Exit(Exit.FAILED)
    return ended


def show_comparison(comparison: Comparison, *, as_json: bool) -> None:
    """Print a comparison, and what can be done next."""
    if as_json:
        print_json(comparison)
        return
    print_comparison(console, comparison)
    best = comparison.best
    if comparison.winner is not None and best is not None and comparison.winner.answer.verdict not in NOT_ADVISED:
        text = f"To train {best.name}: gapcast train --prediction {comparison.winner.prediction_id}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
