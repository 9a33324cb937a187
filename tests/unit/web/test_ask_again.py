"""What is offered to be copied asks for the same thing, in each of its forms."""

import ast
import json
import re
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from gapcast.cli.yaml_reading import read_yaml
from gapcast.contract.predictions import PredictionRequest
from tests.support.asking import run_of
from tests.support.markup import Elements

Body = dict[str, Any]
NASTY = "\"'YAML\nYAML\nJSON\n$(touch /tmp/x)`x`\N{RIGHT-TO-LEFT OVERRIDE}"


def copied(client: TestClient, path: str) -> dict[str, str]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    text = response.text
    return {name: Elements(text).whole_text_of(f"#again-{name}") for name in ("yaml", "command", "curl", "python")}


def between_lines(text: str, mark: str) -> str:
    """Return a here-document's text as a shell would read it: up to the first line that is the mark."""
    lines = text.split("\n")
    start = next(place for place, line in enumerate(lines) if line.endswith(f"<<'{mark}'"))
    return "\n".join(lines[start + 1 : lines.index(mark, start)])


def in_python(text: str) -> Body:
    found = re.search(r"\.create\(\n(.*)\n    \)\n$", text, re.DOTALL)
    assert found is not None
    body: Body = ast.literal_eval(found[1].strip())
    return body


CONTEXTS: list[Body] = [
    {"kind": "hints", "options": {"level": 2}},
    {"kind": "placebo", "options": {"of": "hints", "options": {"level": 2}}},
    {"kind": "static", "options": {"text": NASTY}},
    {"kind": "none"},
]


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda one: one["kind"])
def test_a_prediction(client: TestClient, configuration: Body, context: Body) -> None:
    asked = configuration | {"context": context, "name": "mine: #1", "min_gain": 0.01}
    made = client.post("/v1/predictions", json=asked)
    assert made.status_code == 202, made.text
    request = PredictionRequest.model_validate(made.json()["request"])
    said = copied(client, f"/predictions/{made.json()['id']}")
    bodies = [
        yaml.safe_load(said["yaml"]),
        yaml.safe_load(between_lines(said["command"], "YAML")),
        json.loads(between_lines(said["curl"], "JSON")),
        in_python(said["python"]),
    ]
    for body in bodies:
        assert PredictionRequest.model_validate(body) == request
        assert "decoding" not in body or "temperature" not in body["decoding"], "what holds anyway is left out"
    assert read_yaml(said["yaml"]), "the command reads it"
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in "".join(said.values())
    again = client.post("/v1/predictions", json=bodies[0]).json()
    assert again["probe_id"] == made.json()["probe_id"]


def test_a_run_with_the_next_seed(client: TestClient, configuration: Body) -> None:
    made = client.post("/v1/training_runs", json=run_of(configuration) | {"recipe": {"steps": 20}}).json()
    body = yaml.safe_load(copied(client, f"/training_runs/{made['id']}")["yaml"])
    again = client.post("/v1/training_runs", json=body)
    assert again.status_code == 202, again.text
    asked, first = again.json(), made["configuration"]
    assert asked["seed"] == made["seed"] + 1
    assert asked["configuration"] | {"seed": 0} == first | {"seed": 0}


def test_a_probe_a_comparison_and_a_recommendation(client: TestClient, configuration: Body) -> None:
    probe_id = client.post("/v1/predictions", json=configuration).json()["probe_id"]
    body = yaml.safe_load(copied(client, f"/probes/{probe_id}")["yaml"])
    assert client.post("/v1/probes", json=body).json()["id"] == probe_id
    base = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
    space = {"base": base, "vary": {"context": [{"kind": "hints"}, {"kind": "feedback"}]}}
    for path in ("comparisons", "recommendations"):
        made = client.post(f"/v1/{path}", json=space).json()
        body = yaml.safe_load(copied(client, f"/{path}/{made['id']}")["yaml"])
        assert client.post(f"/v1/{path}", json=body).json()["request"] == made["request"]
