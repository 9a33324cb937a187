"""`gapcast serve` and `gapcast worker` as their user sees them: in a terminal, from the first line to Ctrl-C."""

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gapcast import Client
from tests.support.product import GAPCAST, alive, children_of, environment, serving, working
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

Body = dict[str, Any]
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@contextmanager
def terminal(*command: str, **settings: str) -> Iterator[Terminal]:
    shown = Terminal([GAPCAST, *command], settings)
    try:
        yield shown
    finally:
        shown.close()


def once(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is to end by itself."""
    return subprocess.run(
        [GAPCAST, *command],
        env=environment(settings | {"COLUMNS": "200"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def test_a_server_shows_where_it_is_and_ctrl_c_ends_it_with_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with terminal("serve", "--port", "0", "--data-dir", str(data)) as server:
        server.until("worker ready worker=")
        first, *rows = server.text.splitlines()
        assert re.fullmatch(r"Gapcast \S+ listens on http://127\.0\.0\.1:\d+", first)
        assert [row.split()[0] for row in rows[:3]] == ["data", "worker", "logs"]
        assert str(data) in rows[0]
        assert "starting" in rows[1]
        assert rows[3] == "Ctrl-C stops it."
        assert re.fullmatch(rf"{TIME} worker ready worker=\S+", rows[4])
        assert len(rows) == 5
        workers = children_of(server.process.pid)
        assert workers
        shown = server.text
        server.interrupt()
        assert server.ended() == 0
        assert server.text.removeprefix(shown) == ("^C\nGapcast is stopping. A job that runs goes back to the queue.\n")
        assert not any(alive(pid) for pid in workers)


def test_ctrl_c_is_quiet_for_a_page_that_is_open_and_answers_who_waits(tmp_path: Path, configuration: Body) -> None:
    broken: list[Exception] = []
    following = threading.Event()

    def follow(url: str) -> None:
        try:
            with httpx2.stream("GET", url, headers={"Accept": "text/event-stream"}, timeout=60) as stream:
                for line in stream.iter_lines():
                    if line:
                        following.set()
        except httpx2.HTTPError as error:
            broken.append(error)

    # without a worker the prediction stays queued, so that only the stop can end these requests
    with terminal("serve", "--port", "0", "--no-worker", "--data-dir", str(tmp_path)) as server:
        address = server.until("Ctrl-C stops it.").split(" listens on ")[1].split()[0]
        with Client(address) as client:
            created = client.predictions.create(configuration)
        path = f"/v1/predictions/{created.id}"
        with closing(HTTPConnection(address.removeprefix("http://"), timeout=90)) as waiting:
            # sent before the stream is asked for, so the server has this request when the stream's first event comes
            waiting.request("GET", path, headers={"Prefer": "wait=60"})
            page = threading.Thread(target=follow, args=(f"{address}{path}/events",))
            page.start()
            assert following.wait(30)
            server.interrupt()
            answer = waiting.getresponse()
            assert (answer.status, json.load(answer)["status"]) == (200, "queued")
        assert server.ended() == 0
        page.join(30)
        assert "Traceback" not in server.text
        assert " error: " not in server.text
        assert server.text.endswith("^C\nGapcast is stopping.\n")
    assert broken, "a stream that is cut off does not look like one that has ended"


def test_one_data_folder_serves_one_server_at_a_time(tmp_path: Path) -> None:
    with serving(tmp_path, {"GAPCAST_WORKER": "off"}) as (client, server):
        data = str(tmp_path / "data")
        for command in (("serve", "--port", "0"), ("demo", "--port", "0")):
            second = once(*command, "--data-dir", data)
            assert second.returncode == 2
            said = second.stdout + second.stderr
            assert said.splitlines()[-1] == (
                f"The server on {client.url} (process {server.process.pid}) uses the data folder {data}. "
                "Use that address, or name another folder with --data-dir."
            )
        assert client.health.ready(), "the first one serves on"
        with working(tmp_path, {"GAPCAST_DATA_DIR": data}, "worker") as worker:  # as many of these as one likes
            assert re.match(rf"Gapcast \S+ worker, takes jobs from {data}\. Ctrl-C stops it\.\n{TIME} ", worker.text)
        assert worker.text.splitlines()[-1] == "The worker is stopping. A job that runs goes back to the queue."
        assert "Traceback" not in worker.text
        server.process.kill()
        server.process.wait()
    with serving(tmp_path, {"GAPCAST_WORKER": "off"}) as (client, _):
        assert client.health.ready(), "a crash leaves no lock behind"


def test_an_sqlite_file_elsewhere_is_locked_as_well(tmp_path: Path) -> None:
    url = {"GAPCAST_DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}", "GAPCAST_WORKER": "off"}
    with serving(tmp_path / "first", url) as (client, _):
        second = once("serve", "--port", "0", "--data-dir", str(tmp_path / "second"), **url)
        assert second.returncode == 2
        assert f"The server on {client.url}" in second.stderr
        assert f"uses the database {tmp_path / 'shared.db'}." in second.stderr


def test_a_worker_in_a_terminal_ends_with_ctrl_c(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with serving(tmp_path, {"GAPCAST_WORKER": "off"}), terminal("worker", "--data-dir", data) as worker:
        shown = worker.until("worker ready worker=")
        assert len(shown.splitlines()) == 2, "no warning of Celery's"
        worker.interrupt()
        assert worker.ended() == 0
        assert worker.text.removeprefix(shown) == (
            "^C\nThe worker is stopping. A job that runs goes back to the queue.\n"
        )


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = once("serve", "--port", port, "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"port: expected a free port, got {port}, on which another program listens at 127.0.0.1. "
        "Choose another port with --port (0 takes a free one).\n"
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_wrong_setting_ends_a_command_with_one_line(command: str, tmp_path: Path) -> None:
    done = once(command, GAPCAST_PORT="abc", GAPCAST_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "GAPCAST_PORT: expected a whole number from 0 to 65535, got 'abc'.\n"
    assert done.stdout == ""


def test_programs_read_json_where_the_setting_asks_for_it(tmp_path: Path) -> None:
    settings = {"GAPCAST_LOG_FORMAT": "json", "GAPCAST_PORT": "0", "GAPCAST_DATA_DIR": str(tmp_path)}
    with terminal("serve", **settings) as server:
        server.until("worker_ready")
        server.interrupt()
        assert server.ended() == 0
        events = [json.loads(line.removeprefix("^C")) for line in server.text.splitlines()]
    assert [event["event"] for event in events] == ["server_listens", "worker_ready", "server_stopped"]
    assert events[0]["address"].startswith("http://127.0.0.1:")
