"""`gapcast train`: run what was predicted, or whatever a configuration says."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.configuration import read_configuration
from gapcast.cli.exits import Exit
from gapcast.cli.following import command, no_longer_following
from gapcast.cli.listing import NAMED, PREDICTIONS, id_of, print_json_list
from gapcast.cli.printing.runs import print_held, print_runs_ended
from gapcast.cli.run_following import follow_runs
from gapcast.cli.terminal import (
    AsJson,
    Name,
    Set,
    Tags,
    Url,
    console,
    errors,
    exit_on_refusal,
    label,
    print_json,
    refuse,
    say,
)
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject
from gapcast.models import TrainingRun

OF_A_PREDICTION = {"gap", "levels", "min_gain"}
"""Fields of a configuration about the law, which a run does not ask; it measures its own gap."""
OF_A_PROBE = {"problems", "seed", "controls", "target_half_width"}
"""Fields of `probe` that a run does not have: its baseline and gap have a seed and problems of their own."""

OPTIONS = {"prediction_id": "--prediction", "seeds": "--seeds", "pool": "--pool"}
"""The options that set a field of the request."""


def _check_share(text: str | None) -> str | None:
    if text is not None:
        share_of(text)
    return text


def share_of(text: str) -> float:
    """The number of `20%`, `20 %` or `0.2`.

    Raises:
        typer.BadParameter: it is something else, or not between 0 and 1.
    """
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise typer.BadParameter(f"expected a share of the steps such as 20% or 0.2, got {text!r}.")
    return share


def _check_seeds(text: str | None) -> str | None:
    if text is not None:
        seeds_of(text)
    return text


def seeds_of(text: str) -> list[int]:
    """The numbers of `0,1,2`.

    Raises:
        typer.BadParameter: it is something else.
    """
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"expected whole numbers such as 0,1,2, got {text!r}.") from error


def train(
    configuration: Annotated[
        Path | None,
        typer.Argument(help="The YAML or JSON file of `gapcast predict`; - reads standard input.", show_default=False),
    ] = None,
    prediction: Annotated[
        str | None,
        typer.Option(
            help="Run what this prediction was asked about; a file may then hold seeds and training alone. "
            f"Its id: {NAMED}."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(callback=_check_seeds, help="One run for each, such as 0,1,2 (default: 0).")
    ] = None,
    pool: Annotated[str | None, typer.Option(help="Where the observations go (default: as predictions do).")] = None,
    pilot: Annotated[
        str | None,
        typer.Option(
            callback=_check_share,
            help="Train to this share of the steps, such as 20%, forecast the end, and pause.",
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue the runs and do not follow them.")] = False,
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Train: one full OPSD run for each seed, all of them queued or none, and follow them to their ends.

    Each run measures its own baseline and gap, trains, is measured again, and becomes an observation of its pool.
    The file may also hold `seeds` and `training`; of its `probe` only rollouts and engine matter here. How many
    problems are trained on is `training.problems`.

    Ctrl-C stops following and leaves the runs alone; it prints how to follow, pause and cancel them.

    With --pilot, or where the file's `training.stop` stops it, a run pauses by itself; it then prints the end that is
    expected, and how to go on.

    Exit code 0: all succeeded or paused by themselves (with --detach: are queued).
    """
    if configuration is None and prediction is None:
        refuse(["Name a configuration file, or a prediction with --prediction."])
    read = read_configuration(configuration, set_)
    body = request_of(read)
    asked = {"prediction_id": prediction, "seeds": seeds_of(seeds) if seeds is not None else None, "pool": pool}
    given = {name: value for name, value in asked.items() if value is not None}
    read.named_by({name: OPTIONS[name] for name in given})
    body |= given | label(read, name, tag)
    if pilot is not None:
        read.named_by({"training.pilot": "--pilot"})
        block = body.get("training")
        body["training"] = (block if isinstance(block, dict) else {}) | {"pilot": share_of(pilot)}
    read.refuse_unsent("gapcast train", body)
    with exit_on_refusal(read), Client(url) as client:
        if prediction is not None:
            body["prediction_id"] = id_of(client, PREDICTIONS, prediction)
        try:
            runs = client.training_runs.create_group(body)
        except KeyboardInterrupt:
            say(f"It is not known if a run was queued. If so, this lists it: {command('runs', 'list', '', url)}")
            raise typer.Exit(Exit.INTERRUPTED) from None
        if detach:
            _tell_queued(runs, url, as_json=as_json)
            return
        follow_to_the_end(client, runs, url, as_json=as_json)


def request_of(configuration: Mapping[str, Any]) -> JsonObject:
    """The part of a prediction's configuration that a run depends on."""
    body = {name: value for name, value in configuration.items() if name not in OF_A_PREDICTION}
    size = body.get("probe", ...)
    if size is None:
        del body["probe"]
    if isinstance(size, dict):
        body["probe"] = {name: value for name, value in size.items() if name not in OF_A_PROBE}
    return body


def follow_to_the_end(client: Client, runs: Sequence[TrainingRun], url: str, *, as_json: bool) -> None:
    """Follow runs, print how they ended, and exit with 1 where one did not succeed, with 130 on Ctrl-C."""
    try:
        ended = follow_runs(client, runs, errors if as_json else console)
    except KeyboardInterrupt:
        no_longer_following("runs", names_of(runs), url, ("follow", "pause", "cancel"))
    if as_json:
        print_answer(ended)
    else:
        forecasts = {one.id: client.training_runs.forecast(one.id) for one in ended if one.held and one.evaluations}
        print_runs_ended(console, ended, forecasts)
        for one in ended:
            if one.held is not None:
                print_held(console, one, url)
    if any(one.status != "succeeded" and one.held is None for one in ended):
        raise typer.Exit(Exit.FAILED)


def _tell_queued(runs: Sequence[TrainingRun], url: str, *, as_json: bool) -> None:
    if as_json:
        print_answer(runs)
        return
    for one in runs:
        console.print(f"{one.id}  seed {one.seed}, {one.status}", highlight=False, soft_wrap=True)
    say(f"To follow: {command('runs', 'follow', ' '.join(names_of(runs)), url)}")


def print_answer(runs: Sequence[TrainingRun]) -> None:
    """Print one run as it is and several as a list, for programs."""
    if len(runs) == 1:
        print_json(runs[0])
    else:
        print_json_list(runs)


def names_of(runs: Sequence[TrainingRun]) -> list[str]:
    """Return what names all of these runs in a command: one's id, their group's, or all of their ids."""
    groups = {one.group_id for one in runs}
    if len(runs) > 1 and len(groups) == 1 and runs[0].group_id:
        return [runs[0].group_id]
    return [one.id for one in runs]
