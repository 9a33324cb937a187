"""Stored rollouts by REST: pages, files for other harnesses, whose they are, and who wants none."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.kit.database import Database
from service.samples import service as samples
from tests.support.samples import put_probe

pytestmark = pytest.mark.slow

Body = dict[str, Any]


def put(client: TestClient, tenant: str, probe_id: str) -> None:
    state = client.app.state.gapcast  # type: ignore[attr-defined]
    put_probe(state.database, tenant, probe_id)


def lines(client: TestClient, **query: Any) -> list[Body]:
    answer = client.get("/v1/probes/probe_1/samples/export", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_samples_are_read_in_pages_and_files_by_their_tenant(client: TestClient) -> None:
    put(client, "local", "probe_1")
    put(client, "another", "probe_2")
    for path in ("probes/probe_2/samples", "probes/probe_2/samples/export", "probes/probe_3/samples", "probes/probe_2"):
        assert client.get(f"/v1/{path}").status_code == 404, path
    first = client.get("/v1/probes/probe_1/samples", params={"limit": 3, "flip": "gained"}).json()
    assert [(one["arm"], one["rollout"], one["problem_id"]) for one in first["data"]] == [
        ("student", 0, "p/0"),
        ("context", 0, "p/0"),
        ("student", 0, "p/1"),
    ]
    query = {"flip": "gained", "after": first["last_id"]}
    (last,) = client.get("/v1/probes/probe_1/samples", params=query).json()["data"]
    assert (first["has_more"], last["completion"], last["context"]) == (True, "context says 0", "a hint")
    assert lines(client, arm="context", flip="gained")[1] == last
    refused = client.get("/v1/probes/probe_1/samples/export", params={"format": "lm-eval"})
    assert (refused.status_code, refused.json()["param"]) == (422, "arm")

    one, two = lines(client, format="lm-eval", arm="student")
    assert (one["doc_id"], one["target"], one["score"], one["scores"]) == (0, "1", 0.5, [0, 1])
    assert (one["resps"], one["filtered_resps"]) == ([["student says 0", "student says 1"]], [["0", "1"]])
    assert (one["arguments"], one["doc"]["id"]) == ({"gen_args_0": {"arg_0": "0+1"}}, "p/0")
    assert two["doc"]["prompt"][1] == {"role": "user", "content": "2+2"}
    traces = [episode["traces"][0] for episode in lines(client, format="verifiers", arm="student")]
    assert [one["rewards"]["score"]["score"] for one in traces] == [0, 1, 0, 1]
    assert [one["message"] for one in traces[2]["nodes"]] == [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "2+2"},
        {"role": "assistant", "content": "student says 0"},
    ]
    assert [one["task"]["data"]["idx"] for one in traces] == [0, 0, 1, 1]


def test_a_request_or_a_tenant_says_that_nothing_is_stored(client: TestClient, configuration: Body) -> None:
    put(client, "local", "probe_1")
    put(client, "another", "probe_2")
    open_, other = (client.post("/v1/probes", json=configuration).json() for _ in range(2))
    assert open_["id"] == other["id"]
    assert open_["samples"]["reason"] == "none"
    size = configuration["probe"] | {"samples": False}
    for path in ("probes", "predictions"):
        seed = {"seed": len(path)}
        private = client.post(f"/v1/{path}", json=configuration | {"probe": size | seed}).json()
        again = client.post("/v1/probes", json=configuration | {"probe": configuration["probe"] | seed}).json()
        assert again["id"] == private.get("probe_id", private["id"]), "the counts do not depend on it"
        assert again["samples"]["reason"] == "request", "and it stays private"
    assert client.get("/v1/sample_storage").json()["probes"] == 1
    off = client.put("/v1/sample_storage", json={"store": False}).json()
    assert (off["store"], off["probes"], off["bytes"]) == (False, 0, 0)
    assert client.get("/v1/probes/probe_1/samples").json()["data"] == []
    assert client.put("/v1/sample_storage", json={"store": True}).json()["store"] is True
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    with database.read() as session:
        assert samples.stored(session, "probe_2").count, "another tenant's stay"
