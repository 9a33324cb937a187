"""Requests per second of the API against a bare FastAPI "hello" in the same layout, in one run: ratios, not seconds.

The clients are Python threads on the same machine: they slow the faster peer more, so the ratios flatter us a little.
Every request carries the API's key. A POST is measured twice: with a gap, which the law answers at once, another one
each time so that no answer is a kept one; and without, so that the prediction waits for a probe and no law is asked.
"""

import http.client
import json
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from bench.databases import each_database
from gapcast.launching import module_command, safe_environment

CLIENTS = 8
SECONDS = 3.0
ROUNDS = 3
PATIENCE = 240.0
"""seconds until a server answers: beside other work, a migration and two API processes took a minute"""
KEY = "k" * 32
PATH = "/v1/predictions"
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}


def given() -> str:
    """A request whose gap was measured elsewhere."""
    gap = {"value": random.uniform(0.02, 0.4), "se": 0.02, "student": random.uniform(0.2, 0.5)}
    return json.dumps(
        {"model": {"name": "bench", "family": "bench"}, "task": "bench", "context": {"kind": "hints"}, "gap": gap}
    )


def probed() -> str:
    """A request whose gap is to be measured: all of them wait for the same probe, which no worker takes."""
    model, context = {"name": "lab/addition-qwen3-s"}, {"kind": "hints", "options": {"level": 2}}
    return json.dumps({"model": model, "task": "lab/addition", "context": context})


def load(port: int, method: str, path: str, body: Callable[[], str] | None = None) -> tuple[float, float]:
    """Requests per second and the 99th percentile in ms, from CLIENTS threads that keep their connections.

    Each request that has a body is sent with an `Idempotency-Key` of its own.
    """
    times: list[float] = []
    failures: list[int] = []
    deadline = time.perf_counter() + SECONDS

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (began := time.perf_counter()) < deadline:
            headers = HEADERS | ({"Idempotency-Key": uuid.uuid4().hex} if body else {})
            connection.request(method, path, body() if body else None, headers)
            answer = connection.getresponse()
            answer.read()
            times.append(time.perf_counter() - began)
            if answer.status >= 300:
                failures.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{method} {path}: {len(failures)} answers were not 2xx: {set(failures)}")
    return len(times) / SECONDS, 1000 * statistics.quantiles(times, n=100)[98]


def wait_for(port: int, path: str) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"nothing answers on port {port}")


def created(body: Callable[[], str]) -> str:
    """Ask for one prediction; its id."""
    connection = http.client.HTTPConnection("127.0.0.1", 18321)
    connection.request("POST", PATH, body(), HEADERS)
    prediction_id: str = json.loads(connection.getresponse().read())["id"]
    return prediction_id


def measure(name: str, settings: Mapping[str, str], workers: int) -> None:
    """Run both servers beside each other and alternate between them."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"GAPCAST_DATA_DIR": folder, "GAPCAST_CONFIG": os.devnull, "GAPCAST_LOG_LEVEL": "error"}
        alone = quiet | {"GAPCAST_WORKER": "off", "GAPCAST_PORT": "18321", "GAPCAST_API_KEY": KEY}
        environment = safe_environment(os.environ) | alone | dict(settings)
        service = subprocess.Popen(module_command("service", "serve"), env=environment, stdout=subprocess.DEVNULL)
        peer = module_command("bench.hello", "18322", str(workers))
        hello = subprocess.Popen(peer, env=environment)
        try:
            wait_for(18321, "/readyz")
            wait_for(18322, "/hello")
            answered, waiting = (f"{PATH}/{created(body)}" for body in (given, probed))
            measured = {
                "hello": partial(load, 18322, "GET", "/hello"),
                "GET, answered": partial(load, 18321, "GET", answered),
                "GET, waiting for its probe": partial(load, 18321, "GET", waiting),
                "idempotent POST, waiting": partial(load, 18321, "POST", PATH, probed),
                "idempotent POST, given gap": partial(load, 18321, "POST", PATH, given),
            }
            rounds = [{what: one() for what, one in measured.items()} for _ in range(ROUNDS)]
        finally:
            for process in (service, hello):
                process.terminate()
            for process in (service, hello):
                process.wait(30)
    rate = {what: statistics.median(one[what][0] for one in rounds) for what in measured}
    bare = rate.pop("hello")
    print(f"{name}: hello {bare:.0f}/s")
    for what, number in rate.items():
        slowest = max(one[what][1] for one in rounds)
        print(f"  {what:26} {number:6.0f}/s  {number / bare:.3f} of hello, p99 {slowest:.0f} ms")


def main() -> None:
    """SQLite with one API process; PostgreSQL with two where one answers."""
    print(f"API, {CLIENTS} clients, {ROUNDS} rounds of {SECONDS:g} s")
    for name, settings in each_database():
        measure(name, settings, int(settings.get("GAPCAST_API_WORKERS", "1")))


if __name__ == "__main__":
    main()
