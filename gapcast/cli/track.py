"""`gapcast track`: forecast a run that another program trains, from what it writes."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gapcast.cli.configuration import read_configuration
from gapcast.cli.exits import Exit
from gapcast.cli.listing import NAMED, PREDICTIONS, id_of
from gapcast.cli.printing.external import print_end, print_looks
from gapcast.cli.terminal import (
    AsJson,
    Name,
    Set,
    Tags,
    Url,
    check_level,
    check_share,
    check_width,
    console,
    errors,
    exit_on_refusal,
    label,
    print_json,
    refuse,
    say,
)
from gapcast.client import DEFAULT_URL, Client, GapcastError
from gapcast.client.retries import is_away
from gapcast.contract.base import JsonObject
from gapcast.contract.external_runs import ExternalRunRequest
from gapcast.contract.forecasts import MeasuredGap
from gapcast.contract.training import TrainedProblems
from gapcast.elsewhere.looks import PARTS, Form, LogError, Look, Looks, form_of, read_looks
from gapcast.models import ExternalRun


@dataclass(frozen=True)
class Log:
    """What is read, and how."""

    path: Path
    form: Form | None
    names: Mapping[str, str]
    percent: bool
    growing: bool

    def read(self) -> Looks | None:
        """Read the looks so far; None while there is none.

        Raises:
            LogError: the file does not hold the looks of a run.
            OSError: it cannot be read.
        """
        if self.growing and not self.path.exists():
            return None
        try:
            form = self.form or form_of(self.path)
        except LogError:
            if self.growing:
                return None  # its first lines may be those of something else
            raise
        return read_looks(self.path, form, self.names, percent=self.percent, growing=self.growing)


def _names(pairs: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for pair in pairs or ():
        part, equals, name = pair.partition("=")
        if not equals or part not in PARTS or not name:
            refuse([f"--map: expected PART=NAME, PART one of {', '.join(PARTS)}, got {pair!r}."])
        found[part] = name
    return found


def track(
    log: Annotated[
        Path,
        typer.Argument(
            help="A CSV file of step and accuracy, a log of verl's, prime-rl's metrics.jsonl, or a W&B offline run."
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The YAML or JSON file of `gapcast predict`; - reads standard input."),
    ] = None,
    prediction: Annotated[
        str | None, typer.Option(help=f"In place of --config: the run's prediction. Its id: {NAMED}.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on while the log grows.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --follow: seconds between two readings.")] = 10.0,
    format_: Annotated[Form | None, typer.Option("--format", help="What the log is (default: by its content).")] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PART=NAME",
            help="The column, or metric, of step, accuracy or se, such as accuracy=eval/acc; may be repeated.",
        ),
    ] = None,
    percent: Annotated[bool, typer.Option("--percent", help="Accuracies are in per cent.")] = False,
    baseline: Annotated[
        float | None,
        typer.Option(callback=check_share, help="Accuracy before training (default: the log's at step 0)."),
    ] = None,
    problems: Annotated[int | None, typer.Option(min=2, help="That each accuracy was measured on.")] = None,
    rollouts: Annotated[int | None, typer.Option(min=1, help="Of each problem.")] = None,
    gap: Annotated[float | None, typer.Option(callback=check_share, help="Gap before training; with --gap-se.")] = None,
    gap_se: Annotated[float | None, typer.Option(callback=check_width, help="Of the gap.")] = None,
    min_gain: Annotated[
        float | None, typer.Option(callback=check_share, help="Improvement that makes the run worth it, such as 0.05.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Let a rule say when to stop; the exit code is then 4.")] = False,
    error: Annotated[
        float | None,
        typer.Option(callback=check_level, help="With --stop: share of good runs that may be stopped (default 0.05)."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(callback=check_level, help="In place of --error: stop below this probability.")
    ] = None,
    stop_cold: Annotated[
        bool, typer.Option("--stop-cold", help="With --stop: even where no curves of such runs are stored.")
    ] = False,
    end: Annotated[bool, typer.Option("--end", help="Store the run as an observation at its last step.")] = False,
    external_id: Annotated[
        str | None, typer.Option(help="Your name of the run (default: by the log's path and the configuration).")
    ] = None,
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Forecast where a run that is trained elsewhere will end, from its accuracies so far.

    The server keeps the run and its looks (`gapcast external list`): the same command goes on where it was. It prints
    one line a look and one at the end, or with --json the run with its forecast. A standard error is a column of the
    log (--map se=NAME), or is assumed from --problems and --rollouts.

    Ctrl-C stops following. Exit codes: 0 done, 4 the rule of --stop says to stop the run.
    """
    if (config is None) == (prediction is None):
        refuse(["Name what is trained: --config FILE, or --prediction ID."])
    if (gap is None) != (gap_se is None):
        refuse(["Give the gap with its standard error: --gap and --gap-se."])
    if not stop and (error is not None or alpha is not None or stop_cold):
        refuse(["--error, --alpha and --stop-cold belong to --stop. Add it."])
    read = read_configuration(config, set_)
    body = request_of(read)
    if gap is not None:
        body["gap"] = {"value": gap, "se": gap_se}
    if stop:
        rule = {"error": error, "alpha": alpha, "cold": stop_cold or None}
        body["stop"] = {name: value for name, value in rule.items() if value is not None}
    given = {"min_gain": min_gain, "external_id": external_id}
    body |= {name: value for name, value in given.items() if value is not None}
    sizes = {"problems": problems, "rollouts": rollouts}
    body["evaluation"] = body.get("evaluation", {}) | {name: size for name, size in sizes.items() if size is not None}
    read.named_by({f"evaluation.{name}": f"--{name}" for name, size in sizes.items() if size is not None})
    body |= label(read, name, tag)
    if baseline is not None:
        body["baseline"] = {"accuracy": baseline}
    read.refuse_unsent("gapcast track", body)
    source = Log(log, format_, _names(map_), percent, follow)
    with exit_on_refusal(read), Client(url) as client:
        if prediction is not None:
            body["prediction_id"] = id_of(client, PREDICTIONS, prediction)
        try:
            run = _report(client, source, body, every, errors if as_json else console)
        except KeyboardInterrupt:
            say("No longer following. The same command goes on.")
            raise typer.Exit(Exit.INTERRUPTED) from None
        if end and run.status == "running" and run.looks and run.looks[-1].step == run.steps:
            run = client.external_runs.end(run.id)
    if as_json:
        print_json(run)
    else:
        print_end(console, run)
    if run.ruling is not None and run.ruling.stop:
        raise typer.Exit(Exit.STOP)


