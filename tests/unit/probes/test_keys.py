"""The client reads answers leniently, so that a newer server may say more; of ours it must know every key."""

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from gapcast.client.reading import read
from gapcast.contract.predictions import Answer, PredictionOut
from gapcast.contract.probes import ProbeOut
from service.jobs.models import JobState
from service.probes import repository as probes
from tests.support.results import probe, probe_result, stored
from tests.unit.probes.test_probes import Body, claim, database_of, end


def test_every_key_of_our_answers_is_a_field(client: TestClient, configuration: Body) -> None:
    prediction = client.post("/v1/predictions", json=configuration).json()
    probe_id = prediction["probe_id"]
    claim(client, probe_id)
    with database_of(client).write() as session:
        probes.store_partial(session, probe_id, stored(probe_result()))
    partial = client.get(f"/v1/probes/{probe_id}").json()
    end(client, probe_id, JobState.succeeded)
    measured = client.get(f"/v1/probes/{probe_id}").json()
    (listed,) = client.get("/v1/probes").json()["data"]
    answered = client.get(f"/v1/predictions/{prediction['id']}").json()
    assert partial["partial"]["covariates"]["log_ratio"]["tokens"] == 100
    assert answered["probe"]["arms"]["student"]["rollouts"] == 2
    for kind, answer in ((ProbeOut, partial), (ProbeOut, measured), (ProbeOut, listed), (PredictionOut, answered)):
        kind.model_validate(answer, extra="forbid")
    assert answered.keys() >= Answer.model_fields.keys(), "what a prediction stores is what it shows"


@pytest.mark.parametrize("path", [(), ("result",), ("result", "arms", "student"), ("configuration", "context")])
def test_what_a_newer_server_adds_is_left_out(path: tuple[str, ...]) -> None:
    ours = probe()
    answer = ours.model_dump(mode="json")
    place = answer
    for name in path:
        place = place[name]
    place["new"] = {"a": 1}
    assert read(ProbeOut, answer) == ours
    with pytest.raises(ValidationError, match=r"\bnew\b"):
        ProbeOut.model_validate(answer, extra="forbid")
