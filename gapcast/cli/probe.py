"""`gapcast probe`: measure a gap, whatever any law says about it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.configuration import Configuration, read_configuration
from gapcast.cli.following import follow_probe
from gapcast.cli.printing.probes import print_probe
from gapcast.cli.terminal import (
    OF_A_RUN,
    AsJson,
    Set,
    Url,
    check_width,
    console,
    errors,
    exit_on_refusal,
    print_json,
    say,
)
from gapcast.client import DEFAULT_URL, Client, GapcastError
from gapcast.contract.base import JsonObject
from gapcast.models import Probe

OF_A_PREDICTION = OF_A_RUN | {"recipe", "pool", "levels", "min_gain"}
"""Fields of a configuration about the run and the law, which a gap does not depend on."""


def probe(
    configuration: Annotated[
        Path, typer.Argument(help="The YAML or JSON file of `gapcast predict`; - reads standard input.")
    ],
    half_width: Annotated[
        float | None,
        typer.Option(
            callback=check_width,
            help="Stop once the gap's 95 % interval is this narrow, a share: 0.05 is 5 accuracy points; "
            "probe.problems is then the most.",
        ),
    ] = None,
    set_: Set = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Measure the gap of a configuration, with its controls, and follow the measurement.

    What was measured before is answered at once. Ctrl-C cancels, and what was measured so far is printed.

    Exit codes: 0 measured, 1 it failed, 2 the configuration or the server is wrong, 130 cancelled by Ctrl-C.
    """
    read = read_configuration(configuration, set_)
    read.named_by({"target_gap_half_width": "--half-width"} if half_width is not None else {})
    body = request_of(read, half_width)
    shown = errors if as_json else console
    interrupted = False
    with exit_on_refusal(read), Client(url) as client:
        created = client.probes.create(body)
        try:
            found = follow_probe(client, created, shown)
        except KeyboardInterrupt:
            interrupted = True
            found = _cancel(client, created)
    if as_json:
        print_json(found)
    else:
        print_probe(console, found)
    if interrupted:
        raise typer.Exit(130)
    if found.status != "succeeded":
        raise typer.Exit(1)


def request_of(configuration: Configuration, half_width: float | None = None) -> JsonObject:
    """The part of a prediction's configuration that a probe depends on.

    Raises:
        typer.Exit: it brings a gap, or a width that is not the gap's.
    """
    if configuration.get("gap") is not None:
        advice = "Leave it out to measure it here, or ask `gapcast predict`."
        say(configuration.told("gap", f"was measured elsewhere already. {advice}"))
        raise typer.Exit(2)
    body = {name: value for name, value in configuration.items() if name not in OF_A_PREDICTION | {"gap"}}
    recipe, size = configuration.get("recipe"), body.get("probe")
    if isinstance(recipe, dict) and recipe.get("group_size") is not None:
        body.setdefault("group_size", recipe["group_size"])
    if body.get("probe", ...) is None:
        del body["probe"]
    if isinstance(size, dict) and size.get("target_half_width") is not None:
        if half_width is None:
            message = "belongs to a prediction. Name the gap's half-width with --half-width, or ask `gapcast predict`."
            say(configuration.told("probe.target_half_width", message))
            raise typer.Exit(2)
        body["probe"] = {name: value for name, value in size.items() if name != "target_half_width"}
    if half_width is not None:
        body["target_gap_half_width"] = half_width
    return body


def _cancel(client: Client, created: Probe) -> Probe:
    """Cancel a probe that was interrupted, and return it as it ended; in a terminal only after asking."""
    again = "the same command follows it again"
    try:
        question = "\nCancel the measurement? Predictions that wait for it end too."
        if sys.stdin.isatty() and not typer.confirm(question, default=True, err=True):
            say(f"{created.id} goes on; {again}.")
            raise typer.Exit(130)
        say(f"Cancelling {created.id} ...")
        try:
            client.probes.cancel(created.id)
        except GapcastError as error:
            if error.code != "conflict":  # it has ended meanwhile
                raise
        found = client.probes.get(created.id, wait=60)
    except (KeyboardInterrupt, typer.Abort):
        say(f"No longer waiting for {created.id}; {again}.")
        raise typer.Exit(130) from None
    if not found.ended:
        say(f"The worker has not stopped yet; {created.id} is cancelled as soon as it does.")
    return found
