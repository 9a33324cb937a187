"""The demo: the whole product on this machine, one real prediction, in less than a minute."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from gapcast.cli.following import follow
from gapcast.cli.printing.predictions import print_prediction
from gapcast.client import Client, GapcastError
from gapcast.launching import module_command, safe_environment

CONFIGURATION = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 2}},
    "probe": {"problems": 128, "rollouts": 4},
}
START_SECONDS = 60
REFUSED = 2
"""the exit code of a server that cannot serve as it is asked to, and says why"""


class NotStarted(Exception):
    """The server did not come up."""


class Refused(Exception):
    """The server said why it cannot start, such as another one on the same data folder."""


def run_demo(console: Console, port: int, data_dir: Path) -> int:
    """Serve, predict, print; then serve on in a terminal, or stop. Returns the exit code."""
    log = data_dir / "demo.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    console.print("[bold]Gapcast[/]: what will an On-Policy Self-Distillation run gain, before it is paid for?")
    written = log.stat().st_size if log.exists() else 0  # by earlier demos, or by one that runs now
    server = _start(_free_or_any(port), data_dir, log)
    try:
        address = _address(server, log, written)
        console.print(f"Server and worker run on {address} (log: {log}).", highlight=False, soft_wrap=True)
        console.print(
            "Asking: lab/addition-qwen3-s (0.1M parameters, made for this), task lab/addition; the self-teacher is "
            "shown 2 digits of the answer as hints; frozen teacher, forward KL, 150 steps."
        )
        with Client(address) as client:
            _wait_until_ready(client, server, log)
            created = client.predictions.create(CONFIGURATION)
            if created.ended:
                console.print("This probe is stored already, so the answer comes at once.")
            prediction = follow(client, created, console)
        print_prediction(console, prediction)
        if prediction.status != "succeeded":
            return 1
        page = f"{address}/predictions/{prediction.id}"
        if sys.stdout.isatty() and sys.stdin.isatty():
            console.print(f"The page: {page}", highlight=False, soft_wrap=True)
            console.print("Serving on; press Ctrl-C to stop.")
            server.wait()
        else:
            again = f"gapcast serve --data-dir {data_dir}"
            console.print(
                f"The page: {page} (without a terminal the demo has ended; `{again}` serves the page)", soft_wrap=True
            )
        return 0
    except KeyboardInterrupt:
        console.print("\nStopping.")  # below the ^C of the terminal
        return 0
    except Refused as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return 2
    except (NotStarted, GapcastError) as error:
        console.print(f"[red]The demo failed[/]: {escape(str(error))}", highlight=False)
        return 1
    finally:
        _stop(server)


def _free_or_any(port: int) -> int:
    """Return the port, or 0 (any free one) if another program listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _start(port: int, data_dir: Path, log: Path) -> subprocess.Popen[bytes]:
    # the demo is the embedded default whatever this shell is set to: nobody's production database is touched
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GAPCAST_")}
    environment |= {"GAPCAST_PORT": str(port), "GAPCAST_DATA_DIR": str(data_dir), "GAPCAST_CONFIG": os.devnull}
    environment["GAPCAST_PARENT_PID"] = str(os.getpid())  # the server ends with us, however we end
    with log.open("ab") as output:
        return subprocess.Popen(
            module_command("service", "serve"),
            env=safe_environment(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us first; we stop it in order
        )


def _address(server: subprocess.Popen[bytes], log: Path, written: int) -> str:
    """Wait for the server to listen, and return its address from what it logs after the bytes `written` before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = server.poll()  # first: what ended before this look has written its last line before the next
        text = log.read_bytes()[written:].decode(errors="replace")
        listens = re.search(r"^Gapcast .*listens on (\S+)$", text, re.MULTILINE)
        if listens:
            return listens[1]
        if code == REFUSED:
            raise Refused(text.strip())
        if code is not None:
            break
        time.sleep(0.1)
    raise NotStarted(f"the server did not start. {_tail(log)}")


def _wait_until_ready(client: Client, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.health.ready()
            return
        except GapcastError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{error} {_tail(log)}") from error
            time.sleep(0.1)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-3:]
    return f"The log ({log}) ends with: " + " / ".join(lines)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server, which stops its worker; kill what does not end within 20 seconds."""
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
