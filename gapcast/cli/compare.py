"""`gapcast compare`: which of several configurations to train."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.comparisons import NOT_ADVISED, end_of_comparison
from gapcast.cli.configuration import Configuration, Configurations, read_configurations
from gapcast.cli.following import command
from gapcast.cli.predict import request_of as request_of_prediction
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
from gapcast.contract.base import JsonObject
from gapcast.contract.faults import shown
from gapcast.models import Comparison
from gapcast.words import verdict

OPTIONS = {
    "confidence": "--confidence",
    "indifference": "--indifference",
    "pick": "--pick",
    "budget.rollouts": "--budget-rollouts",
    "budget.gpu_hours": "--budget-gpu-hours",
    "budget.minutes": "--budget-minutes",
}
"""The options that set a field of the request."""
WHOLE = frozenset({"base", "vary", "configurations"})
"""Fields by which a file is the request itself, and not one of the configurations."""


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
    asked.choose({"confidence": confidence, "indifference": indifference, "pick": pick or train}, budget)
    if pick is None and train is not None:
        asked.options.named_by({"pick": "--train"})
    body = asked.body | label(asked.options, name, tag)
    with exit_on_refusal(asked), Client(url) as client:
        found = client.comparisons.create(body)
        if detach:
            _tell_queued(found, url, as_json=as_json)
            return
        ended = end_of_comparison(client, found, url, as_json=as_json)
        if train is not None:
            _train(client, ended, train, url)


class Asked:
    """A comparison as a user asks for it, which knows where each of its fields stands.

    Attributes:
        body: of the request.
        options: a configuration whose places are those of fields that are not in `base` or `configurations`.
    """

    def __init__(
        self,
        body: JsonObject,
        options: Configuration,
        *,
        varied: Iterable[str] = (),
        base: Configuration | None = None,
        listed: Configurations | None = None,
    ) -> None:
        self.body, self.options = body, options
        self._varied, self._base, self._listed = list(varied), base, listed

    @classmethod
    def read(
        cls, paths: Sequence[Path], settings: Sequence[str] | None, vary: Sequence[str] | None, pool: str | None
    ) -> "Asked":
        """Read files and the options that belong to configurations.

        Raises:
            typer.Exit: with code 2, after what is wrong with them is printed.
        """
        varied = values_of(vary or [])
        read = read_configurations(paths, settings)
        first = read[0]
        if len(read) == 1 and WHOLE & first.keys():
            return cls._whole(first, varied, pool)
        bodies = [_body(one, pool) for one in read]
        if varied:
            if len(read) > 1:
                refuse([f"--vary: expected one configuration to vary, got {len(read)}. Leave --vary out."])
            return cls({"base": bodies[0], "vary": varied}, Configuration(), varied=varied, base=first)
        if len(read) == 1:
            refuse(
                [
                    f"{first.file}: expected several configurations, got one. Name another file, or vary a field of "
                    "it: --vary context=hints,feedback"
                ]
            )
        for one, body in zip(read, bodies, strict=True):
            if not one.number:  # in a file with others it is better called by its context, as the server does
                body.setdefault("name", one.title[-200:])
        return cls({"configurations": bodies}, Configuration(), listed=read)

    @classmethod
    def _whole(cls, file: Configuration, varied: Mapping[str, Any], pool: str | None) -> "Asked":
        """Take a file that is the request itself."""
        body, many = dict(file), file.get("configurations")
        for place, part in (("base", file.get("base")), *((f"configurations.{at}", one) for at, one in _items(many))):
            if pool is not None and isinstance(part, dict):
                part["pool"] = pool
                file.named_by({f"{place}.pool": "--pool"})
        if "base" in body:
            body["base"] = _sent(body["base"])
        if isinstance(many, list):
            body["configurations"] = [_sent(one) for one in many]
        file.refuse_unsent("gapcast compare", body)
        if varied:
            before = body.get("vary")
            body["vary"] = {**(before if isinstance(before, dict) else {}), **varied}
        return cls(body, file, varied=varied)

    def choose(self, rules: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
        """Set what the options say of the rules and the budget; what is None is left as it is."""
        given = {name: value for name, value in rules.items() if value is not None}
        limits = {name: value for name, value in budget.items() if value is not None}
        self.body |= given
        if limits:
            before = self.body.get("budget")
            self.body["budget"] = {**(before if isinstance(before, dict) else {}), **limits}
        self.options.named_by({field: OPTIONS[field] for field in (*given, *(f"budget.{name}" for name in limits))})

    def refusals(self, faults: Iterable[tuple[str, str]]) -> list[str]:
        """Return the lines to print about fields of the request, each where its user has written it."""
        lines = []
        for param, message in faults:
            head, _, rest = param.partition(".")
            option = next((field for field in self._varied if f"{param}.".startswith(f"vary.{field}.")), None)
            if option is not None:
                value = param.removeprefix(f"vary.{option}").removeprefix(".")
                lines.append(f"--vary {option}: {f'{value}: ' if value else ''}{message}")
            elif head == "base" and self._base is not None:
                lines += self._base.refusals([(rest, message)])
            elif head == "configurations" and rest and self._listed is not None:
                place = f"configurations.{rest.partition('.')[0]}."
                lines += self._listed.refusals([(rest, message.replace(place, ""))])
            else:
                lines += self.options.refusals([(param, message)])
        return [*dict.fromkeys(lines)]  # an option that does not fit does not fit any of them


def _items(many: Any) -> Iterable[tuple[int, Any]]:  # noqa: ANN401
    return enumerate(many) if isinstance(many, list) else ()


def _sent(part: Any) -> Any:  # noqa: ANN401
    """The part of a run's configuration that is compared; what is none is left for the server to refuse."""
    return request_of_prediction(part) if isinstance(part, dict) else part


def _body(one: Configuration, pool: str | None) -> JsonObject:
    if pool is not None:
        one["pool"] = pool
        one.named_by({"pool": "--pool"})
    body = request_of_prediction(one)
    one.refuse_unsent("gapcast compare", body)
    return body


def values_of(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values of each `--vary FIELD=VALUES`, a list or a mapping that names them.

    Raises:
        typer.Exit: with code 2, after what is wrong with them is printed.
    """
    from gapcast.cli.yaml_reading import read_yaml

    varied: dict[str, Any] = {}
    lines = []
    for setting in settings:
        field, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not all(field.split(".")):
            lines.append(f"--vary: expected FIELD=VALUES, got {shown(setting)}. Write --vary context=hints,feedback.")
            continue
        if field in varied:
            lines.append(f"--vary {field}: appears twice. Write all of its values into one.")
            continue
        read = read_yaml(f"[{text}]")
        lines += [f"--vary {field}: {fault.message}" for fault in read.faults]
        varied[field] = _values(field, read.value or [])
    if lines:
        refuse(lines)
    return varied


def _values(field: str, values: list[Any]) -> Any:  # noqa: ANN401
    (alone,) = values if len(values) == 1 else (None,)
    if isinstance(alone, list):
        values = alone  # brackets of the user's own
    elif isinstance(alone, dict) and not (
        (field == "context" and "kind" in alone) or (field == "model" and "name" in alone)
    ):
        return {name: _value(field, value) for name, value in alone.items()}
    return [_value(field, value) for value in values]


def _value(field: str, value: Any) -> Any:  # noqa: ANN401
    return {"kind": value} if field == "context" and isinstance(value, str) else value


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
