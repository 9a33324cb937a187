"""The probe against a measurement that shares nothing with it but the prompts: transformers alone, its own scoring."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from gapcast.contract.contexts import TEMPLATE_VERSION, Context, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration, ProbeResult, controls_of
from workers.contexts import Attempt, BuiltContext, Material, build_context, teacher_prompt
from workers.engines import folder_revision
from workers.probe import run_probe
from workers.resources import Resources
from workers.tasks import Problem, Split, Task, load_task

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS, ROLLOUTS = 128, 8
CONTEXTS: dict[str, dict[str, Any]] = {
    "hints": {"kind": "hints", "options": {"level": 3}},
    "coverage": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
    "feedback": {"kind": "feedback"},
    "none": {"kind": "none"},
}


class Peer:
    """Left-padded `generate` calls, cut at the end token by hand."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def complete(self, prompts: list[str]) -> list[str]:
        texts = []
        for start in range(0, len(prompts), 200):
            batch = self.tokenizer(prompts[start : start + 200], return_tensors="pt", padding=True)
            out = self.model.generate(
                **batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=16, pad_token_id=1
            )
            whole = self.tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :])
            texts += [text.split("<|end|>")[0] for text in whole]
        return texts


def is_right(problem: Problem, completion: str) -> bool:
    """Adds the two numbers of the prompt itself; four digits and nothing else."""
    left, right = problem.prompt.rstrip("=").split("+")
    return completion == f"{int(left) + int(right):04d}"


def by_hand(context: Context, task: Task, problem: Problem, attempt: str, seed: int, draw: int) -> BuiltContext:
    """The context for one attempt that was drawn here."""
    material = Material(problem, (Attempt(attempt, task.verify(problem, attempt)),))
    return build_context(context, task, material, [], seed=seed, draw=f"by-hand-{draw}")


def measure_by_hand(model: str, context: Context, ids: list[str], seed: int) -> tuple[float, float]:
    """The gap and its standard error on the probe's problems, with samples of its own."""
    task = load_task("lab/addition")
    wanted = set(ids)
    problems = [problem for problem in task.problems(Split.train) if problem.id in wanted]
    peer = Peer(ROOT / "workers" / "lab" / "models" / model.removeprefix("lab/"))
    torch.manual_seed(987)
    rows = [problem for problem in problems for _ in range(ROLLOUTS)]
    attempts = peer.complete([problem.prompt for problem in rows])
    prompts = [
        teacher_prompt(problem, by_hand(context, task, problem, attempts[i], seed, i), "completion")
        for i, problem in enumerate(rows)
    ]
    taught = peer.complete(prompts)
    right = [
        np.array([is_right(problem, text) for problem, text in zip(rows, texts, strict=True)], dtype=float)
        for texts in (attempts, taught)
    ]
    d = (right[1] - right[0]).reshape(len(problems), ROLLOUTS).mean(axis=1)
    return float(d.mean()), float(d.std(ddof=1) / len(d) ** 0.5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def probe(model: str, context: Context, seed: int) -> ProbeResult:
    task = load_task("lab/addition")
    configuration = ProbeConfiguration(
        model=model,
        model_revision=folder_revision(ROOT / "workers" / "lab" / "models" / model.removeprefix("lab/")),
        task=task.name,
        task_revision=task.revision,
        context=context,
        template_version=TEMPLATE_VERSION,
        decoding=Decoding(),
        problems=PROBLEMS,
        rollouts=ROLLOUTS,
        seed=seed,
        controls=controls_of(context, None),
    )
    return run_probe(configuration, Resources.read(model, {}), lambda event: None)


@pytest.mark.parametrize(
    "model", ["lab/addition-qwen3-s", pytest.param("lab/addition-qwen3-m", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "name", ["hints", "none", *(pytest.param(name, marks=pytest.mark.slow) for name in ("coverage", "feedback"))]
)
def test_the_gap_agrees_with_a_measurement_by_hand(model: str, name: str) -> None:
    context = context_of(CONTEXTS[name])
    found = probe(model, context, seed=11)
    value, se = measure_by_hand(model, context, found.problem_ids or [], seed=11)
    error = (found.gap.se**2 + se**2) ** 0.5
    assert abs(found.gap.value - value) < 3 * error
    assert error < 0.05  # or the line above would say nothing
    none = found.controls.none
    assert abs(none.value) < 4 * none.se


@pytest.mark.slow
def test_the_contexts_are_told_apart() -> None:
    gaps = {name: probe("lab/addition-qwen3-s", context_of(CONTEXTS[name]), 11).gap for name in CONTEXTS}
    assert gaps["hints"].value > gaps["feedback"].value > gaps["none"].value + 4 * gaps["none"].se


@pytest.mark.slow
def test_same_seed_same_counts() -> None:
    context = context_of(CONTEXTS["feedback"])
    first, again, other = (probe("lab/addition-qwen3-m", context, seed) for seed in (5, 5, 6))
    assert first.arms == again.arms
    assert first.arms != other.arms
