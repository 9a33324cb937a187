"""One OPSD step of ours against one of TRL's SDPO and SDFT trainers: the processor's seconds and the peak of memory.

All three draw the same number of rollouts of the same problems, show the self-teacher the same texts, take the reverse
KL on the student's top 20 tokens and a tail (the paper's objective, arXiv 2605.30070), keep a frozen teacher and make
one AdamW step. TRL's batch is one pass, as ours is; its gradient checkpointing and bfloat16, on by default, are off: on
a CPU both make it slower. Each peer runs in a process of its own, in turn, on one thread. Needs `make test-trl` once.
"""

import gc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from gapcast.launching import module_command, safe_environment

FASTER, SMALLER = 1.5, 0.7
ROUNDS = 3
LEVEL = 3
"""Digits of the answer that the self-teacher is shown"""
TOP_K = 20
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Case:
    """A model and the batch of one step."""

    name: str
    vocabulary: int | None
    """of random weights; None: the lab's model as it is"""
    problems: int
    group: int
    max_tokens: int
    steps: int
    """that are measured, after one that is not"""

    @property
    def rollouts(self) -> int:
        """Of one step."""
        return self.problems * self.group


CASES = {
    "lab": Case("lab/addition-qwen3-m", None, problems=32, group=4, max_tokens=16, steps=12),
    "wide": Case("random weights, 150,000 tokens", 150_000, problems=8, group=4, max_tokens=32, steps=2),
}
PEERS = {"gapcast": "ours", "sdpo": "TRL's SDPO", "sdft": "TRL's SDFT"}


def folder_of(case: Case, root: Path) -> Path:
    """The model's folder; one with a large vocabulary is made here, with the lab's tokenizer."""
    from workers.engines import model_folder

    lab = model_folder("lab/addition-qwen3-m")
    if case.vocabulary is None:
        return lab
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(lab)
    config.vocab_size = case.vocabulary
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(root)
    transformers.AutoTokenizer.from_pretrained(lab).save_pretrained(root)
    return root


def our_steps(case: Case, folder: Path) -> list[float]:
    """Seconds of each step of `workers.opsd`."""
    from gapcast.contract.contexts import context_of
    from gapcast.contract.measured import ModelOptions
    from gapcast.contract.recipes import Recipe
    from gapcast.contract.training import TrainingOptions
    from service.kit.process import GARBAGE
    from workers.engines import Sampling
    from workers.engines.transformers import TransformersEngine
    from workers.opsd.student import Student
    from workers.opsd.trainer import Trainer
    from workers.sampling.arms import Sampler
    from workers.tasks import Split, load_task

    gc.set_threshold(*GARBAGE)
    recipe = Recipe(
        teacher="frozen",
        divergence="reverse_kl",
        top_k=TOP_K,
        steps=1 + case.steps,
        learning_rate=LEARNING_RATE,
        problems_per_step=case.problems,
        group_size=case.group,
    )
    task, options = load_task("lab/addition"), TrainingOptions()
    engine = TransformersEngine.load(folder, ModelOptions())
    trainer = Trainer(
        Student(engine, recipe, options, 0),
        Sampler(engine, task, Sampling(1.0, 1.0, case.max_tokens), 0),
        task.problems(Split.train)[: case.problems],
        context_of({"kind": "hints", "options": {"level": LEVEL}}),
        recipe,
        options,
    )
    seconds = []
    for _ in range(1 + case.steps):
        began = time.process_time()
        trainer.step()
        seconds.append(time.process_time() - began)
    return seconds


