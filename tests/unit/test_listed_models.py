"""The settings' models are the list of what may be loaded; keys and places stay where they are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.app import create_app
from service.catalog import service as catalog
from service.errors import UnknownModel
from service.listed_models import ModelEntry
from service.loading import load
from service.settings import Settings

FOLDER: dict[str, Any] = {
    "name": "Qwen/Qwen3-8B",
    "family": "qwen3",
    "path": "/models/qwen3-8b",
    "revision": "sha256:" + "a" * 64,
    "parameters": 8_200_000_000,
}
SERVED: dict[str, Any] = {
    "name": "olmo",
    "family": "olmo-3",
    "url": "http://gpu-box:8000/v1/",
    "served_as": "allenai/Olmo-3-7B",
    "api_key": "hunter2",
    "revision": "b1e2d3",
    "context_length": 65536,
    "thinking": False,
}


def test_models_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gapcast.toml"
    tables = ["[[models]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in one.items()) for one in (FOLDER, SERVED)]
    file.write_text("port = 9000\n" + "\n".join(tables))
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    first, second = Settings().models
    assert (first.source, first.path, first.parameters) == ("folder", "/models/qwen3-8b", 8_200_000_000)
    assert (second.source, second.url, second.thinking) == ("server", "http://gpu-box:8000/v1", False)


def test_models_are_read_from_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPCAST_MODELS", json.dumps([FOLDER, SERVED]))
    assert [one.name for one in Settings().models] == ["Qwen/Qwen3-8B", "olmo"]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No file is named, and there is none in the folder."""
    monkeypatch.delenv("GAPCAST_CONFIG")
    monkeypatch.chdir(tmp_path)
    return monkeypatch


WRONG: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("name:", FOLDER, {"name": "lab/mine"}),
    ("name", FOLDER, {"name": "two words"}),
    ("name", FOLDER, {"name": ""}),
    ("family", FOLDER, {"family": "a|b"}),
    ("path:", FOLDER, {"url": "http://gpu-box/v1"}),
    ("path:", FOLDER, {"path": None}),
    ("path:", FOLDER, {"path": "models/qwen"}),
    ("path:", FOLDER, {"path": "/models/../etc"}),
    ("revision:", FOLDER, {"revision": "main"}),
    ("revision:", FOLDER, {"revision": "sha256:" + "A" * 64}),
    ("revision", FOLDER, {"revision": None}),
    ("api_key:", FOLDER, {"api_key": "x"}),
    ("served_as:", FOLDER, {"served_as": "x"}),
    ("api_key", SERVED, {"api_key": "hunter2\nX-Other: 1"}),
    ("api_key", SERVED, {"api_key": "hunter2 hunter2"}),
    ("api_key", SERVED, {"api_key": "hunter2ü"}),
    ("api_key", SERVED, {"api_key": " \n"}),
    ("url:", SERVED, {"url": "gpu-box:8000"}),
    ("url:", SERVED, {"url": "file:///etc/passwd"}),
    ("url:", SERVED, {"url": "http://user:hunter2@gpu-box/v1"}),
    ("url:", SERVED, {"url": "http://gpu-box/v1?key=hunter2"}),
    ("url:", SERVED, {"url": "http://gpu-box:99999/v1"}),
    ("revision", SERVED, {"revision": "x" * 81}),
    ("parameters", SERVED, {"parameters": 0}),
    ("colour", SERVED, {"colour": "red"}),
]


@pytest.mark.parametrize(
    ("told", "base", "change"), WRONG, ids=[f"{told}-{index}" for index, (told, _, _) in enumerate(WRONG)]
)
def test_a_wrong_entry_is_told_by_its_field_and_without_its_secrets(
    unset: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    told: str,
    base: dict[str, Any],
    change: dict[str, Any],
) -> None:
    entry = {name: value for name, value in (base | change).items() if value is not None}
    unset.setenv("GAPCAST_MODELS", json.dumps([entry]))
    with pytest.raises(SystemExit):
        load()
    printed = capsys.readouterr().err
    assert "models.0" in printed
    assert told in printed
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert "hunter2" not in printed + str(raised.value)


def test_a_key_is_read_without_the_white_space_around_it() -> None:
    entry = ModelEntry(**SERVED | {"api_key": " hunter2\n"})
    assert entry.api_key is not None
    assert entry.api_key.get_secret_value() == "hunter2"


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValidationError, match="got 'Qwen/Qwen3-8B' twice"):
        Settings(models=[FOLDER, FOLDER])  # type: ignore[list-item]


def test_a_variable_that_is_no_json_is_told(unset: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    unset.setenv("GAPCAST_MODELS", "[{")
    with pytest.raises(SystemExit):
        load()
    assert re.search(r"GAPCAST_MODELS.*JSON", capsys.readouterr().err)


def entries() -> list[ModelEntry]:
    return [ModelEntry(**FOLDER), ModelEntry(**SERVED)]


def test_the_lists_show_neither_path_nor_url_nor_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, models=entries())
    assert "hunter2" not in repr(settings)
    assert "gpu-box" not in repr(settings)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        listed = client.get("/v1/models")
        one = client.get("/v1/models/Qwen/Qwen3-8B")
        absent = client.get("/v1/models/gpt-17")
    rows = {row["name"]: row for row in listed.json()["data"]}
    assert {row["source"] for row in rows.values()} == {"lab", "folder", "server"}
    assert rows["olmo"] == {
        "object": "model",
        "name": "olmo",
        "family": "olmo-3",
        "parameters": None,
        "source": "server",
        "revision": "b1e2d3",
        "chat_template": None,
        "context_length": 65536,
        "thinking": False,
    }
    for hidden in ("hunter2", "gpu-box", "/models/"):
        assert hidden not in listed.text
    assert one.json() == rows["Qwen/Qwen3-8B"]
    assert (absent.status_code, absent.json()["code"]) == (404, "not_found")


def test_only_what_is_listed_is_found() -> None:
    assert catalog.find_model(entries(), "olmo").family == "olmo-3"
    assert catalog.find_model([], "lab/addition-qwen3-s").source == "lab"
    with pytest.raises(UnknownModel, match=r"list them: lab/.*olmo.*\[\[models\]\]") as raised:
        catalog.find_model(entries(), "Qwen/Qwen3-80B")
    assert raised.value.param == "model.name"


def test_workers_are_told_where_models_are() -> None:
    assert {one.name: catalog.model_source(one) for one in entries()} == {
        "Qwen/Qwen3-8B": {
            "name": "Qwen/Qwen3-8B",
            "path": "/models/qwen3-8b",
            "url": None,
            "served_as": None,
            "api_key": None,
        },
        "olmo": {
            "name": "olmo",
            "path": None,
            "url": "http://gpu-box:8000/v1",
            "served_as": "allenai/Olmo-3-7B",
            "api_key": "hunter2",
        },
    }
