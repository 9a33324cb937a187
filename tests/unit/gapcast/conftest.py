"""A real server, without a worker, for the client and the command; each test has a pool of its own."""

import math
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from typer.testing import CliRunner, Result

from gapcast import Client
from gapcast.cli.main import app
from service.kit.database import Database
from tests.support.product import serving

Row = dict[str, Any]

# typer builds all our commands anew for each run of one of them
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def server(served: Path) -> Iterator[str]:
    with serving(served, {"GAPCAST_WORKER": "off"}) as (client, _):
        yield client.url


@pytest.fixture
def stored(server: str, served: Path) -> Iterator[Database]:
    """The server's own database, to write what a worker would."""
    database = Database(f"sqlite:///{served / 'data' / 'gapcast.db'}")
    yield database
    database.close()


@pytest.fixture
def connected(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def pool() -> str:
    return f"pool-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def row() -> Row:
    return {
        "family": "qwen3",
        "task": "livecodebench",
        "model": "Qwen3-8B",
        "context_kind": "feedback",
        "baseline": 0.4,
        "gap": {"value": 0.2, "se": 0.02},
        "improvement": {"value": 0.25, "se": 0.03},
        "cov": 0.0,
    }


@pytest.fixture
def undecided(connected: Client, pool: str, row: Row) -> str:
    """A pool of six runs of a moving teacher, whose small gaps leave it open whether improvements saturate."""
    recipe, room = {"teacher": "ema", "divergence": "reverse_kl"}, 1 - row["baseline"]
    runs = ((gap, room * (1 - math.exp(-2 * gap / room))) for gap in (0.02, 0.04, 0.06, 0.08, 0.1, 0.13))
    se = {"se": 0.025}
    rows = [row | {"recipe": recipe, "gap": se | {"value": x}, "improvement": se | {"value": y}} for x, y in runs]
    connected.observations.create(rows, pool)
    return pool


@pytest.fixture
def gapcast(server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command against the server."""
    monkeypatch.setenv("GAPCAST_URL", server)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(one) for one in arguments])


class Relay:
    """Stands before a server and lets only so many bytes of the n-th connection's answer through, then hangs up."""

    def __init__(self, upstream: str, let_through: Sequence[int]) -> None:
        host, port = upstream.removeprefix("http://").split(":")
        self._upstream, self._let_through = (host, int(port)), list(let_through)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self._upstream)
            self._open += [near, far]
            limit = self._let_through[self.connections] if self.connections < len(self._let_through) else None
            self.connections += 1
            threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, limit), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                if left is not None:
                    piece, left = piece[:left], left - len(piece[:left])
                target.sendall(piece)
                if left == 0:
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            one.close()


@pytest.fixture
def relay(server: str) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(*let_through: int) -> Relay:
        made.append(Relay(server, let_through))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def runs_csv(tmp_path: Path, connected: Client, pool: str) -> Path:
    """The lab's runs as a file whose rows go into the test's own pool."""
    file = connected.observations.export_file(tmp_path / "runs.csv", pool="lab")
    file.write_text(file.read_text().replace("\nlab,", f"\n{pool},"))
    return file
