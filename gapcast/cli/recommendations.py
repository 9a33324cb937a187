"""`gapcast recommendations`: the plans that a server has."""

from typing import Annotated

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.following import no_longer_following
from gapcast.cli.listing import (
    NAMED,
    RECOMMENDATIONS,
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
from gapcast.cli.printing.recommendations import print_recommendation, print_recommendations
from gapcast.cli.recommendation_following import follow_recommendation
from gapcast.cli.terminal import AsJson, Url, console, errors, exit_on_refusal, print_json
from gapcast.client import DEFAULT_URL, Client
from gapcast.models import Recommendation

app = typer.Typer(
    name="recommendations",
    no_args_is_help=True,
    help="Plans for a budget: list, show, follow, cancel.\n\n`gapcast recommend` makes them.",
)
Named = Annotated[str, typer.Argument(metavar="RECOMMENDATION", help=f"Its id: {NAMED}.")]


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
    """List recommendations, newest first; expected gains in accuracy points."""
    wanted = filters(tag, model=model, task=task, pool=pool, status=status, name=name)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "recommendations",
            limit,
            lambda size: client.recommendations.list(limit=size, after=after, **wanted),
            print_recommendations,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(recommendation: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show a recommendation: its steps and why, what it is expected to gain, and how far it is executed."""
    with exit_on_refusal(), Client(url) as client:
        found = client.recommendations.get(id_of(client, RECOMMENDATIONS, recommendation))
    show_recommendation(found, as_json=as_json)


@app.command()
def follow(recommendation: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow an executed plan until it has ended. Ctrl-C stops following, and the plan goes on."""
    with exit_on_refusal(), Client(url) as client:
        found = client.recommendations.get(id_of(client, RECOMMENDATIONS, recommendation))
        end_of_recommendation(client, found, url, as_json=as_json)


@app.command()
def cancel(recommendation: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a plan that is executed, and all that it has started; what was measured is kept."""
    with exit_on_refusal(), Client(url) as client:
        found = client.recommendations.cancel(id_of(client, RECOMMENDATIONS, recommendation))
    if as_json:
        print_json(found)
    else:
        console.print(f"{found.id}: {found.status}", highlight=False, soft_wrap=True)


def end_of_recommendation(client: Client, plan: Recommendation, url: str, *, as_json: bool) -> None:
    """Follow a plan to its end, print it, and exit with 1 if it did not succeed."""
    try:
        ended = follow_recommendation(client, plan, errors if as_json else console)
    except KeyboardInterrupt:
        no_longer_following("recommendations", [plan.id], url, ("follow", "cancel"))
    show_recommendation(ended, as_json=as_json)
    if ended.status != "succeeded":
        raise typer.Exit(Exit.FAILED)


def show_recommendation(plan: Recommendation, *, as_json: bool) -> None:
    """Print a plan."""
    if as_json:
        print_json(plan)
    else:
        print_recommendation(console, plan)
