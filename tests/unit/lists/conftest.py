"""The application on either database, with something of every kind in its lists; no worker runs here."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.database import Database
from service.settings import Settings

Body = dict[str, Any]


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[TestClient]:
    """The application on SQLite, and on PostgreSQL."""
    settings.database_url = database.engine.url.render_as_string(hide_password=False)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8321") as made:
        yield made


@pytest.fixture
def given(configuration: Body) -> Body:
    """A question that is answered at once: its gap was measured elsewhere."""
    rest = {name: value for name, value in configuration.items() if name != "probe"}
    return rest | {"gap": {"value": 0.3, "se": 0.03, "student": 0.25}, "pool": "lab"}
