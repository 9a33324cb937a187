"""`gapcast size`: how large a probe must be for a prediction as narrow as wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast.cli.configuration import read_configuration
from gapcast.cli.exits import Exit
from gapcast.cli.terminal import (
    AsJson,
    Set,
    Url,
    check_level,
    check_width,
    console,
    exit_on_refusal,
    print_json,
    print_table,
)
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject
from gapcast.models import ProbeSize
from gapcast.words import count, points

EXPECTED = {
    "request": "from the request",
    "pilot": "measured by the pilot",
    "family": "medians of the family's stored runs",
    "prior": "a guess, because no run of this family is stored",
}

OPTIONS = {
    "target_half_width": "--half-width",
    "level": "--level",
    "rollouts": "--rollouts",
    "pilot_probe_id": "--pilot",
    "most_problems": "--most-problems",
    "cost.per_problem": "--cost-per-problem",
    "cost.per_rollout": "--cost-per-rollout",
}
"""The options that set a field of the request."""
PARTS: dict[str, tuple[str, ...]] = {
    "model": ("name", "family"),
    "task": (),
    "context": (),
    "recipe": (),
    "decoding": ("thinking",),
    "training": ("problems",),
    "pool": (),
}
"""The fields of a configuration that are sent, and of some of them which fields."""


def size(
    configuration: Annotated[
        Path, typer.Argument(help="The YAML or JSON file of `gapcast predict`; - reads standard input.")
    ],
    half_width: Annotated[
        float,
        typer.Option(callback=check_width, help="Of the predicted improvement, a share: 0.05 is 5 accuracy points."),
    ],
    level: Annotated[float, typer.Option(callback=check_level, help="Of the interval.")] = 0.95,
    rollouts: Annotated[
        int | None, typer.Option(min=1, help="Per problem and arm (default: the cheapest number).")
    ] = None,
    pilot: Annotated[
        str | None,
        typer.Option(help="A measured probe, or its prediction, that shows how much problems and rollouts vary."),
    ] = None,
    most_problems: Annotated[
        int | None, typer.Option(min=2, help="The most problems (default: all that the task has).")
    ] = None,
    cost_per_problem: Annotated[float | None, typer.Option(min=0, help="In any unit (default: 0).")] = None,
    cost_per_rollout: Annotated[float | None, typer.Option(min=0, help="In the same unit (default: 1).")] = None,
    set_: Set = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say how many problems and rollouts a probe needs for a prediction as narrow as wanted.

    Of the configuration, model, task, context, recipe, pool, decoding.thinking and training.problems matter here.

    Exit code 1: no probe reaches the target.
    """
    read = read_configuration(configuration, set_)
    read.named_by(OPTIONS)
    body = request_of(read) | {"target_half_width": half_width, "level": level}
    read.refuse_unsent("gapcast size", body)
    cost = {"per_problem": cost_per_problem, "per_rollout": cost_per_rollout}
    with exit_on_refusal(read), Client(url) as client:
        if pilot is not None and pilot.startswith("pred_"):
            pilot = client.predictions.get(pilot).probe_id or pilot
        asked = {"rollouts": rollouts, "pilot_probe_id": pilot, "most_problems": most_problems}
        body |= {name: value for name, value in asked.items() if value is not None}
        body |= {"cost": {name: value for name, value in cost.items() if value is not None}}
        found = client.probes.size(body)
    if as_json:
        print_json(found)
    else:
        print_size(console, found)
    if not found.reachable:
        raise typer.Exit(Exit.FAILED)


def request_of(configuration: Mapping[str, Any]) -> JsonObject:
    """The part of a prediction's configuration that the size of a probe depends on."""
    body = {name: configuration[name] for name in PARTS if name in configuration}
    for name, fields in PARTS.items():
        if fields and isinstance(body.get(name), dict):
            body[name] = {field: body[name][field] for field in fields if field in body[name]}
    return body


def print_size(console: Console, found: ProbeSize) -> None:
    """Print a size, or why there is none; what was assumed and from where; the floor."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    level = f"at {100 * found.level:g} %"
    if found.problems is None or found.rollouts is None:
        console.print(f"[bold red]Not reachable.[/] {escape(found.message)}", highlight=False, soft_wrap=True)
    else:
        total = 2 * found.problems * found.rollouts
        cost = f", cost {found.cost:g}" if found.cost not in (None, total) else ""
        size = f"{found.problems} problems x {count(found.rollouts, 'rollout')}"
        table.add_row("Probe", f"[bold]{size}[/] in each arm: {total} rollouts{cost}")
        table.add_row("", f"in the configuration: probe: {{problems: {found.problems}, rollouts: {found.rollouts}}}")
        if found.gap_se is not None:
            table.add_row("Expect", f"a gap with a standard error of {100 * found.gap_se:.1f} points")
        if found.half_width is not None:
            table.add_row("", f"a prediction of ± {100 * found.half_width:.1f} points {level} (half-width)")
        else:
            table.add_row("", "[yellow]no prediction: the law does not reach such a gap[/]")
    floor = f"± {100 * found.floor:.1f} points {level} with an exactly known gap; no probe reaches less"
    table.add_row("Floor", floor)
    expected = found.expected
    gap = f"gap {points(expected.gap)} points, student {100 * expected.student:.1f} %"
    table.add_row("Assumed", f"{gap}: {EXPECTED.get(expected.source, expected.source)}")
    if found.variation.source == "pilot":
        table.add_row("", "problems and rollouts vary as in the pilot")
    else:
        table.add_row(
            "",
            "problems and rollouts vary as usual at that gap; to measure it, name a small probe with --pilot",
        )
    table.add_row(
        "", f"the run's improvement is measured with an error of ± {100 * found.measurement_se:.1f} points (SE)"
    )
    table.add_row("Law", found.fit_id)
    print_table(console, table, wraps=True)
