"""`gapcast predict`: what a configuration will gain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gapcast.cli.configuration import read_configuration
from gapcast.cli.predictions import end_of_prediction
from gapcast.cli.terminal import OF_A_RUN, AsJson, Name, Set, Tags, Url, exit_on_refusal, label
from gapcast.client import DEFAULT_URL, Client
from gapcast.contract.base import JsonObject
from gapcast.contract.training import TrainedProblems


def predict(
    configuration: Annotated[
        Path, typer.Argument(help="A YAML or JSON file with the body of POST /v1/predictions; - reads standard input.")
    ],
    set_: Set = None,
    name: Name = None,
    tag: Tags = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Predict what a configuration will gain, and follow the probe while it is measured.

    The smallest configuration: {model: lab/addition-qwen3-s, task: lab/addition, context: {kind: hints}}

    Ctrl-C stops following, and the prediction goes on. Exit code 0: a prediction, whatever its verdict.
    """
    read = read_configuration(configuration, set_)
    body = request_of(read) | label(read, name, tag)
    read.refuse_unsent("gapcast predict", body)
    with exit_on_refusal(read), Client(url) as client:
        end_of_prediction(client, client.predictions.create(body), url, as_json=as_json)


def request_of(configuration: Mapping[str, Any]) -> JsonObject:
    """The part of a run's configuration that a prediction depends on: of `training`, what is trained on."""
    body = {field: value for field, value in configuration.items() if field not in OF_A_RUN}
    training = configuration.get("training")
    if isinstance(training, dict):
        body["training"] = {name: value for name, value in training.items() if name in TrainedProblems.model_fields}
    return body
