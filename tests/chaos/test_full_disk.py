"""A data folder whose disk is full for a while: what was accepted ends, and what was not is refused as unavailable."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.chaos.workload import LAB, row, run
from tests.support.product import QUICK, ask, eventually, serving

pytestmark = pytest.mark.slow

Body = dict[str, Any]
SIZE = 64
"""MiB: the database, the rollouts and the checkpoints take ten"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> None:
    """Leave no byte free."""
    with place.joinpath("filler").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_loses_nothing(disk: Path, tmp_path: Path) -> None:
    settings = QUICK | {"GAPCAST_DATA_DIR": str(disk / "data"), "GAPCAST_MAX_FAILURES": "100"}
    with serving(tmp_path, settings) as (client, server):
        long = run(1, 300)
        long["training"] |= {
            "checkpoint_every": 3
        }  # so that one of them meets the full disk before its worker gives up
        created = ask(client, "POST", "/v1/training_runs", json=LAB | long)
        address = f"/v1/training_runs/{created['id']}"

        def told(kind: str) -> int:
            events = ask(client, "GET", f"{address}/events", params={"limit": 500})["data"]
            return sum(event["type"] == kind for event in events)

        eventually(lambda: told("training.checkpoint") > 0)
        fill(disk)
        stored: list[str] = []
        refused: list[httpx2.Response] = []
        number = 0
        deadline = time.monotonic() + 60
        while len(refused) < 5 and time.monotonic() < deadline:
            number += 1
            body = {"observations": [row(number) | {"external_id": f"row-{number}"}]}
            answer = httpx2.post(f"{client.url}/v1/observations", json=body, timeout=60)
            if answer.status_code == 201:
                stored += answer.json()["ids"]
            else:
                refused.append(answer)
            fill(disk)
        assert {answer.status_code for answer in refused} == {503}, [answer.text for answer in refused]
        assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
        time.sleep(8)  # more than a lease
        assert ask(client, "GET", address)["status"] in {"running", "queued", "succeeded"}, "it is still readable"
        disk.joinpath("filler").unlink()
        ended = eventually(
            lambda: (found := ask(client, "GET", address))["status"] not in {"queued", "running"} and found
        )
        assert ended["status"] == "succeeded", (ended["error"], server.text[-3000:])
        listed = ask(client, "GET", "/v1/observations", params={"pool": "default", "limit": 100})["data"]
        assert sorted(one["id"] for one in listed) == sorted([*stored, ended["observation_id"]])
        kinds = (told("job.succeeded"), told("training_run.succeeded"))
        assert kinds == (1, 1)
        again = ask(client, "POST", "/v1/observations", json={"observations": [row(number) | {"external_id": "again"}]})
        assert again["created"] == 1
