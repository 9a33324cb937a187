"""Questions that a law of gaps alone got wrong, each asked, trained for real, and asked again (docs/law.md)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from tests.chaos.test_killed_training import ended
from tests.support.product import ask, serving

pytestmark = pytest.mark.slow

Body = dict[str, Any]

QUESTION: Body = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 2}},
    "probe": {"problems": 128, "rollouts": 4, "seed": 7},
}
HALF_WRONG: Body = {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(Path(tmp_path_factory.mktemp("questions")), {}) as (made, _):
        yield made


def asked(client: Client, **change: object) -> Body:
    made: Body = ask(client, "POST", "/v1/predictions", json=QUESTION | change, headers={"Prefer": "wait=60"})
    assert made["status"] == "succeeded", made
    return made


def trained(client: Client, prediction: Body, seed: int = 11) -> Body:
    body = {"prediction_id": prediction["id"], "seeds": [seed], "training": {"held_out_problems": 0, "export": "none"}}
    run: Body = ended(client, ask(client, "POST", "/v1/training_runs", json=body))
    assert run["status"] == "succeeded", run["error"]
    return run


def lacking(prediction: Body) -> list[str]:
    return [one["code"] for one in prediction["support"]["missing"]]


def test_the_usual_question_is_advised_and_comes_true(client: Client) -> None:
    prediction = asked(client)
    assert (prediction["verdict"], prediction["support"]["known"]) == ("train", "configuration")
    run = trained(client, prediction)
    widest = prediction["improvement"]["intervals"][-1]
    assert widest["lower"] <= run["improvement"]["value"] <= widest["upper"]


@pytest.mark.parametrize(
    ("change", "verdicts", "codes"),
    [
        # its law, of the first 15 steps, promises so little that the measured gap decides which of these it is
        ({"recipe": {"steps": 1}}, {"pilot", "probe_more", "undecided"}, ["dose_outside"]),
        ({"recipe": {"learning_rate": 1e-6}}, {"pilot"}, ["tuning_new"]),
        ({"recipe": {"lora_rank": 4}}, {"pilot"}, ["tuning_new"]),
        ({"context": HALF_WRONG}, {"undecided"}, ["context_gained_little"]),
        ({"recipe": {"teacher": "ema"}}, {"pilot"}, ["few_runs"]),
    ],
    ids=["one-step", "slow", "lora", "half-wrong", "ema"],
)
def test_a_run_that_nothing_stored_covers_is_not_advised_and_its_outcome_comes_first_when_asked_again(
    client: Client, change: Body, verdicts: set[str], codes: list[str]
) -> None:
    prediction = asked(client, **change)
    assert prediction["verdict"] in verdicts
    assert lacking(prediction) == codes
    run = trained(client, prediction)
    again = asked(client, **change, pool="lab")
    same = {one["observation_id"]: one for one in again["support"]["nearest"] if one["same"] == "run"}
    assert again["support"]["nearest"][0]["same"] == "run"
    assert same[run["observation_id"]]["improvement"]["value"] == run["improvement"]["value"]
    assert again["verdict"] != "train"


def test_a_hundred_thousand_steps_are_not_advised(client: Client) -> None:
    prediction = asked(client, recipe={"steps": 100_000})
    assert (prediction["verdict"], lacking(prediction)) == ("pilot", ["dose_outside"])
