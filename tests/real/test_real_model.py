"""The whole way with a model that somebody else has trained: listed, rendered, probed, trained, killed, resumed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from itertools import product as product_of
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client
from studies.smollm2.problems import problems
from tests.support.product import (
    GAPCAST,
    QUICK,
    Process,
    ask,
    children_of,
    environment,
    eventually,
    serving,
)

Body = dict[str, Any]
CHAT, TEXT = "real/smollm2", "real/smollm2-text"
SECONDS = 1800
"""for one job: a busy core takes minutes"""
GENERATED = {
    "generator": "reasoning-gym",
    "name": "chain_sum",
    "config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "problems": 64,
    "held_out": 0,
    "instruction": "",
}
WORDS = "Ann has 3 pens and gets 1 more. Now she has 4.\nSam has 5 cups and gets 2 more. Now he has 7.\n"


def word_problems() -> Iterator[Body]:
    for number, (has, gets) in enumerate(product_of(range(2, 10), range(2, 6))):
        asked = f"{WORDS}Tom has {has} books and gets {gets} more. Now he has"
        total = str(has + gets)
        yield {
            "id": f"word-{number}",
            "prompt": asked,
            "answer": total,
            "reference_solution": f"{has} + {gets} = {total}",
        }


def say(*figures: object) -> None:
    """Print figures, which `make test-real` shows."""
    sys.stdout.write(f"\n{' '.join(map(str, figures))}\n")


def gapcast(*arguments: str, cwd: Path, **settings: str) -> str:
    done = subprocess.run(
        [GAPCAST, *arguments], env=environment(settings), cwd=cwd, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """Settings that list the model twice, as `gapcast models inspect` prints it, and two files of problems."""
    folder = tmp_path_factory.mktemp("real")
    listed = (
        gapcast("models", "inspect", str(models / part), "--name", name, "--family", "smollm2", cwd=folder)
        for part, name in (("chat", CHAT), ("text", TEXT))
    )
    (folder / "gapcast.toml").write_text("\n".join(listed))
    for file, rows in (("last.jsonl", problems()), ("words.jsonl", word_problems())):
        (folder / file).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def product(folder: Path) -> Iterator[tuple[Client, Process]]:
    settings = QUICK | {"GAPCAST_CONFIG": str(folder / "gapcast.toml"), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with serving(folder / "server", settings) as (client, server):
        for file, name, verifier in (
            ("last.jsonl", "real/last-word", ("regex", "--options", '{"ignore_case": true}')),
            ("words.jsonl", "real/word-problems", ("numeric",)),
        ):
            gapcast("tasks", "add", file, "--name", name, "--verifier", *verifier, cwd=folder, GAPCAST_URL=client.url)
        yield client, server


def ended(client: Client, path: str) -> Body:
    def look() -> Body | None:
        found: Body = ask(client, "GET", path)
        return found if found["status"] in {"succeeded", "failed", "cancelled", "dead"} else None

    return eventually(look, SECONDS, every=1)


def probe(client: Client, model: str, task: Any, context: Body, engine: str, problems: int = 24, **more: Any) -> Body:
    """Measure a gap and return the probe."""
    size = {"problems": problems, "rollouts": 2, "engine": engine, "controls": []}
    body = {"model": {"name": model}, "task": task, "context": context, "probe": size, **more}
    # by the client: it makes the problems of a task that is described by its generator
    found = ended(client, f"/v1/probes/{client.probes.create(body).id}")
    assert found["status"] == "succeeded", found["error"]
    return found


def test_it_is_listed_as_what_it_is(folder: Path) -> None:
    import tomllib

    chat, text = tomllib.loads((folder / "gapcast.toml").read_text())["models"]
    assert (chat["parameters"], chat["chat_template"], chat["context_length"]) == (134_515_008, True, 8192)
    assert (text["parameters"], text["chat_template"]) == (134_515_008, False)


def test_contexts_are_rendered_by_its_own_template(folder: Path) -> None:
    file = folder / "words.yaml"
    about = "task: gapcast/word-problems\ncontext: {kind: reference_solution}\nprobe: {problems: 16}\n"
    file.write_text(f"model: {CHAT}\n{about}")
    shown = json.loads(
        gapcast(
            *("contexts", "render", str(file), "--problem", "bakery-1", "--json"),
            cwd=folder,
            GAPCAST_CONFIG=str(folder / "gapcast.toml"),
        )
    )
    student, teacher = shown["student"]["text"], shown["teacher"]["text"]
    for prompt in (student, teacher):
        assert prompt.startswith("<|im_start|>system\n")
        assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert "## Reference solution" in teacher
    assert "## Reference solution" not in student


CASES: dict[str, tuple[Any, Body]] = {
    "last word": ("real/last-word", {"kind": "hints"}),
    "word problems": ("real/word-problems", {"kind": "reference_solution"}),
    "reasoning-gym": (GENERATED, {"kind": "static"}),
}
SHORT = {"temperature": 0.8, "max_tokens": 4, "stop": ["\n"]}


@pytest.mark.parametrize("case", CASES)
def test_two_engines_measure_the_same_gap(product: tuple[Client, Process], case: str) -> None:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed; make test-real installs it")
    client, _ = product
    task, context = CASES[case]
    engines = ("transformers", "vllm")
    ours, theirs = (probe(client, TEXT, task, context, engine, decoding=SHORT) for engine in engines)
    for one in (ours, theirs):
        say(case, one["result"]["engine"]["engine"], one["result"]["gap"], one["result"]["seconds"])
    assert {one["result"]["engine"]["dtype"] for one in (ours, theirs)} == {"float32"}
    for arm in ("student", "self_teacher", "value"):
        apart = ours["result"]["gap"][arm] - theirs["result"]["gap"][arm]
        se = (ours["result"]["gap"]["se"] ** 2 + theirs["result"]["gap"]["se"] ** 2) ** 0.5
        assert abs(apart) <= 3 * se, (case, arm, apart, se)


def test_a_probe_moves_while_it_samples(product: tuple[Client, Process]) -> None:
    client, _ = product
    context, decoding = {"kind": "static"}, {"max_tokens": 16}
    found = probe(client, CHAT, "gapcast/word-problems", context, "transformers", problems=12, decoding=decoding)
    path = f"/v1/probes/{found['id']}/events"
    told = [one for one in ask(client, "GET", path, params={"limit": 500})["data"] if one["type"] == "probe.progress"]
    times = [datetime.fromisoformat(one["created_at"]) for one in told]
    say("progress", len(told), "times, longest pause", max(after - before for before, after in pairwise(times)))
    # three arms of 24 rollouts, which were one batch before
    assert len({one["data"]["done"] for one in told}) >= 6
    assert any(one["data"].get("rate") and one["data"].get("seconds_left") is not None for one in told)


def test_a_lora_run_goes_on_after_its_worker_is_killed(product: tuple[Client, Process]) -> None:
    client, server = product
    body = {
        "model": {"name": TEXT},
        "task": "real/last-word",
        "context": {"kind": "static", "options": {"text": "Repeat the last of three words."}},
        "recipe": {"steps": 24, "lora_rank": 8, "problems_per_step": 4, "group_size": 2},
        "decoding": SHORT,
        "probe": {"rollouts": 2, "engine": "transformers"},
        "training": {"problems": 24, "held_out_problems": 8, "checkpoint_every": 4, "evaluate_every": 24},
    }
    run = ask(client, "POST", "/v1/training_runs", json=body)
    path = f"/v1/training_runs/{run['id']}"
    assert run["configuration"]["recipe"]["learning_rate"] == 1e-4, "of LoRA on a model of this size"

    def told(kind: str) -> list[Body]:
        page = ask(client, "GET", f"{path}/events", params={"limit": 500})["data"]
        return [one["data"] for one in page if one["type"] == kind]

    eventually(lambda: any(one["step"] >= 8 for one in told("training.checkpoint")), SECONDS, every=1)
    worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
    os.kill(worker, signal.SIGKILL)
    found = ended(client, path)
    assert found["status"] == "succeeded", found["error"]
    assert next(one["step"] for one in told("training.resumed")) >= 8
    say(found["baseline"], found["gap"], found["improvement"], found["cost"])
    assert ask(client, "GET", f"/v1/observations/{found['observation_id']}")["external_id"] == run["id"]
