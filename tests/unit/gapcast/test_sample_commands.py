"""`gapcast probes samples` and `sample-storage` against a server that has a probe with stored rollouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from service.kit.database import Database
from service.kit.ids import new_id
from tests.support.results import probe
from tests.support.samples import put_probe

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


def shown(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_rollouts_are_read_and_written_to_files(gapcast: Run, stored: Database, tmp_path: Path) -> None:
    probe_id = new_id("probe")
    put_probe(stored, "local", probe_id, probe().configuration.model_dump(mode="json"))
    done = gapcast("probes", "samples", probe_id)
    heads = [line for line in done.stdout.splitlines() if line.startswith("p/")]
    gained = "gained: the student is wrong, the self-teacher right"
    assert heads == [f"p/0, rollout 0, {gained}", f"p/1, rollout 0, {gained}", "p/0, rollout 1", "p/1, rollout 1"]
    assert "8 rollouts of its first problems are stored" in done.stderr
    first = gapcast("probes", "samples", probe_id, "--limit", "1")
    assert "There are more: --limit 10" in first.stderr
    wrong = gapcast("probes", "samples", probe_id, "--max-score", "0")
    assert wrong.stdout.count("Student: score 0") == 2
    assert "Self-teacher" not in wrong.stdout
    assert "None of them fits" in gapcast("probes", "samples", probe_id, "--flip", "lost").stderr
    page = shown(gapcast("probes", "samples", probe_id, "--arm", "context", "--limit", "3", "--json"))
    assert ([one["context"] for one in page["data"]], page["has_more"]) == (["a hint"] * 3, True)
    file = tmp_path / "a.jsonl"
    written = gapcast("probes", "samples", probe_id, "--arm", "student", "--export", "lm-eval", "--out", file)
    assert "Wrote 2 lines" in written.stdout
    assert [json.loads(line)["scores"] for line in file.read_text().splitlines()] == [[0, 1], [0, 1]]
    refused = gapcast("probes", "samples", probe_id, "--export", "verifiers", "--out", file)
    assert (refused.exit_code, "arm: expected one arm" in refused.stderr) == (2, True)
    assert gapcast("probes", "samples", probe_id, "--export", "lm-eval").exit_code == 2
    assert shown(gapcast("probes", "sample-storage", "--json"))["store"] is True
    assert "Rollouts are not stored" in gapcast("probes", "sample-storage", "--off").stdout
    assert "No rollouts of this probe are stored" in gapcast("probes", "samples", probe_id).stderr
    assert "Rollouts are stored" in gapcast("probes", "sample-storage", "--on").stdout
