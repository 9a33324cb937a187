"""`gapcast predictions`: the predictions that a server has."""

from collections.abc import Sequence
from typing import Annotated

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.following import command, follow, follow_all, no_longer_following
from gapcast.cli.listing import (
    NAMED,
    PREDICTIONS,
    After,
    Limit,
    OfModel,
    OfName,
    OfPool,
    OfStatus,
    OfTags,
    OfTask,
    OfVerdict,
    filters,
    id_of,
    print_json_list,
    show_list,
)
from gapcast.cli.printing.batch import print_batch
from gapcast.cli.printing.lists import print_predictions
from gapcast.cli.printing.predictions import print_prediction
from gapcast.cli.terminal import AsJson, Url, console, errors, exit_on_refusal, print_json, say
from gapcast.client import DEFAULT_URL, Client
from gapcast.models import Prediction
from gapcast.words import count, pilot_command

app = typer.Typer(
    name="predictions",
    no_args_is_help=True,
    help="Predictions: list, show, follow, cancel.\n\n`gapcast predict` makes them.",
)
Named = Annotated[str, typer.Argument(metavar="PREDICTION", help=f"Its id: {NAMED}.")]


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    model: OfModel = None,
    task: OfTask = None,
    pool: OfPool = None,
    status: OfStatus = None,
    verdict: OfVerdict = None,
    name: OfName = None,
    tag: OfTags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List predictions, newest first; gaps and improvements in accuracy points."""
    wanted = filters(tag, model=model, task=task, pool=pool, status=status, verdict=verdict, name=name)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "predictions",
            limit,
            lambda size: client.predictions.list(limit=size, after=after, **wanted),
            print_predictions,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(prediction: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show a prediction: its figures, verdict and warnings, or what it waits for."""
    with exit_on_refusal(), Client(url) as client:
        found = client.predictions.get(id_of(client, PREDICTIONS, prediction))
    show_prediction(found, url, as_json=as_json)


@app.command("follow")
def follow_(prediction: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow a prediction until it has ended. Ctrl-C stops following, and the prediction goes on."""
    with exit_on_refusal(), Client(url) as client:
        found = client.predictions.get(id_of(client, PREDICTIONS, prediction))
        end_of_prediction(client, found, url, as_json=as_json)


@app.command()
def cancel(prediction: Named, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cancel a prediction that has not ended; its probe ends too unless another prediction waits for it."""
    with exit_on_refusal(), Client(url) as client:
        found = client.predictions.cancel(id_of(client, PREDICTIONS, prediction))
    if as_json:
        print_json(found)
    else:
        console.print(f"{found.id}: {found.status}", highlight=False, soft_wrap=True)


def end_of_prediction(client: Client, prediction: Prediction, url: str, *, as_json: bool) -> None:
    """Follow a prediction to its end, print it, and exit with 1 if it did not succeed."""
    try:
        ended = follow(client, prediction, errors if as_json else console)
    except KeyboardInterrupt:
        no_longer_following("predictions", [prediction.id], url, ("follow", "cancel"))
    show_prediction(ended, url, as_json=as_json)
    if ended.status != "succeeded":
        raise typer.Exit(Exit.FAILED)


def end_of_predictions(
    client: Client, predictions: Sequence[Prediction], titles: Sequence[str], url: str, *, as_json: bool
) -> None:
    """Follow several predictions to their ends, print them as one, and exit with 1 if one did not succeed."""
    try:
        ended = follow_all(client, predictions, titles, errors if as_json else console)
    except KeyboardInterrupt:
        say(f"\nNo longer following {count(len(predictions), 'prediction')}, which go on.")
        say(f"  {command('predictions', 'list', '', url)}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json:
        print_json_list(ended, ended[-1].id)
    else:
        print_batch(console, ended, titles)
    if any(one.status != "succeeded" for one in ended):
        raise typer.Exit(Exit.FAILED)


def show_prediction(prediction: Prediction, url: str, *, as_json: bool) -> None:
    """Print a prediction, and what can be done next."""
    if as_json:
        print_json(prediction)
        return
    print_prediction(console, prediction)
    console.print(f"{url.rstrip('/')}/predictions/{prediction.id}", highlight=False, soft_wrap=True)
    if prediction.probe is None:  # nor can a model be trained here that was measured elsewhere
        return
    if prediction.verdict == "train":
        console.print(f"To train it: gapcast train --prediction {prediction.id}", highlight=False, soft_wrap=True)
    if prediction.verdict == "pilot":
        console.print(pilot_command(prediction.id), highlight=False, soft_wrap=True)
