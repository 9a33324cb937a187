"""The commands around the law as a user types them: real processes against a real server with its worker."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import GAPCAST, environment, serving
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

Done = subprocess.CompletedProcess[str]


class Gapcast:
    """The command, with a server to talk to."""

    def __init__(self, url: str, folder: Path) -> None:
        self._environment, self._folder = environment({"GAPCAST_URL": url}), folder

    def __call__(self, *arguments: str, expect: int = 0) -> Done:
        done = subprocess.run(
            [GAPCAST, *arguments],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)


@contextmanager
def command(folder: Path, settings: dict[str, str]) -> Iterator[Gapcast]:
    with serving(folder / "server", settings) as (client, _):
        yield Gapcast(client.url, folder)


def test_past_runs_go_in_and_out_and_the_law_follows(tmp_path: Path) -> None:
    with command(tmp_path, {"GAPCAST_WORKER": "off"}) as gapcast:
        gapcast("observations", "export", "lab.csv", "--pool", "lab")
        table = (tmp_path / "lab.csv").read_text().replace("\nlab,", "\nmine,")
        (tmp_path / "mine.csv").write_text(table)
        imported = gapcast("observations", "import", "mine.csv").stdout
        assert "made from counts" in imported
        assert "the law of mine" in imported
        lab, mine = gapcast.json("law", "--pool", "lab")["fit"], gapcast.json("law", "--pool", "mine")["fit"]
        assert mine["n"] == lab["n"] > 30
        assert mine["families"][0]["slope"] == pytest.approx(lab["families"][0]["slope"], abs=1e-12)

        lines = table.splitlines()
        broken = [lines[0], lines[1].replace("lab-qwen3,", "x,", 1).replace("mine,", "Not A Pool,", 1), "1,2"]
        (tmp_path / "broken.csv").write_text("\n".join(broken))
        refused = gapcast("observations", "import", "broken.csv", expect=2).stderr
        assert "row 2 (line 3): expected 54 cells" in refused
        (tmp_path / "broken.csv").write_text("\n".join(broken[:2]))
        refused = gapcast("observations", "import", "broken.csv", expect=2).stderr
        assert "broken.csv: row 1 (line 2), pool: " in refused
        assert refused.endswith("Nothing was stored.\n")
        assert gapcast.json("law", "--pool", "mine")["fit"]["id"] == mine["id"]

        config = {"model": {"name": "Qwen3-8B", "family": "qwen3"}, "task": "lcb", "context": {"kind": "feedback"}}
        gap = {"value": 0.2, "se": 0.02, "student": 0.4}
        (tmp_path / "config.json").write_text(json.dumps(config | {"gap": gap, "pool": "mine"}))
        prediction = gapcast.json("predict", "config.json")
        run = "--family qwen3 --task lcb --model Qwen3-8B --context-kind feedback --baseline 0.4 --gap 0.2"
        measured = ["--gap-se", "0.02", "--improvement", "0.17", "--improvement-se", "0.03", "--pool", "mine"]
        added = gapcast("observations", "add", *run.split(), *measured, "--prediction", prediction["id"]).stdout
        assert "Warning (unknown_covariance)" in added
        observation = added.split()[-1]
        shown = gapcast("law", "--pool", "mine").stdout
        assert "Calibration  Of 1 outcome, 1 came inside " in shown
        assert "qwen3 " in shown
        listed = gapcast("observations", "list", "--pool", "mine", "--family", "qwen3").stdout
        assert f"{observation}  mine  qwen3" in listed

        gapcast("observations", "exclude", observation, "--reason", "another tokenizer")
        assert gapcast.json("law", "--pool", "mine")["fit"]["n"] == mine["n"]
        excluded = gapcast.json("observations", "list", "--excluded")["data"]
        assert [(one["id"], one["excluded_reason"]) for one in excluded] == [(observation, "another tokenizer")]
        gapcast("observations", "include", observation)
        assert gapcast.json("law", "--pool", "mine")["fit"]["n"] == mine["n"] + 1


def test_a_pilot_sizes_the_probe(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "model: {name: lab/addition-qwen3-s}\n"
        "task: lab/addition\n"
        "context: {kind: hints, options: {level: 2}}\n"
        "probe: {problems: 32, rollouts: 2}\n"
    )
    with command(tmp_path, {}) as gapcast:
        prediction = gapcast.json("predict", "config.yaml")
        asked = ["size", "config.yaml", "--half-width", "0.12"]
        assumed = gapcast.json(*asked)
        assert (assumed["expected"]["source"], assumed["variation"]["source"]) == ("family", "assumed")
        for pilot in (prediction["id"], prediction["probe_id"]):
            sized = gapcast.json(*asked, "--pilot", pilot)
            assert (sized["expected"]["source"], sized["variation"]["source"]) == ("pilot", "pilot")
            assert sized["expected"]["gap"] == prediction["gap"]["value"]
        text = gapcast(*asked, "--pilot", prediction["id"]).stdout
        assert f"{sized['problems']} problems x {sized['rollouts']} rollout" in text
        none = gapcast("size", "config.yaml", "--half-width", "0.01", expect=1).stdout
        assert none.startswith("Not reachable.")
        hint = gapcast("size", "config.yaml", "--half-width", "5", expect=2).stderr
        assert "expected a share above 0 and at most 1, got 5. 0.05 is 5 accuracy points." in hint


def test_configurations_are_compared_and_the_best_is_trained(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "model: lab/addition-qwen3-s\ntask: lab/addition\ncontext: {kind: hints}\nrecipe: {steps: 4}\n"
    )
    contexts = "context={all: hints, talk: feedback, wrong: {kind: hints, options: {corruption: {rate: 1.0}}}}"
    asked = ["compare", "base.yaml", "--vary", contexts]
    with command(tmp_path, {}) as gapcast:
        done = gapcast(*asked, "--train", "1", "--name", "contexts")
        lines = done.stdout.splitlines()
        found = gapcast.json("comparisons", "show", "latest")
        winner, last = found["winner"], found["rounds"][-1]
        assert found["status"] == "succeeded"
        assert winner["place"] == 0
        assert lines[:2] == ["  waiting for a worker", "  loading the model"]
        rounds = [line for line in lines if line.startswith("  round ")]
        assert len(rounds) == len(found["rounds"])
        assert rounds[-1].startswith(f"  round {last['number']}: {last['rollouts']:,} rollouts; all ")
        assert "  probing all once more, with fresh samples" in lines
        points = f"{100 * winner['answer']['improvement']['value']:+.1f} points"
        advice = next(line for line in lines if not line.startswith("  ") and line != "contexts")  # its name
        assert " all" in advice
        assert points in advice
        assert f"Choosing took {found['spent']['rollouts']:,} rollouts" in done.stdout
        assert f"all was at {100 * winner['chosen_value']:+.1f} points" in done.stdout
        (run,) = gapcast.json("runs", "list")["data"]
        assert (run["prediction_id"], run["name"]) == (winner["prediction_id"], "all")
        assert f"all: {run['id']}  seed 0, queued" in done.stderr
        assert f"To follow: gapcast runs follow {run['id']}" in done.stderr
        # what was trained is not trained again
        again = gapcast(*asked, "--train", "1", "--json")
        assert json.loads(again.stdout)["winner"]["place"] == winner["place"]
        assert "all: no run is queued." in again.stderr
        assert len(gapcast.json("runs", "list")["data"]) == 1


def test_a_terminal_shows_a_comparison_and_ctrl_c_leaves_it_running(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("model: lab/addition-qwen3-s\ntask: lab/addition\ncontext: {kind: hints}\n")
    # one round, and long enough to be looked at
    size = ["--set", "probe.problems=32", "--set", "probe.rollouts=256"]
    more = ["--vary", "context=hints,feedback", *size]
    with serving(tmp_path / "server", {}) as (client, _):
        terminal = Terminal(
            [GAPCAST, "compare", "base.yaml", *more],
            {"GAPCAST_URL": client.url, "COLUMNS": "110", "LINES": "30"},
            tmp_path,
        )
        try:
            terminal.until("of at most")
            terminal.interrupt()
            assert terminal.ended() == 130
        finally:
            terminal.close()
        (found,) = client.comparisons.list().data
        assert f"No longer following {found.id}, which goes on." in terminal.text
        assert f"gapcast comparisons follow {found.id}" in terminal.text
        assert f"gapcast comparisons cancel {found.id}" in terminal.text
        assert found.status == "running"
        ended = client.comparisons.wait(found.id)
        assert ended.status == "succeeded"
        assert ended.best is not None
        assert ended.best.name == "hints"


def test_several_configurations_are_measured_and_ranked(tmp_path: Path) -> None:
    for level in (1, 3):
        (tmp_path / f"level-{level}.yaml").write_text(
            "model: lab/addition-qwen3-s\n"
            "task: lab/addition\n"
            f"context: {{kind: hints, options: {{level: {level}}}}}\n"
            "probe: {problems: 32, rollouts: 2}\n"
        )
    (tmp_path / "broken.yaml").write_text("name: nothing\nmodel: lab/addition-qwen3-s\ntask: lab/addition\n")
    with command(tmp_path, {}) as gapcast:
        refused = gapcast("predict", "level-1.yaml", "broken.yaml", expect=2).stderr
        assert refused.startswith("broken.yaml: context: expected a mapping with kind")
        assert gapcast.json("predictions", "list")["data"] == []
        shown = gapcast("predict", "level-1.yaml", "level-3.yaml").stdout
        for name in ("level-1.yaml", "level-3.yaml"):
            assert f"  {name}: waiting for a worker\n" in shown
            assert f"  {name}: succeeded\n" in shown
        _, best, worst, *_ = shown[shown.index("Configuration") :].splitlines()
        assert [row.split()[0] for row in (best, worst)] == ["level-3.yaml", "level-1.yaml"]
        # measured already, so it comes at once; in the order that is asked
        again = gapcast.json("predict", "level-1.yaml", "level-3.yaml")["data"]
        assert [one["context"]["options"]["level"] for one in (row["request"] for row in again)] == [1, 3]
        listed = gapcast.json("predictions", "list")["data"]
        assert {one["probe_id"] for one in listed} == {one["probe_id"] for one in again}
        assert again[1]["id"] not in best
        first = gapcast.json("predictions", "show", best.split()[-1])
        assert first["improvement"] == again[1]["improvement"]