def request_of(configuration: Mapping[str, Any]) -> JsonObject:
    """The part of a run's configuration that its forecast depends on."""
    body = {name: value for name, value in configuration.items() if name in ExternalRunRequest.model_fields}
    training, gap = configuration.get("training"), configuration.get("gap")
    if isinstance(training, dict):
        body["training"] = {name: value for name, value in training.items() if name in TrainedProblems.model_fields}
        if "stop" in training:
            body.setdefault("stop", training["stop"])
        if isinstance(problems := training.get("evaluation_problems"), int):
            body.setdefault("evaluation", {"problems": problems})
    if isinstance(gap, dict):
        body["gap"] = {name: value for name, value in gap.items() if name in MeasuredGap.model_fields}
    return body


def _report(client: Client, source: Log, body: JsonObject, every: float, console: Console) -> ExternalRun:
    """Report every look that there is, or with --follow until the run's last step or until the rule says to stop."""
    run: ExternalRun | None = None
    reported, waits = 0, False
    while True:
        found = source.read()
        if found is not None:
            try:
                run = run or client.external_runs.create(_begin(source, body, found))
                new = [look for look in found.looks if look.step > reported]
                if new:
                    run = client.external_runs.append(run.id, [_sent(look) for look in new])
                    print_looks(console, run, reported)
                    reported = new[-1].step
            except GapcastError as error:
                if not (source.growing and is_away(error)):
                    raise
                say(f"{error} Trying again in {every:g} s.")
            if run is not None and (reported >= run.steps or (run.ruling is not None and run.ruling.stop)):
                return run
        if not source.growing:
            if run is None:
                raise LogError(f"{source.path}: expected the accuracies of a run, got none.")
            return run
        if found is None and not waits:
            say(f"Waiting for the first accuracy in {source.path} ...")
            waits = True
        time.sleep(every)


def _begin(source: Log, body: JsonObject, found: Looks) -> JsonObject:
    """The request for a run, its baseline and a name of it added where nobody gave them."""
    begun = dict(body)
    if "baseline" not in begun:
        first = found.looks[0]
        if first.step != 0:
            raise LogError(
                f"{first.where}: expected the accuracy before training at step 0, got step {first.step} first. Give "
                "it with --baseline."
            )
        begun["baseline"] = {"accuracy": first.accuracy} | ({"se": first.se} if first.se is not None else {})
    if found.rollouts is not None:
        begun["evaluation"] = {"rollouts": found.rollouts} | begun["evaluation"]
    named = json.dumps([str(source.path.resolve()), begun], sort_keys=True)
    begun.setdefault("external_id", f"track-{hashlib.sha256(named.encode()).hexdigest()[:16]}")
    return begun


def _sent(look: Look) -> JsonObject:
    return {"step": look.step, "value": look.accuracy} | ({"se": look.se} if look.se is not None else {})
