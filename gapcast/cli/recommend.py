"""`gapcast recommend`: what to probe and what to train with a budget."""

from pathlib import Path
from typing import Annotated

import typer

from gapcast.cli.comparing import Asked
from gapcast.cli.following import command
from gapcast.cli.recommendations import end_of_recommendation, show_recommendation
from gapcast.cli.terminal import AsJson, Name, Set, Tags, Url, exit_on_refusal, label, say
from gapcast.client import DEFAULT_URL, Client

OPTIONS = {
    "budget.gpu_hours": "--gpu-hours",
    "budget.runs": "--runs",
    "cost.hours_per_run": "--hours-per-run",
    "cost.seconds_per_rollout": "--seconds-per-rollout",
}
"""The options that set a field of the request."""


def recommend(
    space: Annotated[
        list[Path],
        typer.Argument(
            help="A YAML or JSON file with base and vary, or with a list of configurations of `gapcast predict`, or "
            "several files; - reads standard input."
        ),
    ],
    gpu_hours: Annotated[
        float | None,
        typer.Option(help="The most GPU-hours for probes and runs together; without a GPU, hours of a worker."),
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="The most training runs (default: 1).")] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUES",
            help="Choose among these values of a field, such as context=hints,feedback; may be repeated.",
            show_default=False,
        ),
    ] = None,
    hours_per_run: Annotated[
        float | None, typer.Option(help="GPU-hours of a training run (default: as stored runs of its model tell).")
    ] = None,
    seconds_per_rollout: Annotated[
        float | None, typer.Option(help="GPU-seconds of a probe's rollout (default: as stored probes and runs tell).")
    ] = None,
    pool: Annotated[str | None, typer.Option(help="The observations to predict from, for all configurations.")] = None,
    execute: Annotated[bool, typer.Option("--execute", help="Start the plan's steps, one after another.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="With --execute: do not follow it.")] = False,
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Plan what to probe and what to train with a budget: the steps, why, and what they are expected to gain.

    The search space is written as for `gapcast compare`: one file with base and vary, one file with a list, several
    files, or one file and --vary. Nothing is started without --execute.

    With --execute: Ctrl-C stops following, and the plan goes on. Exit code 0: a plan, or one that was executed.
    """
    asked = Asked.read(space, set_, vary, pool, "gapcast recommend")
    parts = {
        "budget": {"gpu_hours": gpu_hours, "runs": runs},
        "cost": {"hours_per_run": hours_per_run, "seconds_per_rollout": seconds_per_rollout},
    }
    for part, options in parts.items():
        given = {field: value for field, value in options.items() if value is not None}
        if given:
            before = asked.body.get(part)
            asked.body[part] = {**(before if isinstance(before, dict) else {}), **given}
            asked.options.named_by({f"{part}.{field}": OPTIONS[f"{part}.{field}"] for field in given})
    body = asked.body | label(asked.options, name, tag) | ({"execute": True} if execute else {})
    with exit_on_refusal(asked), Client(url) as client:
        plan = client.recommendations.create(body)
        if plan.ended or detach:
            show_recommendation(plan, as_json=as_json)
            if not plan.ended:
                say(f"To follow: {command('recommendations', 'follow', plan.id, url)}")
            return
        end_of_recommendation(client, plan, url, as_json=as_json)
