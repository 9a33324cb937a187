"""Real evaluations of a lab model, without and with a hint, by the tools' own commands: each becomes a probe."""

import json
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from gapcast.elsewhere.scores import read_scores
from tests.harness.tools import HERE, ROOT, TOOLS, Pair, Server, Tools
from tests.unit.gapcast.test_scores_of_harnesses import answers_of

PROBLEMS = 4
"""enough to tell a gap by hand; a rollout of verifiers starts processes of its own"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    folder = tmp_path_factory.mktemp("tools")
    with Server(folder / "server.log") as url:
        yield Tools(folder, url, PROBLEMS)


def imported(client: TestClient, pair: Pair, harness: str) -> dict[str, object]:
    """Import a pair, and hold its gap against the tool's own files, answer by answer."""
    arms = {arm: read_scores(files) for arm, files in pair._asdict().items()}
    asked = {"model": {"name": "mine/lab", "family": "lab-qwen3"}, "task": "sums", "context": {"kind": "hints"}}
    answer = client.post("/v1/probes/import", json=asked | {"harness": harness} | arms)
    assert answer.status_code == 201, answer.text
    gap = answer.json()["result"]["gap"]
    by_hand = {}
    for arm, files in pair._asdict().items():
        right: dict[str, list[bool]] = {}
        for problem, said, wanted in (found for file in files for found in answers_of(file)):
            right.setdefault(problem, []).append(said.strip() == wanted)
        by_hand[arm] = right
    problems = sorted(by_hand["student"])
    assert problems == sorted(by_hand["teacher"])
    assert len(problems) == PROBLEMS
    student, teacher = (
        np.array([by_hand[arm][one] for one in problems], dtype=float) for arm in ("student", "teacher")
    )
    d = teacher.mean(axis=1) - student.mean(axis=1)
    assert (gap["value"], gap["problems"], gap["rollouts"]) == (pytest.approx(d.mean()), PROBLEMS, 2)
    assert gap["se"] >= np.sqrt(d.var(ddof=1) / len(d)) - 1e-9
    return {**asked, "probe_id": answer.json()["id"], "name": harness}


def test_each_pair_is_a_probe_and_they_are_compared(client: TestClient, tools: Tools) -> None:
    by_id = [imported(client, tools.verifiers(), "verifiers"), imported(client, tools.inspect("eval"), "inspect")]
    imported(client, tools.lm_eval(), "lm-eval")
    compared = client.post("/v1/comparisons", json={"configurations": by_id}).json()
    assert compared["status"] == "succeeded"
    assert {one["probe_id"] for one in compared["configurations"]} == {one["probe_id"] for one in by_id}


SCORING = """
import json, sys
from gapcast.generators import generated
from workers.tasks.plugins import Plugin
from workers.tasks import Problem, Split
from gapcast.contract.problems import PluginVerifier
task = generated(json.loads(sys.argv[1]))
verify = Plugin(PluginVerifier(name=task.verifier, options=task.options))
scores = []
for line in task.problems:
    fields = {name: line.get(name) for name in ("id", "prompt", "answer", "reference_solution")}
    problem = Problem(split=Split(line.get("split", "train")), **fields)
    scores.append([verify(problem, text).score for text in (line["reference_solution"], "", "no answer")])
print(json.dumps([task.name, len(task.problems), scores]))
"""


@pytest.mark.parametrize(
    "description",
    [
        {"generator": "reasoning-gym", "name": "leg_counting", "config": {"max_animals": 3}},
        {"taskset": "gapcast-sums", "config": {"hint": False}},
    ],
    ids=["reasoning-gym", "verifiers"],
)
def test_a_library_makes_a_task_and_scores_it(tools: Tools, description: dict[str, object]) -> None:
    asked = json.dumps(description | {"problems": 6, "held_out": 2})
    ended = subprocess.run(
        [str(TOOLS / "python"), "-c", SCORING, asked],
        env=tools.environment | {"PYTHONPATH": f"{ROOT}:{HERE}"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    name, problems, scores = json.loads(ended.stdout)
    assert problems == 8
    assert name.startswith(("reasoning-gym/leg_counting-", "verifiers/gapcast-sums-"))
    assert all(right == 1 and max(empty, silly) < 1 for right, empty, silly in scores)
