"""The trained model as a folder that loads like any other, with a card that says what was done and what came of it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gapcast.atomic import atomic_folder
from gapcast.contract.probes import Difference, Gap
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import Artifact, Evaluation, Predicted
from workers.engines import folder_revision
from workers.opsd.adapters import write_adapter

CARD = "README.md"
WEIGHTS = (".safetensors", ".safetensors.index.json")
READABLE = 0o644
"""safetensors writes for its owner alone; who serves the model may be another user"""


@dataclass(frozen=True)
class Story:
    """What a model's card says beside its configuration."""

    step: int
    """Of the weights."""
    last: Evaluation
    """Of the run's end."""
    baseline: float
    gap: Gap
    run_id: str | None
    predicted: Predicted | None


def export_model(
    folder: Path,
    origin: Path,
    model: Any,  # noqa: ANN401 - transformers has no types
    configuration: TrainingConfiguration,
    story: Story,
) -> Artifact:
    """Writes a trained model's weights of now under a hidden name and renames the whole.

    All weights: the files of the model that was trained, with new weights in the precision that its own have. LoRA: the
    adapter alone, which peft loads upon that model.

    Args:
        folder: where to; one that is there is replaced.
        origin: the folder of the model that was trained.
        model: what to write.
        configuration: for the card.
        story: for the card.
    """
    lora = configuration.recipe.lora_rank is not None
    with atomic_folder(folder) as hidden:
        if lora:
            _write_adapter(hidden, model, configuration)
        else:
            _write_weights(hidden, origin, model)
        (hidden / CARD).write_text(card(configuration, story))
        for file in hidden.iterdir():
            file.chmod(READABLE)
    return Artifact(
        path=str(folder),
        kind="lora" if lora else "full",
        step=story.step,
        revision=folder_revision(folder),
        bytes=sum(file.stat().st_size for file in folder.iterdir()),
    )


def _write_weights(folder: Path, origin: Path, model: Any) -> None:  # noqa: ANN401 - transformers has no types
    for file in origin.iterdir():
        if file.is_file() and not file.name.endswith(WEIGHTS) and file.name != CARD:
            shutil.copyfile(file, folder / file.name)
    config = json.loads((origin / "config.json").read_text())
    # transformers 4 called it otherwise, and most published models were written by it
    dtype = getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")
    made = folder / "made"
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    model.save_pretrained(made, state_dict=state)
    for file in made.iterdir():
        if file.name.endswith(WEIGHTS):
            file.rename(folder / file.name)
    shutil.rmtree(made)


def _write_adapter(folder: Path, model: Any, configuration: TrainingConfiguration) -> None:  # noqa: ANN401
    write_adapter(model, folder)
    file = folder / "adapter_config.json"
    # the name by which people know the model, and not the folder that it was loaded from
    config = json.loads(file.read_text()) | {"base_model_name_or_path": configuration.model}
    file.write_text(json.dumps(config, indent=2) + "\n")


def card(configuration: TrainingConfiguration, story: Story) -> str:
    """The model card: configuration, gap, predicted and measured improvement."""
    predicted, last = story.predicted, story.last
    rows = [
        ("Student before", f"{100 * story.baseline:.1f} %"),
        ("Gap (self-teacher minus student, before)", _points(story.gap)),
        ("Predicted improvement", _predicted(predicted) if predicted else "no prediction led to this run"),
        (f"Measured improvement at the end, step {last.step}", _points(last.improvement)),
    ]
    if last.held_out is not None:
        rows.append(("On held-out problems", _points(last.held_out)))
    if story.step != last.step:
        rows.append(("These weights", f"of step {story.step}, chosen for its evaluation, which therefore flatters"))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    dumped = json.dumps(configuration.model_dump(mode="json"), indent=2)
    return f"""---
base_model: {json.dumps(configuration.model)}
tags: [on-policy-self-distillation, gapcast]
---

# {configuration.model}, self-distilled on {configuration.task}

On-policy self-distillation with the context `{configuration.context.kind}`, teacher
`{configuration.recipe.teacher}`, divergence `{configuration.recipe.divergence}`; run `{story.run_id}` of Gapcast.

| | |
| --- | --- |
{table}

Points are accuracy points with one standard error over problems. Training and evaluation use the same problems; what
the training does elsewhere, the held-out problems tell. The measurements were made with the weights in training
precision; those of this folder are in the precision of the original.

## Configuration

```json
{dumped}
```
"""


def _points(difference: Difference) -> str:
    return f"{100 * difference.value:+.1f} ± {100 * difference.se:.1f} points"


def _predicted(predicted: Predicted) -> str:
    if predicted.value is None:
        return "refused: no honest number could be given"
    ranges = ", ".join(
        f"{100 * one.level:g} % interval {100 * one.lower:+.1f} to {100 * one.upper:+.1f}"
        for one in predicted.intervals
    )
    return f"{100 * predicted.value:+.1f} points ({ranges})"
