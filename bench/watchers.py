"""Idle event streams: the processor time that a server spends on them.

`python -m bench.watchers [STREAMS]`; GAPCAST_DATABASE_URL names a PostgreSQL database to use instead of SQLite.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx2

from tests.support.product import serving

STREAMS = 200
SECONDS = 20.0
CONFIGURATION = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "context": {"kind": "hints"}}


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def watch(url: str, probe_id: str, streams: int, pid: int) -> float:
    """Share of one core that the server uses while streams wait for a job that no worker takes."""
    limits = httpx2.Limits(max_connections=streams)
    async with httpx2.AsyncClient(base_url=url, timeout=None, limits=limits) as client:

        async def one() -> None:
            headers = {"Accept": "text/event-stream"}
            while True:
                async with client.stream("GET", f"/v1/probes/{probe_id}/events", headers=headers) as answer:
                    if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:  # too many at once: later
                        answer.raise_for_status()
                        async for _ in answer.aiter_lines():
                            pass
                        return
                await asyncio.sleep(1)

        tasks = [asyncio.create_task(one()) for _ in range(streams)]
        await asyncio.sleep(5)  # all are open
        before, began = processor_seconds(pid), time.perf_counter()
        await asyncio.sleep(SECONDS)
        share = (processor_seconds(pid) - before) / (time.perf_counter() - began)
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failed:
        raise RuntimeError(f"{len(failed)} of {streams} streams ended: {failed[0].exception()}")
    return share


def main() -> None:
    """Measure with streams and without."""
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else STREAMS
    url = os.environ.get("GAPCAST_DATABASE_URL")
    with tempfile.TemporaryDirectory() as folder:
        settings = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error"}
        with serving(Path(folder), settings | ({"GAPCAST_DATABASE_URL": url} if url else {})) as (client, server):
            probe = client.probes.create(CONFIGURATION)
            pid = server.process.pid
            idle = asyncio.run(watch(client.url, probe.id, 0, pid))
            busy = asyncio.run(watch(client.url, probe.id, streams, pid))
    database = "PostgreSQL" if url else "SQLite"
    print(f"{database}: {idle:.1%} of a core without streams, {busy:.1%} with {streams} idle ones")


if __name__ == "__main__":
    main()
