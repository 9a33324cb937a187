"""`GET /v1/fits/current` of a pool with 1, 10 and 100 families: the first answer of a fit, the next ones, and 304.

`python -m bench.fits`; the server is `gapcast serve` on SQLite.
"""

import statistics
import tempfile
import time
from pathlib import Path

import httpx2

from bench.refit import row
from tests.support.product import serving

FAMILIES = (1, 10, 100)
RUNS = 6
"""of each family"""
REPETITIONS = 40
GATE = 1.5


def main() -> None:
    """Fill three pools and alternate between them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error"}) as (found, _),
        httpx2.Client(base_url=found.url, timeout=120) as client,
    ):

        def seconds(pool: str, tag: str = "") -> float:
            began = time.perf_counter()
            answer = client.get(
                "/v1/fits/current", params={"pool": pool}, headers={"If-None-Match": tag} if tag else {}
            )
            assert answer.status_code == (304 if tag else 200), answer.text
            return time.perf_counter() - began

        first, sizes, tags = {}, {}, {}
        for families in FAMILIES:
            pool = f"of-{families}"
            rows = [row(number, pool) | {"family": f"family-{number % families}"} for number in range(RUNS * families)]
            client.post("/v1/observations", json={"observations": rows}).raise_for_status()
            while client.get(f"/v1/pools/{pool}").json()["behind"]:
                time.sleep(0.2)
            first[pool] = seconds(pool)
            answer = client.get("/v1/fits/current", params={"pool": pool})
            sizes[pool], tags[pool] = len(answer.content), answer.headers["etag"]
        again: dict[str, list[float]] = {pool: [] for pool in first}
        unchanged: dict[str, list[float]] = {pool: [] for pool in first}
        for _ in range(REPETITIONS):
            for pool in first:
                again[pool].append(seconds(pool))
                unchanged[pool].append(seconds(pool, tags[pool]))
    one = statistics.median(again["of-1"])
    for families, pool in zip(FAMILIES, first, strict=True):
        middle, known = statistics.median(again[pool]), statistics.median(unchanged[pool])
        print(
            f"{families:4} families, {sizes[pool] / 1024:4.0f} KiB: the first {1000 * first[pool]:5.0f} ms, "
            f"again {1000 * middle:.1f} ms ({middle / one:.2f}x of 1 family, gate {GATE}), 304 {1000 * known:.1f} ms"
        )


if __name__ == "__main__":
    main()
