"""A model and a task of one's own as a user brings them: real processes, from a folder and a file to a gap."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapcast import Client
from tests.support.product import environment, eventually, serving

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[2] / "workers" / "lab" / "models" / "addition-qwen3-s"
# whoever runs the tests may have us ignore Ctrl-C
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from gapcast.cli.main import main; main()"
)


class Gapcast:
    """The command, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, ""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", COMMAND, *arguments],
            env=environment({"GAPCAST_URL": self.url}),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        process = self.start(*arguments)
        out, told = process.communicate(timeout=120)
        assert process.returncode == expect, f"{arguments}: {process.returncode}\n{out}\n{told}"
        return out

    def write(self, name: str, **configuration: Any) -> str:
        usual = {"model": {"name": "mine/tiny"}, "task": "mine/sums", "probe": {"problems": 32, "rollouts": 4}}
        (self.folder / name).write_text(json.dumps(usual | configuration))
        return name


@pytest.fixture(scope="module")
def gapcast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gapcast]:
    """With a server whose settings name a model that was inspected, and a task that was uploaded."""
    folder = tmp_path_factory.mktemp("own")
    made = Gapcast(folder)
    shutil.copytree(MODEL, folder / "tiny")
    entry = made("models", "inspect", "tiny", "--name", "mine/tiny", "--family", "tiny")
    (folder / "gapcast.toml").write_text(entry)
    draw = random.Random(1)
    with (folder / "sums.jsonl").open("w") as file:
        for number in range(600):
            left, right = draw.randrange(1000), draw.randrange(1000)
            answer = f"{left + right:04d}"
            row = {"prompt": f"{left:03d}+{right:03d}=", "answer": answer, "reference_solution": answer}
            if number % 2:
                row["privileged_context"] = answer
            file.write(f"{json.dumps(row)}\n")
    with serving(folder / "server", {"GAPCAST_CONFIG": str(folder / "gapcast.toml")}) as (client, _):
        made.url = client.url
        made("tasks", "add", "sums.jsonl", "--name", "mine/sums", "--verifier", "exact", "--max-tokens", "16")
        yield made


def test_an_inspected_folder_is_a_model_of_the_server(gapcast: Gapcast) -> None:
    (entry,) = tomllib.loads((gapcast.folder / "gapcast.toml").read_text())["models"]
    with Client(gapcast.url) as client:
        model = client.models.get("mine/tiny")
    assert (model.source, model.family, model.revision) == ("folder", "tiny", entry["revision"])
    assert "mine/tiny" in gapcast("models", "list")


def test_a_solution_gives_a_gap_and_so_does_a_column(gapcast: Gapcast) -> None:
    solution = gapcast.write("solution.json", context={"kind": "reference_solution"})
    text = gapcast("probe", solution)
    for words in ("sampling rollouts", "95 % interval", "self-teacher minus placebo", "every rollout had one"):
        assert words in text
    measured = json.loads(gapcast("probe", solution, "--json"))
    gap = measured["result"]["gap"]
    assert gap["value"] > 3 * gap["se"]
    assert measured["result"]["controls"]["leak"]["contains_answer"] == 1.0

    column = json.loads(gapcast("probe", gapcast.write("column.json", context={"kind": "column"}), "--json"))
    half = column["result"]
    assert 0.2 < half["contexts_missing"] < 0.8
    assert half["arms"]["context"]["contexts_missing"].keys() == {"no_column_text"}
    assert half["cost"]["rollouts_reused"] >= 2 * 32 * 4  # the student and its A/A control are those of the first probe

    prediction = json.loads(gapcast("predict", solution, "--json"))
    assert prediction["probe_id"] == measured["id"]
    assert prediction["gap"]["value"] == gap["value"]
    assert (prediction["law"]["family"], prediction["law"]["status"]) == ("tiny", "prior_only")


def test_a_probe_stops_at_the_width_that_was_asked_for(gapcast: Gapcast) -> None:
    size = {"problems": 512, "rollouts": 4, "seed": 1}
    wide = gapcast.write("wide.json", context={"kind": "reference_solution"}, probe=size)
    text = gapcast("probe", wide, "--half-width", "0.15")
    assert "of 512 problems: the interval is as narrow as asked for" in text


