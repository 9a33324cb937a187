"""Every page over a full store against the same page over an almost empty one: its answer, and a browser's first paint.

`python -m bench.pages`, on SQLite. Pages are asked for in turn, so that both stores meet the same machine. The figures
of the law are read when they come into view, and stand apart. Without Chromium only the answers are timed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2
import numpy as np
from selenium import webdriver

from service.web.law_figures import SECTIONS
from service.web.lists import TABLES
from tests.support.browser import CHROMIUM, chromium
from tests.support.product import serving

SIZES = ((36, 10), (10_000, 2_000))
"""observations and predictions"""
ANSWERS, PAINTS = 15, 9
"""of each page"""
GATE = 2.0
AT_ONCE = 50
"""predictions of one request"""
FAMILIES = 8
KINDS = ("hints", "feedback", "all", "peer_solution")
POOL = "full"


def fill(client: httpx2.Client, observations: int, predictions: int) -> None:
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


def addresses(client: httpx2.Client) -> dict[str, str]:
    """The addresses of all pages, by a name that is the same for both stores."""
    fit = client.get("/v1/fits/current", params={"pool": POOL}).json()["id"]
    one = client.get("/v1/observations", params={"pool": POOL, "limit": 1}).json()["data"][0]["id"]
    two = [row["id"] for row in client.get("/v1/predictions", params={"limit": 2}).json()["data"]]
    return {
        "/": f"/?pool={POOL}",
        **{f"/{table.path}": f"/{table.path}" for table in TABLES},
        "/observations?pool": f"/observations?pool={POOL}",
        "/observations/ID": f"/observations/{one}",
        "/predictions/ID": f"/predictions/{two[0]}",
        "/tasks/NAME": "/tasks/lab/addition",
        "/models/NAME": "/models/lab/addition-qwen3-s",
        "/predictions/compare": f"/predictions/compare?id={two[0]}&id={two[1]}",
        "/workers": "/workers",
        "/import/observations": "/import/observations",
        "/import/task": "/import/task",
        "/law": f"/law?pool={POOL}",
        **{f"figure {name}": f"/law/{name}.json?pool={POOL}&fit={fit}" for name in SECTIONS},
    }


PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def answered(client: httpx2.Client, address: str) -> float:
    """How long a page's answer takes, in milliseconds."""
    began = time.perf_counter()
    client.get(address).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def painted(browser: webdriver.Chrome, address: str) -> float:
    """How long it is until a browser shows something of a page, in milliseconds."""
    browser.get(address)
    while (found := browser.execute_script(PAINTED)) is None:
        time.sleep(0.01)
    return float(found)


def in_turn(times: int, measures: Sequence[Callable[[], float]]) -> list[float]:
    """The least of each store: what else the machine does only adds."""
    rows = [[measure() for measure in measures] for _ in range(times)]
    return [min(column) for column in zip(*rows, strict=True)]


def lines(clients: Sequence[httpx2.Client], browser: webdriver.Chrome | None) -> Iterator[str]:
    """Ask for each page in turn."""
    pages = [addresses(client) for client in clients]
    for name in pages[0]:
        own = list(zip(clients, (page[name] for page in pages), strict=True))
        low, high = in_turn(ANSWERS, [partial(answered, client, path) for client, path in own])
        said = f"{name:24} answer {low:7.1f} ms, {high:7.1f} ms full: {high / low:.2f}x"
        if browser is not None and not name.startswith("figure"):
            looks = [partial(painted, browser, str(client.base_url.join(path))) for client, path in own]
            low, high = in_turn(PAINTS, looks)
            said += f"; first paint {low:5.0f} ms, {high:5.0f} ms full: {high / low:.2f}x (gate {GATE:g})"
        yield said


def main() -> None:
    """Fill both stores, and measure."""
    quiet = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error", "GAPCAST_MAX_IMPORT_BYTES": f"{1 << 28}"}
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        clients = []
        for size in SIZES:
            served, _ = held.enter_context(serving(folder / f"{size[0]}", quiet))
            client = held.enter_context(httpx2.Client(base_url=served.url, timeout=600))
            fill(client, *size)
            clients.append(client)
        browser = held.enter_context(chromium()) if CHROMIUM.exists() else None
        for line in lines(clients, browser):
            print(line, flush=True)


if __name__ == "__main__":
    main()
