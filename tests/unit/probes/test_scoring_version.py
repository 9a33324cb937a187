"""A probe's content address has the version of the verifiers that score it, but for the lab's tasks."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.contexts import context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration
from gapcast.contract.problems import SCORING_VERSION

LAB = ProbeConfiguration(
    model="m",
    model_revision="sha256:1",
    task="lab/addition",
    task_revision="sha256:2",
    context=context_of({"kind": "hints"}),
    template_version="2",
    decoding=Decoding(max_tokens=16),
    problems=8,
    rollouts=2,
    seed=0,
    controls=[],
)


def test_without_a_version_the_address_is_the_one_from_before_there_were_any() -> None:
    assert LAB.key == "c39d5a75295fd41855a14c393611da19786bcea6fd258521bab6d3d66ca61234"


def test_other_verifiers_are_another_address() -> None:
    keys = {LAB.model_copy(update={"scoring_version": version}).key for version in (None, "1", "2")}
    assert len(keys) == 3


@pytest.mark.slow
def test_a_file_task_is_asked_for_with_it_and_a_lab_task_without(
    client: TestClient, configuration: dict[str, Any]
) -> None:
    lab = client.post("/v1/probes", json=configuration).json()["configuration"]
    assert "scoring_version" not in lab
    asked = configuration | {"task": "gapcast/word-problems", "decoding": {"max_tokens": 16}}
    file = client.post("/v1/probes", json=asked).json()
    assert file["configuration"]["scoring_version"] == SCORING_VERSION
