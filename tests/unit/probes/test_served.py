"""A model that is served by URL was loaded by somebody else, with options of their choice."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.listed_models import ModelEntry

Body = dict[str, Any]


@pytest.fixture
def served(client: TestClient, configuration: Body) -> TestClient:
    state = client.app.state.gapcast  # type: ignore[attr-defined]
    entry = ModelEntry(name="olmo", family="olmo-3", url="http://gpu-box:8000/v1", revision="b1e2d3")
    state.settings = state.settings.model_copy(update={"models": [entry]})
    return client


@pytest.mark.parametrize("path", ["/v1/probes", "/v1/predictions"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("dtype", "float32"), ("quantization", "awq"), ("tensor_parallel", 2), ("memory_share", 0.5)],
)
def test_options_that_are_the_servers_are_refused(
    served: TestClient, configuration: Body, path: str, name: str, value: object
) -> None:
    answer = served.post(path, json=configuration | {"model": {"name": "olmo", "options": {name: value}}})
    assert (answer.status_code, answer.json()["param"]) == (422, f"model.options.{name}")
    assert "is chosen by the server of olmo. Leave it out." in answer.json()["detail"]


def test_a_shorter_context_is_used_and_recorded(served: TestClient, configuration: Body) -> None:
    options = {"max_model_len": 4096, "dtype": "auto"}
    made = served.post("/v1/probes", json=configuration | {"model": {"name": "olmo", "options": options}}).json()
    assert made["configuration"]["model_options"]["max_model_len"] == 4096
    assert made["configuration"]["engine"] == "vllm-server"