def test_ctrl_c_lets_a_probe_go_on_and_cancelling_it_keeps_what_was_measured(gapcast: Gapcast) -> None:
    size = {"problems": 600, "rollouts": 256, "seed": 2}
    process = gapcast.start("probe", gapcast.write("long.json", context={"kind": "reference_solution"}, probe=size))
    with Client(gapcast.url) as client:
        probe = eventually(lambda: next((one for one in client.probes.list() if one.partial is not None), None))
        os.kill(process.pid, signal.SIGINT)
        out, told = process.communicate(timeout=120)
        assert (process.returncode, client.probes.get(probe.id).status) == (130, "running"), out + told
        *_, follow, cancel = (line.split() for line in told.splitlines())
        assert [follow, cancel] == [["gapcast", "probes", action, probe.id] for action in ("follow", "cancel")]

        gapcast(*cancel[1:])
        shown = gapcast(*follow[1:], expect=1)
        ended = client.probes.get(probe.id)
        types = [event.type for event in client.probes.events(probe.id)]
        assert (ended.status, types[-1]) == ("cancelled", "job.cancelled")
        assert ended.partial is not None
        done = ended.partial.gap.problems
        assert done is not None
        assert 2 <= done < 600
        assert len(ended.partial.problem_ids or []) == done
        assert f"{done} of 600 problems x 256 rollouts" in shown


def public(folder: Path) -> dict[str, Path]:
    """Files of four public data sets' shapes, by layout."""
    files = {
        "gsm8k": folder / "test.jsonl",
        "verl": folder / "verl.parquet",
        "humaneval": folder / "HumanEval.jsonl",
        "mmlu": folder / "mmlu.csv",
    }
    answers = range(2, 12)
    gsm8k = [
        {"question": f"What is {n}+1?", "answer": f"{n}+1=<<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"} for n in answers
    ]
    files["gsm8k"].write_text("".join(f"{json.dumps(row)}\n" for row in gsm8k))
    verl = [
        {
            "data_source": "openai/gsm8k",
            "prompt": [{"role": "user", "content": f"What is {n}+1?"}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": str(n + 1)},
            "extra_info": {"split": "train", "index": n, "answer": f"#### {n + 1}"},
        }
        for n in answers
    ]
    pq.write_table(pa.Table.from_pylist(verl), files["verl"])
    humaneval = [
        {
            "task_id": f"HumanEval/{n}",
            "prompt": f"def add_{n}(x):\n",
            "entry_point": f"add_{n}",
            "canonical_solution": f"    return x + {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in answers
    ]
    files["humaneval"].write_text("".join(f"{json.dumps(row)}\n" for row in humaneval))
    with files["mmlu"].open("w", newline="") as file:
        csv.writer(file).writerows([f"What is {n}+1?", n, n + 1, n + 2, n + 3, "B" if n % 2 else "A"] for n in answers)
    return files


@pytest.mark.parametrize("layout", ["gsm8k", "verl", "humaneval", "mmlu"])
def test_a_public_file_goes_in_with_one_command_and_its_check_is_shown(gapcast: Gapcast, layout: str) -> None:
    name = f"public/{layout}"
    file = str(public(gapcast.folder)[layout])
    added = gapcast("tasks", "add", file, "--name", name, "--from", layout)
    for words in ("100.0 % of 10 problems are scored as they must be", "10 to train and probe on", "ready"):
        assert words in added
    assert "100.0 %" in next(line for line in gapcast("tasks", "list").splitlines() if line.startswith(name))
    assert gapcast("tasks", "check", file, "--from", layout).splitlines() == [
        "100.0 % of 10 problems are scored as they must be"
    ]


def test_a_file_that_is_scored_wrongly_is_refused_and_says_which(gapcast: Gapcast) -> None:
    rows = [{"prompt": "6x7=", "answer": "42", "reference_solution": "It is 42."}, {"prompt": "1+1=", "answer": "2"}]
    (gapcast.folder / "wrong.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = ("wrong.jsonl", "--verifier", "exact")
    shown = gapcast("tasks", "add", *options, "--name", "mine/wrong", expect=1)
    for words in ("refused by its self-check", "50.0 % of 2 problems", "the reference does not score 1 (line-1)"):
        assert words in shown
    assert "50.0 %" in gapcast("tasks", "check", *options, expect=1)
    assert "accepted" in gapcast("tasks", "add", *options, "--name", "mine/wrong", "--accept")
