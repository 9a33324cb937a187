"""What the study runs: SmolLM2-135M-Instruct with LoRA, one task, six contexts."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from gapcast.contract.base import JsonObject
from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.problems import ProblemIn, TaskIn, canonical
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration, TrainingOptions
from studies.smollm2.problems import problems
from workers.engines import folder_revision
from workers.tasks.registry import load_file_task

MODEL, FAMILY = "SmolLM2-135M-Instruct-text", "smollm2"
"""The instruct model as a folder without its chat template (`unpack --text`): it continues a text."""
PARAMETERS = 134_515_008
TASK = TaskIn.model_validate(
    {"name": "smollm2/last-word", "verifier": {"kind": "regex", "ignore_case": True}, "max_tokens": 4}
)
DECODING = Decoding(temperature=0.8, stop=["\n"])

RECIPE = Recipe(steps=40, learning_rate=1e-4, lora_rank=8, problems_per_step=8, group_size=2)
"""The learning rate is the product's own default for LoRA on a model of this size."""
PROBLEMS, HELD_OUT, ROLLOUTS = 64, 32, 2
"""Small, since all runs share one core: a standard error of some 5 points."""

CONTEXTS: Mapping[str, JsonObject] = {
    "static": {"kind": "static", "options": {"text": "Repeat the last of three words."}},
    "hints-3": {"kind": "hints"},
    "reference": {"kind": "reference_solution"},
    "static-misleading": {"kind": "static", "options": {"text": "Repeat the first of three words."}},
    "hints-3-coverage-50": {"kind": "hints", "options": {"corruption": {"coverage": 0.5}}},
    "reference-wrong-50": {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}},
}
"""In the order in which they are run."""


def write_task(folder: Path) -> None:
    """Write the task as its two files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.json").write_text(TASK.model_dump_json())
    lines = (canonical(ProblemIn.model_validate(row)) + b"\n" for row in problems())
    (folder / "problems.jsonl").write_bytes(b"".join(lines))


def plan(model: Path, task: Path) -> Iterator[tuple[str, TrainingConfiguration]]:
    """The runs by name."""
    revision, task_revision = folder_revision(model), load_file_task(task).revision
    for seed, (label, context) in enumerate(CONTEXTS.items()):
        made = context_of(context)
        yield (
            f"{MODEL}:{label}:seed-{seed}",
            TrainingConfiguration(
                model=MODEL,
                model_revision=revision,
                task=TASK.name,
                task_revision=task_revision,
                context=made,
                group_size=RECIPE.group_size if made.needs_group else None,
                template_version=TEMPLATE_VERSION,
                recipe=RECIPE,
                decoding=DECODING,
                engine="transformers",
                problems=PROBLEMS,
                rollouts=ROLLOUTS,
                held_out_problems=HELD_OUT,
                seed=seed,
                # no look on the way, since baseline, gap and end take as long as the steps; bfloat16 doubles the speed
                # of a processor that has it
                options=TrainingOptions(
                    stop_on_collapse=False,
                    export="none",
                    evaluate_every=RECIPE.steps,
                    checkpoint_every=10,
                    precision="bfloat16",
                ),
            ),
        )
