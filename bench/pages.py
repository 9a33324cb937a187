"""Every page over a full store against the same page over an almost empty one: the time until it is there.

`python -m bench.pages`, on SQLite. Pages are asked for in turn, so that both stores meet the same machine. The figures
of the law are read when they come into view, and stand apart.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.database import Database
from service.migrate import migrate
from service.settings import Settings
from service.web.law_figures import SECTIONS
from service.web.lists import TABLES

SIZES = ((36, 10), (10_000, 2_000))
"""observations and predictions"""
REPETITIONS = 15
GATE = 2.0
AT_ONCE = 50
"""predictions of one request"""
FAMILIES = 8
KINDS = ("hints", "feedback", "all", "peer_solution")
POOL = "full"


def migrated(folder: Path) -> Settings:
    """An empty store with the shipped pools."""
    settings = Settings(data_dir=folder, log_level="error", max_import_bytes=1 << 28)
    database = Database(settings.database_url)
    migrate(database)
    database.engine.dispose()
    return settings


def fill(client: TestClient, observations: int, predictions: int) -> None:
    """Store runs of some families, contexts and sizes, fit them, and ask about them."""
    rng = np.random.default_rng(0)
    gaps = rng.uniform(0, 0.4, observations)
    noise = rng.normal(0, 0.02, (2, observations))
    rows = [
        {
            "external_id": f"run-{n}",
            "family": f"family-{n % FAMILIES}",
            "task": f"task-{n % 3}",
            "model": f"model-{n % 20}",
            "parameters": 1e9 * (1 + n % 4),
            "context_kind": KINDS[n % len(KINDS)],
            "recipe": {"teacher": "frozen", "divergence": "forward_kl"},
            "baseline": 0.4,
            "gap": {"value": float(gaps[n] + noise[0, n]), "se": 0.02},
            "improvement": {"value": float(gaps[n] + noise[1, n]), "se": 0.02},
        }
        for n in range(observations)
    ]
    client.post("/v1/observations", params={"pool": POOL}, json={"observations": rows}).raise_for_status()
    client.post("/v1/fits", json={"pool": POOL}).raise_for_status()
    for first in range(0, predictions, AT_ONCE):
        asked = [
            {
                "model": {"name": f"model-{n % 20}", "family": f"family-{n % FAMILIES}"},
                "task": f"task-{n % 3}",
                "context": {"kind": KINDS[n % len(KINDS)]},
                "pool": POOL,
                "gap": {"value": 0.05 + 0.3 * n / predictions, "se": 0.02, "student": 0.4},
            }
            for n in range(first, min(first + AT_ONCE, predictions))
        ]
        client.post("/v1/predictions", json=asked).raise_for_status()


def addresses(client: TestClient) -> dict[str, str]:
    """The addresses of all pages, by a name that is the same for both stores."""
    fit = client.get("/v1/fits/current", params={"pool": POOL}).json()["id"]
    one = client.get("/v1/observations", params={"pool": POOL, "limit": 1}).json()["data"][0]["id"]
    two = [row["id"] for row in client.get("/v1/predictions", params={"limit": 2}).json()["data"]]
    return {
        "/": f"/?pool={POOL}",
        **{f"/{table.path}": f"/{table.path}" for table in TABLES},
        "/observations?pool": f"/observations?pool={POOL}",
        "/observations/ID": f"/observations/{one}",
        "/tasks/NAME": "/tasks/lab/addition",
        "/models/NAME": "/models/lab/addition-qwen3-s",
        "/predictions/compare": f"/predictions/compare?id={two[0]}&id={two[1]}",
        "/workers": "/workers",
        "/import/observations": "/import/observations",
        "/import/task": "/import/task",
        "/law": f"/law?pool={POOL}",
        **{f"figure {name}": f"/law/{name}.json?pool={POOL}&fit={fit}" for name in SECTIONS},
    }


def seconds(client: TestClient, address: str) -> float:
    """How long one page takes."""
    began = time.perf_counter()
    client.get(address).raise_for_status()
    return time.perf_counter() - began


def main() -> None:
    """Fill both stores and ask for each page in turn."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (migrated(Path(folder) / str(n)) for n, _ in SIZES)
        with (
            TestClient(create_app(few), base_url="http://127.0.0.1") as small,
            TestClient(create_app(many), base_url="http://127.0.0.1") as large,
        ):
            for client, size in zip((small, large), SIZES, strict=True):
                fill(client, *size)
            pages = [addresses(client) for client in (small, large)]
            for name in pages[0]:
                times = [
                    [seconds(client, own[name]) for client, own in zip((small, large), pages, strict=True)]
                    for _ in range(REPETITIONS)
                ]
                # the least of them: what else the machine does only adds
                low, high = (1000 * min(row[i] for row in times) for i in range(2))
                gate = "" if name.startswith("figure") else f" (gate {GATE:g})"
                print(f"{name:24} {low:7.1f} ms, {high:7.1f} ms full: {high / low:.2f}x{gate}", flush=True)


if __name__ == "__main__":
    main()
