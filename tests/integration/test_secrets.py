"""Secrets that the server is given are found nowhere: no log, event, error, answer, row, file or command line."""

import json
import os
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from tests.support.product import GAPCAST, ended, environment, serving

pytestmark = [pytest.mark.slow, pytest.mark.services]

NAMES = ("api", "database", "server", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY")
PATHS = ("/", "/openapi.json", "/readyz", "/v1/events?limit=500", "/v1/models", "/v1/tasks", "/v1/workers", "/v1/pools")


@pytest.fixture
def canaries() -> dict[str, str]:
    """A secret for each place that takes one."""
    return {name: f"canary{uuid.uuid4().hex}" for name in NAMES}


class Search:
    """Looks for secrets, and remembers where one was."""

    def __init__(self, canaries: dict[str, str]) -> None:
        self._canaries = {name: value.encode() for name, value in canaries.items()}
        self.found: set[str] = set()
        self.looked = 0

    def look(self, where: str, content: bytes | str) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.looked += 1
        self.found |= {f"{name} in {where}" for name, value in self._canaries.items() if value in data}

    def commands(self) -> None:
        """Look at the command line of every process of this machine."""
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                self.look(str(place), place.read_bytes())

    def files(self, folder: Path) -> None:
        """Look at the names and contents of a folder's files."""
        for path in folder.rglob("*"):
            self.look("a file's name", str(path))
            with suppress(OSError):
                if path.is_file():
                    self.look(str(path), path.read_bytes())

    def rows(self, url: str) -> None:
        """Look at every row of a database."""
        engine = create_engine(url)
        with engine.connect() as connection:
            for table in inspect(connection).get_table_names():
                for row in connection.execute(text(f'SELECT CAST(t AS text) FROM "{table}" AS t')):
                    self.look(f"a row of {table}", row[0])
        engine.dispose()

    @contextmanager
    def all_the_time(self, folder: Path) -> Iterator[None]:
        """Look at processes and files again and again: those of a job live for seconds."""
        stop = threading.Event()

        def keep_looking() -> None:
            while not stop.wait(0.25):
                self.commands()
                self.files(folder)

        thread = threading.Thread(target=keep_looking)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def test_no_secret_is_shown_or_stored(
    tmp_path: Path, configuration: dict[str, Any], postgres_url: str, canaries: dict[str, str]
) -> None:
    with socket.socket() as taken:  # bound, and nobody listens: a server that does not answer
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        url = make_url(postgres_url).set(password=canaries["database"]).render_as_string(hide_password=False)
        model = {"name": "served", "family": "f", "revision": "r1", "url": f"http://127.0.0.1:{closed}/v1"}
        (tmp_path / "tmp").mkdir()
        settings = {name: canaries[name] for name in NAMES if name.isupper()} | {
            "GAPCAST_API_KEY": canaries["api"],
            "GAPCAST_DATABASE_URL": url,
            "GAPCAST_MODELS": json.dumps([model | {"api_key": canaries["server"]}]),
            "GAPCAST_LOG_LEVEL": "debug",
            "TMPDIR": str(tmp_path / "tmp"),
        }
        search = Search(canaries)
        with (
            search.all_the_time(tmp_path),
            serving(tmp_path, settings, key=canaries["api"]) as (client, server),
        ):
            made = [
                client.predictions.create(configuration | {"model": {"name": name}})
                for name in ("served", "lab/addition-qwen3-s")
            ]
            outcomes = [ended(client, one) for one in made]
            headers = {"Authorization": f"Bearer {canaries['api']}"}
            for path in (*PATHS, *(f"/v1/predictions/{one.id}{part}" for one in made for part in ("", "/events"))):
                answer = httpx2.get(f"{client.url}{path}", headers=headers, timeout=60)
                assert answer.status_code == 200, path
                search.look(path, answer.content)
            wrong = httpx2.post(f"{client.url}/v1/predictions", json={"model": 1}, headers=headers, timeout=60)
            headers = {"Authorization": f"Bearer {canaries['api'][:-1]}"}
            foreign = httpx2.get(f"{client.url}/v1/pools", headers=headers, timeout=60)
            assert (wrong.status_code, foreign.status_code) == (422, 401)
            search.look("an error", wrong.content + foreign.content)
        search.files(tmp_path)
        search.rows(postgres_url)
        assert "request" in server.text, "the log is looked at with all that it can have"
        # a database that does not answer ends the start, with a reason
        gone = make_url(url).set(port=closed).render_as_string(hide_password=False)
        refused = subprocess.run(
            [GAPCAST, "serve"],
            env=environment(settings | {"GAPCAST_DATABASE_URL": gone, "GAPCAST_DATA_DIR": str(tmp_path / "other")}),
            capture_output=True,
            check=False,
            timeout=120,
        )
    assert refused.returncode == 2
    search.look("a refusal to start", refused.stdout + refused.stderr)
    assert [one.status for one in outcomes] == ["failed", "succeeded"]
    assert outcomes[0].error is not None
    assert search.looked > 1000
    assert not search.found, sorted(search.found)
    assert not set(canaries.values()) & set(os.environ.values())


def test_the_search_finds_a_secret_in_each_place(tmp_path: Path, postgres_url: str, canaries: dict[str, str]) -> None:
    search = Search(canaries)
    tmp_path.joinpath(f"{canaries['api']}.json").write_text(canaries["server"])
    search.files(tmp_path)
    with subprocess.Popen(["cat", "-", canaries["HF_TOKEN"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        assert cat.stdout is not None
        cat.stdin.write(b"\n")
        cat.stdin.flush()
        cat.stdout.read(1)  # it has begun: until then /proc may show no command line
        search.commands()
        cat.stdin.close()
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE told (error jsonb)")
        connection.exec_driver_sql(
            "INSERT INTO told VALUES (jsonb_build_object('message', %s::text))", (canaries["database"],)
        )
    engine.dispose()
    search.rows(postgres_url)
    assert {found.split()[0] for found in search.found} == {"api", "server", "HF_TOKEN", "database"}
