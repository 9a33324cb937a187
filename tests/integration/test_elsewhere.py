"""A gap that Gapcast has measured, an improvement that another program's log tells: one observation."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gapcast import Client
from gapcast.elsewhere.verl import app
from tests.support.product import serving

pytestmark = pytest.mark.slow

METRIC = "val-core/lab/addition/acc/mean@4"


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "served", {}) as (client, _):
        yield client


def test_a_runs_gap_is_a_probes(connected: Client, configuration: dict[str, object], tmp_path: Path) -> None:
    probe = connected.probes.create(configuration)
    for _ in range(3):
        probe = probe if probe.ended else connected.probes.get(probe.id, wait=60)
    assert probe.result is not None
    log = tmp_path / "run.jsonl"
    log.write_text("".join(json.dumps({"step": at, "data": {METRIC: 0.25 + at / 100}}) + "\n" for at in (0, 20)))
    options = [
        "--family",
        "mine",
        "--task",
        "lab/addition",
        "--model",
        "m",
        "--context-kind",
        "hints",
        "--pool",
        "mine",
    ]
    given = [str(log), *options, "--probe", probe.id, "--problems", "400", "--url", connected.url]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    [stored] = connected.observations.list(pool="mine")
    assert (stored.gap.value, stored.gap.se) == (probe.result.gap.value, probe.result.gap.se)
    assert stored.improvement.value == pytest.approx(0.2)
