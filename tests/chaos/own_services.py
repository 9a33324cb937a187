"""PostgreSQL, Redis and RabbitMQ that belong to one storm: on ports of their own, and stopped at will."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.conftest import REQUIRED

START = 90.0
"""seconds that a server may take to answer on a busy machine; RabbitMQ takes ten on an idle one"""
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/lib/rabbitmq/bin", "/usr/sbin", "/opt/homebrew/sbin")
"""where distributions put servers that are not on the path"""


def program(name: str) -> str:
    """Return the path of an installed server's program; skip the test without it, or fail where it must be there."""
    found = shutil.which(name)
    places = [place for pattern in PLACES for place in Path("/").glob(pattern[1:])]
    for place in sorted(places, reverse=True):
        if found is None and (place / name).exists():
            found = str(place / name)
    if found is None and REQUIRED:
        pytest.fail(f"{name} must be installed (GAPCAST_REQUIRE_SERVICES=1)")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class Service:
    """One server, started and stopped as often as a storm wants."""

    def __init__(self, name: str, command: list[str], folder: Path, answers: Callable[[], object], **how: Any) -> None:
        self.name, self._command, self._folder, self._answers, self._how = name, command, folder, answers, how
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / f"{name}.log").open("ab")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._log
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True, **self._how
        )
        deadline = time.monotonic() + START
        while True:
            try:
                self._answers()
            except Exception as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"{self.name} did not start, see {self._log.name}") from error
                time.sleep(0.1)
            else:
                return

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, whose meaning is its own, and wait until nobody of its group is left.

        RabbitMQ is a shell script whose child serves: the signal is for both. PostgreSQL tells its children itself.
        """
        if self._process is not None:
            group = self._process.pid
            if self.name == "rabbitmq":
                os.killpg(group, number)
            else:
                self._process.send_signal(number)
            self._process.wait(START)
            self._process = None
            deadline = time.monotonic() + START
            while _lives(group):
                assert time.monotonic() < deadline, f"{self.name} is left behind"
                time.sleep(0.05)

    def close(self) -> None:
        """End it for good."""
        self.stop(signal.SIGQUIT if self.name == "postgresql" else signal.SIGTERM)
        self._log.close()


IMMEDIATE = signal.SIGQUIT
"""to PostgreSQL, what `pg_ctl stop -m immediate` sends: it ends without a checkpoint and recovers when it starts"""


class Services(NamedTuple):
    """What a storm runs on."""

    database: Service
    database_url: str
    broker: Service
    broker_url: str


def _postgresql(folder: Path) -> tuple[Service, str]:
    how: dict[str, Any] = {}
    data, port = folder / "postgresql", free_port()
    data.mkdir()
    if os.geteuid() == 0:  # it refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(data, user.pw_uid, user.pw_gid)
        how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    made = [program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **how)
    settings = {"port": port, "unix_socket_directories": data, "listen_addresses": "127.0.0.1", "max_connections": 300}
    command = [program("postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    at = f"postgres@127.0.0.1:{port}/postgres"

    def answers() -> None:
        psycopg.connect(f"postgresql://{at}", connect_timeout=2).close()

    return Service("postgresql", command, folder, answers, **how), f"postgresql+psycopg://{at}"


def _redis(folder: Path) -> tuple[Service, str]:
    import redis

    url = f"redis://127.0.0.1:{(port := free_port())}/0"
    # nothing on the disk: every stop loses every message
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def answers() -> None:
        with redis.Redis.from_url(url) as server:
            server.ping()

    return Service("redis", command, folder, answers), url


def _rabbitmq(folder: Path, held: ExitStack) -> tuple[Service, str]:
    import amqp

    port, distribution, epmd, home = free_port(), free_port(), free_port(), folder / "rabbitmq"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_NODENAME": "storm@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
    }
    # the name server of Erlang's nodes stays behind otherwise
    stop_names = [shutil.which("epmd") or "epmd", "-port", str(epmd), "-kill"]
    held.callback(lambda: subprocess.run(stop_names, env=environment, capture_output=True, check=False))
    # not the script on the path, which changes user and folder
    command = [program("rabbitmq-server")]
    direct = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    command = [str(direct)] if direct.exists() else command

    def answers() -> None:
        with amqp.Connection(f"127.0.0.1:{port}", connect_timeout=2):
            pass

    return Service("rabbitmq", command, folder, answers, env=environment), f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def own_services(folder: Path, broker: str) -> Iterator[Services]:
    """PostgreSQL and a broker, `redis` or `rabbitmq`, in a folder that every user may enter."""
    with ExitStack() as held:
        database, database_url = _postgresql(folder)
        queue, broker_url = _redis(folder) if broker == "redis" else _rabbitmq(folder, held)
        for service in (database, queue):
            held.callback(service.close)
            service.start()
        yield Services(database, database_url, queue, broker_url)