def trl_steps(case: Case, folder: Path, peer: str) -> list[float]:
    """Seconds of each step of a trainer of TRL's, from the end of one to the end of the next."""
    import transformers
    from datasets import Dataset
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer
    from trl.experimental.sdpo import SDPOConfig, SDPOTrainer

    from workers.contexts.kinds import BLOCKS
    from workers.contexts.templates import TEACHER_PROMPT
    from workers.tasks import Split, load_task

    task = load_task("lab/addition")
    problems = task.problems(Split.train)[: case.problems]
    rows = [
        {"prompt": one.text, "answer": one.answer, "privileged_context": task.hint_text(one, LEVEL)} for one in problems
    ]
    ends: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    def score(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return [float(said.strip() == right) for said, right in zip(completions, answer, strict=True)]

    usual: dict[str, Any] = {
        "output_dir": str(folder.parent / "out"),
        "per_device_train_batch_size": case.rollouts,
        "num_generations": case.group,
        "max_completion_length": case.max_tokens,
        "max_prompt_length": None,
        "max_steps": 1 + case.steps,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "teacher_model_kind": "base",
        "distillation_mode": "topk_logits",
        "distillation_topk": TOP_K,
        "distillation_alpha": 1.0,
        "distillation_add_tail": True,
        "model_init_kwargs": {"dtype": "float32"},
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    hint = BLOCKS["hints"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    given = {"train_dataset": Dataset.from_list(rows), "processing_class": tokenizer, "callbacks": [Clock()]}
    if peer == "sdft":
        context = hint.replace("{text}", "{privileged_context}")
        template = TEACHER_PROMPT.replace("{context}", context)
        SDFTTrainer(str(folder), args=SDFTConfig(teacher_prompt_template=template, **usual), **given).train()
    else:
        templates = {
            "reprompt_template": "{feedback}{prompt}",
            "feedback_template": hint.replace("{text}", "{feedback_raw}") + "\n\n",
            "include_environment_feedback": True,
            "use_successful_as_teacher": False,
        }
        SDPOTrainer(str(folder), reward_funcs=score, args=SDPOConfig(**templates, **usual), **given).train()
    return [end - began for began, end in pairwise(ends)]


def measure(peer: str, case: Case, folder: Path) -> dict[str, float]:
    """Median seconds of a step but for the first, and the peak of the whole process in bytes."""
    import torch

    torch.set_num_threads(1)
    steps: Callable[[], list[float]] = (
        (lambda: our_steps(case, folder)) if peer == "gapcast" else (lambda: trl_steps(case, folder, peer))
    )
    seconds = steps()
    assert len(seconds) == 1 + case.steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": median(seconds[1:]), "peak": peak}


def in_a_process(peer: str, case: str, folder: Path) -> dict[str, float]:
    """The same in a process of its own."""
    quiet = {"TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        module_command("bench.train", peer, case, str(folder)),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=safe_environment(os.environ) | quiet,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    print(f"\ntrain: one OPSD step, CPU seconds and peak memory, medians of {ROUNDS} rounds; ratios of each round")
    if importlib.util.find_spec("trl") is None:
        print("  TRL is not installed here: make test-trl installs it")
        return
    for name, case in CASES.items():
        print(f"  {case.name}: {case.problems} problems x {case.group} rollouts, at most {case.max_tokens} tokens")
        with TemporaryDirectory() as made:
            folder = folder_of(case, Path(made) / "model")
            rounds = [{peer: in_a_process(peer, name, folder) for peer in PEERS} for _ in range(ROUNDS)]
        for peer, title in PEERS.items():
            faster = median(one[peer]["seconds"] / one["gapcast"]["seconds"] for one in rounds)
            smaller = median(one["gapcast"]["peak"] / one[peer]["peak"] for one in rounds)
            line = f"    {title:12} {median(one[peer]['seconds'] for one in rounds):7.3f} s"
            line += f" {median(one[peer]['peak'] for one in rounds) / 2**20:7.0f} MiB"
            if peer != "gapcast":
                line += f"   ours {faster:.2f}x faster  gate {FASTER} {'met' if faster >= FASTER else 'MISSED'}"
                line += f"   {smaller:.2f} of its memory"
                if case.vocabulary is not None:
                    line += f"  gate {SMALLER} {'met' if smaller <= SMALLER else 'MISSED'}"
            print(line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], CASES[sys.argv[2]], Path(sys.argv[3]))))
    else:
        main()
