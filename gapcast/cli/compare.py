"""`gapcast compare`: which of several configurations to train."""

from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.comparing import Asked
from gapcast.cli.comparisons import NOT_ADVISED, end_of_comparison
from gapcast.cli.following import command
from gapcast.cli.terminal import (
    AsJson,
    Name,
    Set,
    Tags,
    Url,
    check_difference,
    check_level,
    console,
    exit_on_refusal,
    label,
    print_json,
    refuse,
    say,
)
from gapcast.client import DEFAULT_URL, Client, Conflict
from gapcast.models import Comparison
from gapcast.words import verdict


def compare(
    configuration: Annotated[
        list[Path],
        typer.Argument(
            help="YAML or JSON files of `gapcast predict`, or of lists of them, or one with base and vary; "
            "- reads standard input."
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUES",
            help="Compare one configuration with these values of a field, such as context=hints,feedback or "
            "recipe.teacher=frozen,ema; may be repeated: every combination is compared.",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(callback=check_level, help="Probability of being right that ends it (default: 0.95)."),
    ] = None,
    indifference: Annotated[
        float | None,
        typer.Option(
            callback=check_difference,
            help="Improvements that differ by no more are as good as each other, a share: 0.01 is 1 accuracy point "
            "(default: 0.01).",
        ),
    ] = None,
    pick: Annotated[
        int | None, typer.Option(min=1, help="How many are to be trained (default: those of --train, else 1).")
    ] = None,
    budget_rollouts: Annotated[
        int | None,
        typer.Option(min=1, help="The most rollouts for choosing (default: as many as an equal split would take)."),
    ] = None,
    budget_gpu_hours: Annotated[float | None, typer.Option(help="The most GPU-hours for choosing.")] = None,
    budget_minutes: Annotated[float | None, typer.Option(help="The most minutes of work for choosing.")] = None,
    pool: Annotated[str | None, typer.Option(help="The observations to predict from, for all configurations.")] = None,
    train: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Then queue a training run of each of the N best.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue the comparison and do not follow it.")] = False,
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Find out which of 2 to 50 configurations to train, and follow it round by round.

    All get a few problems first; further ones go where they tell most about which is best. The winner is probed once
    more with fresh samples, which comes on top of the budget.

    The configurations are several files; one file with a list or several YAML documents; one file and --vary; or one
    file that is the body of POST /v1/comparisons, with base and vary. --set holds for each configuration. Values of
    --vary are YAML; for context a plain word is its kind: 'context=hints, {kind: hints, options: {level: 3}}'.

    With --train the runs are queued when the comparison has ended: the best by what their predictions say, but none
    whose verdict is to skip it.

    Ctrl-C stops following, and the comparison goes on, but nothing is trained.

    Exit code 0: a winner, whatever its verdict.
    """
    if train is not None and detach:
        refuse(["--train: the runs are queued when the comparison has ended. Leave --detach out."])
    if train is not None and pick is not None and pick < train:
        refuse([f"--train: expected at most --pick, {pick}, got {train}. Raise --pick, or leave it out."])
    asked = Asked.read(configuration, set_, vary, pool)
    budget = {"rollouts": budget_rollouts, "gpu_hours": budget_gpu_hours, "minutes": budget_minutes}
    asked.choose({"confidence": confidence, "indifference": indifference, "pick": pick}, budget)
    if train is not None:
        asked.pick_at_least(train)
    body = asked.body | label(asked.options, name, tag)
    with exit_on_refusal(asked), Client(url) as client:
        found = client.comparisons.create(body)
        if detach:
            _tell_queued(found, url, as_json=as_json)
            return
        ended = end_of_comparison(client, found, url, as_json=as_json)
        if train is not None:
            _train(client, ended, train, url)


def _tell_queued(comparison: Comparison, url: str, *, as_json: bool) -> None:
    if as_json:
        print_json(comparison)
        return
    console.print(f"{comparison.id}  {comparison.status}", highlight=False, soft_wrap=True)
    say(f"To follow: {command('comparisons', 'follow', comparison.id, url)}")


def _train(client: Client, comparison: Comparison, most: int, url: str) -> None:
    """Queue a run of each of the best, and say which are not queued and why; all of it on standard error."""
    queued = []
    for one in comparison.to_train[:most]:
        answer, prediction_id = comparison.answer_of(one), comparison.prediction_of(one)
        if answer is None or prediction_id is None or answer.verdict in NOT_ADVISED:
            advice = verdict(answer.verdict if answer is not None else None, one.request.min_gain)
            anyway = f" To train it all the same: gapcast train --prediction {prediction_id}" if prediction_id else ""
            say(f"{one.name}: no run is queued. {advice.name}: {advice.reason}{anyway}")
            continue
        try:
            run = client.training_runs.create(prediction_id=prediction_id, name=one.name, tags=comparison.tags)
        except Conflict as error:
            say(f"{one.name}: no run is queued. {error}")
            continue
        queued.append(run.id)
        say(f"{one.name}: {run.id}  seed {run.seed}, {run.status}")
    if queued:
        say(f"To follow: {command('runs', 'follow', ' '.join(queued), url)}")
