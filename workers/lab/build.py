"""Builds the lab: trains the models that are missing and writes the catalogue's index."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from gapcast.atomic import atomic_folder
from workers.engines.folder import LAB_MODELS, folder_revision
from workers.lab.models import CONTEXT_LENGTH, MODELS, ModelSpec
from workers.lab.pretrain import pretrain
from workers.lab.tokenizer import build_tokenizer
from workers.tasks import Split
from workers.tasks.registry import LAB

INDEX = Path(__file__).resolve().parent.parent.parent / "service" / "catalog" / "lab.json"
"""The service lists the lab's models and tasks from this file, because it never imports a worker."""

Report = Callable[[str], None]
"""Takes one line for people."""


def build(report: Report, folder: Path = LAB_MODELS, index: Path = INDEX) -> None:
    """Trains every model that has no finished folder yet, then writes the index."""
    torch.set_num_threads(1)  # see workers.engines.transformers.THREADS
    for spec in MODELS:
        if (folder / spec.folder).is_dir():
            report(f"{spec.name}: already built, skipped")
        else:
            build_model(spec, folder / spec.folder, report)
    write_index(folder, index)
    report(f"index: {index}")


def build_model(spec: ModelSpec, folder: Path, report: Report) -> None:
    """Pre-trains one model into a folder that is whole or not there."""
    tokenizer = build_tokenizer()
    model = spec.build(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)

    def progress(step: int, accuracies: dict[str, float]) -> None:
        report(f"{spec.name}: step {step:4d}  " + "  ".join(f"{kind} {a:.3f}" for kind, a in accuracies.items()))

    steps = pretrain(model, tokenizer, spec, progress)
    with atomic_folder(folder) as unfinished:
        model.to(torch.bfloat16).save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / "model.safetensors").chmod(0o644)  # safetensors writes 0600, which another user could not load
    report(f"{spec.name}: {steps} steps, {folder_revision(folder)}")


def write_index(folder: Path, index: Path) -> None:
    """Writes the catalogue's index of the lab's models and tasks."""
    content = {
        "models": [
            {
                "name": spec.name,
                "family": spec.family,
                "parameters": parameters(folder / spec.folder),
                "source": "lab",
                "revision": folder_revision(folder / spec.folder),
                "chat_template": False,
                "context_length": CONTEXT_LENGTH,
                "thinking": False,
            }
            for spec in MODELS
        ],
        "tasks": [
            {
                "name": task.name,
                "source": "lab",
                "verifier": task.verifier,
                "train_problems": len(task.problems(Split.train)),
                "held_out_problems": len(task.problems(Split.held_out)),
                "max_tokens": task.max_tokens,
                "hint_levels": task.hint_levels,
                "with_hints": len(task.problems(Split.train)),
                "with_reference_solution": len(task.problems(Split.train)),
                "with_privileged_context": 0,
                "preamble": task.preamble,
                "revision": task.revision,
            }
            for task in LAB.values()
        ],
    }
    index.write_text(json.dumps(content, indent=2) + "\n")


def parameters(folder: Path) -> int:
    """Parameters in a model's safetensors file; tied weights are stored, and counted, once."""
    return sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
