"""A comparison of six contexts, from request to winner, against its sampling alone: the model is loaded once."""

import json
import os
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.api import wait_for
from gapcast.contract.comparison_jobs import ComparisonConfiguration
from gapcast.launching import module_command, safe_environment
from service.comparisons import repository, service
from service.kit.database import Database
from workers.comparison.bench import Bench
from workers.resources import Resources

PORT = 18325
CONTEXTS: list[dict[str, Any]] = [
    {"kind": "hints"},
    {"kind": "hints", "options": {"level": 3}},
    {"kind": "feedback"},
    {"kind": "peer_solution"},
    {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
    {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}},
]
ASKED = {
    "base": {"model": "lab/addition-qwen3-m", "task": "lab/addition", "probe": {"rollouts": 16}},
    "vary": {"context": CONTEXTS},
    "confidence": 0.99,
    "indifference": 0.002,
}


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send one request."""
    connection = HTTPConnection("127.0.0.1", PORT)
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


def sampling_alone(configuration: ComparisonConfiguration, totals: dict[int, int], winner: int) -> tuple[float, float]:
    """Seconds to load the model, and to sample and verify all that the comparison has, in one go."""
    began = time.perf_counter()
    bench = Bench(configuration, Resources.read(configuration.model, {}))
    loaded = time.perf_counter()
    bench.measure(totals, lambda samples: None)
    bench.second(winner, lambda samples: None)
    sampled = time.perf_counter()
    bench.close()
    return loaded - began, sampled - loaded


def alone(written: str) -> None:
    """What a process of its own does: print its seconds."""
    given = json.loads(written)
    totals = {int(place): total for place, total in given["totals"].items()}
    configuration = ComparisonConfiguration.model_validate(given["configuration"])
    print(json.dumps(sampling_alone(configuration, totals, given["winner"])))


def compared(folder: str) -> tuple[float, dict[str, Any], ComparisonConfiguration]:
    """Seconds of one comparison by a server and its worker, its answer, and what its child was told."""
    settings = {"GAPCAST_DATA_DIR": folder, "GAPCAST_CONFIG": os.devnull, "GAPCAST_PORT": str(PORT)}
    environment = safe_environment(os.environ) | settings | {"GAPCAST_LOG_LEVEL": "error"}
    server = subprocess.Popen(module_command("service", "serve"), env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(PORT, "/readyz")
        time.sleep(10)  # its worker, too, has started
        began = time.perf_counter()
        made = ask("POST", "/v1/comparisons", ASKED)
        while (found := ask("GET", f"/v1/comparisons/{made['id']}"))["status"] in {"queued", "running"}:
            time.sleep(0.1)
        seconds = time.perf_counter() - began
    finally:
        server.terminate()
        server.wait(60)
    database = Database(f"sqlite:///{Path(folder) / 'gapcast.db'}")
    with database.read() as session:
        (part,) = repository.parts(session, [found["id"]])
        configuration = service.configuration_of(session, part.row)
    database.close()
    return seconds, found, configuration


def main() -> None:
    """Compare, then sample the same in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, found, configuration = compared(folder)
    totals = {one["place"]: one["problems"] for one in found["rounds"][-1]["standings"]}
    given = {"totals": totals, "winner": found["winner"]["place"], "configuration": configuration.model_dump()}
    command = [sys.executable, "-m", "bench.compare", "alone"]
    done = subprocess.run(command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True)
    load, sampling = json.loads(done.stdout)
    rollouts = found["spent"]["rollouts"] + found["spent"]["second_probe"]
    print(
        f"comparison of {len(CONTEXTS)} contexts, {len(found['rounds'])} rounds, {rollouts} rollouts: {seconds:.1f} s "
        f"from the request to the winner; its sampling alone {sampling:.1f} s, and {load:.1f} s to load the model: "
        f"{seconds / sampling:.2f}x, {seconds / (sampling + load):.2f}x with the load (gate: at most 2x)"
    )


if __name__ == "__main__":
    alone(sys.stdin.read()) if sys.argv[1:] == ["alone"] else main()
