"""`gapcast runs`: training runs that a server has; list, show, forecast, follow, pause, resume, cancel, checkpoints."""

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal

import typer

from gapcast.cli.exits import Exit
from gapcast.cli.listing import (
    NAMED,
    PREDICTIONS,
    RUNS,
    After,
    Limit,
    OfModel,
    OfName,
    OfPool,
    OfTags,
    OfTask,
    OfVerdict,
    filters,
    id_of,
    show_list,
)
from gapcast.cli.printing.runs import print_checkpoints, print_forecast, print_run, print_runs
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, print_refusal
from gapcast.cli.train import follow_to_the_end, print_answer
from gapcast.client import DEFAULT_URL, Client, GapcastError, NotFound
from gapcast.contract.training import Status
from gapcast.models import TrainingRun

app = typer.Typer(
    name="runs",
    no_args_is_help=True,
    help="Training runs: list, show, forecast, follow, pause, resume, cancel, checkpoints.\n\n"
    "`gapcast train` queues them. Where a RUN is asked for, the id of a group stands for the runs of all of its seeds.",
)

GROUP = "rgrp_"
"""how the id of a group begins"""

Change = Literal["pause", "resume", "cancel"]

Runs = Annotated[list[str], typer.Argument(metavar="RUN", help=f"Ids of runs, or of groups; {NAMED}.")]


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    model: OfModel = None,
    task: OfTask = None,
    pool: OfPool = None,
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    verdict: OfVerdict = None,
    name: OfName = None,
    tag: OfTags = None,
    prediction: Annotated[str | None, typer.Option(help="Only those of this prediction.")] = None,
    group: Annotated[str | None, typer.Option(help="Only those of this group.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List training runs, newest first; gaps and improvements in accuracy points with their standard errors."""
    wanted = filters(tag, model=model, task=task, pool=pool, status=status, verdict=verdict, name=name, group_id=group)
    with exit_on_refusal(), Client(url) as client:
        if prediction is not None:
            wanted["prediction_id"] = id_of(client, PREDICTIONS, prediction)
        show_list(
            "runs",
            limit,
            lambda size: client.training_runs.list(limit=size, after=after, **wanted),
            print_runs,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(runs: Runs, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show what is known of runs: gap, improvement against prediction, accuracy by step, weights."""
    with exit_on_refusal(), Client(url) as client:
        found = [client.training_runs.get(one) for one in _named(client, runs)]
        if as_json:
            print_answer(found)
            return
        for one in found:
            goes_on = not one.ended and one.evaluations
            print_run(console, one, client.training_runs.forecast(one.id) if goes_on else None)


@app.command()
def forecast(
    run: Annotated[str, typer.Argument(metavar="RUN", help=f"Its id: {NAMED}.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show where a run is expected to end, now and after each of its evaluations so far, in accuracy points."""
    with exit_on_refusal(), Client(url) as client:
        found = client.training_runs.forecast(id_of(client, RUNS, run))
    if as_json:
        print_json(found)
    else:
        print_forecast(console, found)


@app.command()
def follow(runs: Runs, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow runs live to their ends, from whatever has happened so far.

    Ctrl-C stops following and leaves the runs alone.
    """
    with exit_on_refusal(), Client(url) as client:
        found = [client.training_runs.get(one) for one in _named(client, runs)]
        follow_to_the_end(client, found, url, as_json=as_json)


@app.command()
def pause(runs: Runs, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Stop runs after the step that they are at, with a checkpoint, and free their workers."""
    _change(runs, "pause", {"queued", "running"}, url, as_json=as_json)


@app.command()
def resume(runs: Runs, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Queue paused runs again; they go on from their newest checkpoints."""
    _change(runs, "resume", {"paused"}, url, as_json=as_json)


@app.command()
def cancel(runs: Runs, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """End runs for good: they yield no observation, and their checkpoints are removed."""
    _change(runs, "cancel", {"queued", "running", "paused"}, url, as_json=as_json)


@app.command()
def checkpoints(
    run: Annotated[str, typer.Argument(metavar="RUN", help=f"Its id: {NAMED}.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the checkpoints that a run has written, with their folders on the worker."""
    with exit_on_refusal(), Client(url) as client:
        checkpoints = client.training_runs.checkpoints(id_of(client, RUNS, run))
        show_list("checkpoints", len(checkpoints.data), lambda _: checkpoints, print_checkpoints, as_json=as_json)


def _named(client: Client, names: Sequence[str], states: Collection[str] | None = None) -> Iterator[str]:
    """The ids that names stand for; of a group only the runs in these states.

    Raises:
        NotFound: a group has no such run.
    """
    for name in names:
        if not name.startswith(GROUP):
            yield id_of(client, RUNS, name)
            continue
        members = list(client.training_runs.list(group_id=name))[::-1]  # as they were posted
        fitting = [one.id for one in members if states is None or one.status in states]
        if not fitting:
            what = f"run that is {' or '.join(sorted(states))}" if members and states is not None else "run"
            raise NotFound(f"{name} has no {what}.", status=404, code="not_found")
        yield from fitting


def _change(
    names: Sequence[str],
    change: Change,
    states: Collection[str],
    url: str,
    *,
    as_json: bool,
) -> None:
    """Ask for the same change of several runs, and tell what became of each; exit with 2 where one was refused."""
    changed: list[TrainingRun] = []
    refused = False
    with exit_on_refusal(), Client(url) as client:
        asks = {"pause": client.training_runs.pause, "resume": client.training_runs.resume}
        ask = asks.get(change, client.training_runs.cancel)
        for run_id in list(_named(client, names, states)):
            try:
                one = ask(run_id)
            except GapcastError as error:
                print_refusal(error)
                refused = True
                continue
            changed.append(one)
            if not as_json:
                console.print(f"{one.id} (seed {one.seed}): {_becomes(one, change)}", highlight=False, soft_wrap=True)
    if as_json and changed:
        print_answer(changed)
    if refused:
        raise typer.Exit(Exit.REFUSED)


def _becomes(run: TrainingRun, change: Change) -> str:
    if run.status != "running":
        return run.status
    return "pausing" if change == "pause" else "cancelling"
