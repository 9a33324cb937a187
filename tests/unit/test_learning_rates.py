"""The learning rate of a recipe that leaves it open."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.recipes import Recipe, usual_rate
from gapcast.words import rate
from service.listed_models import ModelEntry


@pytest.mark.parametrize(
    ("parameters", "full", "lora"),
    [
        (100_992, 5e-4, 5e-4),
        (134_515_008, 1e-5, 1e-4),
        (8_000_000_000, 3e-6, 3e-5),
        (70_000_000_000, 1e-6, 1e-5),
        (None, 3e-6, 3e-5),
    ],
)
def test_it_follows_from_the_size_and_from_what_is_trained(parameters: int | None, full: float, lora: float) -> None:
    assert (usual_rate(parameters, lora=False), usual_rate(parameters, lora=True)) == (full, lora)
    assert Recipe(lora_rank=8).with_rate(parameters).learning_rate == lora
    assert Recipe(learning_rate=2e-4).with_rate(parameters).learning_rate == 2e-4


def test_it_is_said_with_its_reason() -> None:
    assert rate(Recipe(lora_rank=8, learning_rate=1e-4)).endswith(
        "0.0001 (LoRA, the default of models up to 3B parameters)"
    )
    assert rate(Recipe(learning_rate=1e-6)).endswith("1e-06 (all weights, the default of models above 30B parameters)")
    assert rate(Recipe(learning_rate=2e-4)).endswith("0.0002 (all weights)")


def test_predictions_and_runs_record_the_rate_of_their_model(client: TestClient, configuration: dict[str, Any]) -> None:
    state = client.app.state.gapcast  # type: ignore[attr-defined]
    entry = ModelEntry(
        name="real", family="real", path="/models/real", revision="sha256:" + "a" * 64, parameters=8_000_000_000
    )
    state.settings = state.settings.model_copy(update={"models": [entry]})

    def rate_of(path: str, **more: Any) -> Any:
        made = client.post(path, json=configuration | more).json()
        return made.get("request", made.get("configuration"))["recipe"]["learning_rate"]

    real = {"model": "real"}
    given = {"gap": {"value": 0.1, "se": 0.02, "student": 0.4}, "probe": None}
    run = {"probe": {"rollouts": 2}}
    assert rate_of("/v1/predictions") == rate_of("/v1/training_runs", **run) == 5e-4
    assert rate_of("/v1/predictions", **real) == rate_of("/v1/training_runs", **real, **run) == 3e-6
    assert rate_of("/v1/training_runs", **real, **run, recipe={"lora_rank": 8, "steps": 9}) == 3e-5
    assert rate_of("/v1/predictions", **real, **given) == 3e-6
    assert rate_of("/v1/predictions", **real, recipe={"learning_rate": 2e-4}) == 2e-4
    elsewhere = {"model": {"name": "not listed", "family": "f"}, **given}
    assert rate_of("/v1/predictions", **elsewhere) == 5e-4, "nothing is known of it"
