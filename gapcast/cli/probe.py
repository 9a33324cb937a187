"""`gapcast probe`: measure a gap, whatever any law says about it."""

from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.configuration import Configuration, read_configuration
from gapcast.cli.probes import end_of_probe
from gapcast.cli.terminal import OF_A_RUN, AsJson, Name, Set, Tags, Url, check_width, exit_on_refusal, label, refuse
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject

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
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Measure the gap of a configuration, with its controls, and follow the measurement.

    What was measured before is answered at once. Ctrl-C stops following, and the probe goes on.

    """
    read = read_configuration(configuration, set_)
    read.named_by({"target_gap_half_width": "--half-width"} if half_width is not None else {})
    body = request_of(read, half_width) | label(read, name, tag)
    read.refuse_unsent("gapcast probe", body, renamed={"recipe.group_size"})
    with exit_on_refusal(read), Client(url) as client:
        end_of_probe(client, client.probes.create(body), url, as_json=as_json)


def request_of(configuration: Configuration, half_width: float | None = None) -> JsonObject:
    """The part of a prediction's configuration that a probe depends on.

    Raises:
        typer.Exit: it brings a gap, or a width that is not the gap's.
    """
    if configuration.get("gap") is not None:
        advice = "Leave it out to measure it here, or ask `gapcast predict`."
        refuse([configuration.told("gap", f"was measured elsewhere already. {advice}")])
    if configuration.get("probe_id") is not None:
        refuse([configuration.told("probe_id", "names a probe that was measured already. Leave it out to measure.")])
    body = {name: value for name, value in configuration.items() if name not in OF_A_PREDICTION | {"gap", "probe_id"}}
    recipe, size = configuration.get("recipe"), body.get("probe")
    if isinstance(recipe, dict) and recipe.get("group_size") is not None:
        body.setdefault("group_size", recipe["group_size"])
    if body.get("probe", ...) is None:
        del body["probe"]
    if isinstance(size, dict) and size.get("target_half_width") is not None:
        if half_width is None:
            message = "belongs to a prediction. Name the gap's half-width with --half-width, or ask `gapcast predict`."
            refuse([configuration.told("probe.target_half_width", message)])
        body["probe"] = {name: value for name, value in size.items() if name != "target_half_width"}
    if half_width is not None:
        body["target_gap_half_width"] = half_width
    return body
