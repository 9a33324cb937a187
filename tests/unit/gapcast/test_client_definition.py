"""Both clients are one, and the contract and the keyword arguments of the client agree."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gapcast import AsyncClient, Client
from gapcast.client import fields
from gapcast.contract import lists
from gapcast.contract.comparisons import ComparisonRequest
from gapcast.contract.external_runs import ExternalRunRequest, RunEnd
from gapcast.contract.forecasts import ForecastRequest
from gapcast.contract.imported_probes import ImportedProbe
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import ProbeRequest
from gapcast.contract.recommendations import RecommendationRequest
from gapcast.contract.sizing import SizeRequest
from gapcast.contract.training import TrainingRunRequest

ROOT = Path(__file__).parents[3]
RESOURCES = {
    *("pools", "predictions", "probes", "recommendations", "tasks", "training_runs"),
    *("comparisons", "contexts", "events", "external_runs", "fits", "forecasts", "health", "models", "observations"),
    "workers",
}


def public(thing: object) -> set[str]:
    return {name for name in {*dir(thing), *vars(thing)} if not name.startswith("_")}


def methods(resource: object) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(getattr(resource, name)) for name in public(resource)}


@pytest.mark.slow
def test_the_blocking_client_is_what_the_asynchronous_one_makes() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from make_sync_client import made  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    there = {file.name: file.read_text() for file in (ROOT / "gapcast/client/sync").glob("*.py")}
    assert there == made(), "run python docs/make_sync_client.py"


def test_a_client_shows_its_resources_and_nothing_of_its_machinery() -> None:
    with Client("http://127.0.0.1:9") as client:
        assert public(client) == RESOURCES | {"url", "close"}
        assert client.url == "http://127.0.0.1:9"


def test_both_clients_have_the_same_methods() -> None:
    with Client("http://127.0.0.1:9") as client:
        other = AsyncClient("http://127.0.0.1:9")
        assert public(other) == public(client)
        for name in RESOURCES:
            ours, theirs = methods(getattr(client, name)), methods(getattr(other, name))
            assert ours.keys() == theirs.keys() != set()
            for method, signature in ours.items():
                assert signature.parameters.keys() == theirs[method].parameters.keys(), (name, method)


@pytest.mark.parametrize(
    ("given", "request_class"),
    [
        (fields.PredictionFields, PredictionRequest),
        (fields.ProbeFields, ProbeRequest),
        (fields.SizeFields, SizeRequest),
        (fields.ComparisonFields, ComparisonRequest),
        (fields.RecommendationFields, RecommendationRequest),
        (fields.TrainingRunFields, TrainingRunRequest),
        (fields.ForecastFields, ForecastRequest),
        (fields.ExternalRunFields, ExternalRunRequest),
        (fields.ImportedProbeFields, ImportedProbe),
        (fields.RunEndFields, RunEnd),
    ],
)
def test_every_field_of_a_request_is_a_keyword_argument(given: Any, request_class: type[BaseModel]) -> None:
    assert given.__annotations__.keys() == request_class.model_fields.keys()


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        (fields.PredictionFilters, lists.PredictionQuery),
        (fields.ProbeFilters, lists.ProbeQuery),
        (fields.SampleFilters, lists.SampleQuery),
        (fields.ComparisonFilters, lists.ComparisonQuery),
        (fields.RecommendationFilters, lists.RecommendationQuery),
        (fields.TrainingRunFilters, lists.TrainingRunQuery),
        (fields.ListedObservations, lists.ObservationQuery),
    ],
)
def test_every_filter_of_a_list_is_a_keyword_argument(filters: Any, query: type[BaseModel]) -> None:
    assert filters.__annotations__.keys() == query.model_fields.keys() - lists.PageQuery.model_fields.keys()


MISTAKES = [
    "client.predictions.create(modle='x')",
    "client.training_runs.list(status='ended')",
    "client.predictions.get('x').verdikt",
    "client.create_prediction({})",
    "x: int = client.predictions.get('x')",
    "for one in client.probes.list(): one.nosuch",
]


@pytest.mark.slow
def test_a_type_checker_sees_mistakes_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "use.py"
    rest = [
        "client.predictions.create({}, min_gain=0.1).verdict",
        "client.training_runs.list(status='failed').data[0].id",
    ]
    file.write_text("\n".join(["from gapcast import Client", "client = Client()", *MISTAKES, *rest]))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    wrong = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if line.startswith(str(file))}
    assert wrong == {3 + index for index in range(len(MISTAKES))}, checked.stdout
