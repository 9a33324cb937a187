"""`gapcast predict`: what a configuration will gain."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.configuration import Configuration, Configurations, read_configurations
from gapcast.cli.predictions import end_of_prediction, end_of_predictions
from gapcast.cli.terminal import OF_A_RUN, AsJson, Name, Set, Tags, Url, exit_on_refusal, label, refuse
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject
from gapcast.contract.predictions import MOST_AT_ONCE
from gapcast.contract.training import TrainedProblems


def predict(
    configuration: Annotated[
        list[Path],
        typer.Argument(
            help="YAML or JSON files with the body of POST /v1/predictions, or a list of those; - reads standard input."
        ),
    ],
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Predict what a configuration will gain, and follow the probe while it is measured.

    The smallest configuration: {model: lab/addition-qwen3-s, task: lab/addition, context: {kind: hints}}

    Several configurations, in several files or in one (a list, or YAML documents), are printed as one table, the best
    first; each row is called by its `name`, else by its file. --set and --tag hold for all of them. All are asked, or
    none. With --json they are a list in the given order.

    Ctrl-C stops following, and the predictions go on. Exit code 0: predictions, whatever their verdicts.
    """
    read = read_configurations(configuration, set_)
    if len(read) > 1:
        _predict_all(read, name, tag, url, as_json=as_json)
        return
    (one,) = read
    body = _body(one, name, tag)
    with exit_on_refusal(one), Client(url) as client:
        end_of_prediction(client, client.predictions.create(body), url, as_json=as_json)


def _predict_all(
    read: Configurations, name: str | None, tags: Sequence[str] | None, url: str, *, as_json: bool
) -> None:
    if name is not None:
        refuse([f"--name: names one configuration, got {len(read)}. Write `name:` into each of them, or use --tag."])
    if len(read) > MOST_AT_ONCE:
        refuse(
            [f"CONFIGURATION: expected at most {MOST_AT_ONCE} configurations, got {len(read)}. Ask in several parts."]
        )
    bodies = [_body(one, None, tags) for one in read]
    with exit_on_refusal(read), Client(url) as client:
        asked = client.predictions.create_many(bodies).data
        end_of_predictions(client, asked, [one.title for one in read], url, as_json=as_json)


def _body(configuration: Configuration, name: str | None, tags: Sequence[str] | None) -> JsonObject:
    body = request_of(configuration) | label(configuration, name, tags)
    configuration.refuse_unsent("gapcast predict", body)
    return body


def request_of(configuration: Mapping[str, Any]) -> JsonObject:
    """The part of a run's configuration that a prediction depends on: of `training`, what is trained on."""
    body = {field: value for field, value in configuration.items() if field not in OF_A_RUN}
    training = configuration.get("training")
    if isinstance(training, dict):
        body["training"] = {name: value for name, value in training.items() if name in TrainedProblems.model_fields}
    return body
