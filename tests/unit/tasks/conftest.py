"""Task files, and an application to send them to."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

NDJSON = "application/x-ndjson"
Send = Callable[..., Any]


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def problem(**change: Any) -> dict[str, Any]:
    """A problem with other values; null takes a field out."""
    row = {"prompt": "What is 6 x 7?", "answer": "42"} | change
    return {name: value for name, value in row.items() if value is not None}


def sender(client: TestClient) -> Send:
    def send(body: bytes, media: str = NDJSON, headers: dict[str, str] | None = None, **query: Any) -> Any:
        query = {"name": "mine/maths", "verifier": "numeric", "accept": "true"} | query
        kept = {name: value for name, value in query.items() if value is not None}
        return client.post("/v1/tasks", content=body, params=kept, headers={"Content-Type": media} | (headers or {}))

    return send


@pytest.fixture
def send(client: TestClient) -> Send:
    return sender(client)


def count(client: TestClient, table: str) -> int:
    with client.app.state.gapcast.database.read() as session:  # type: ignore[attr-defined]
        return int(session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() or 0)
