"""The loss of a whole step: TRL's trainers draw and score a batch, and ours says the same of those very rollouts."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gapcast.contract.measured import ModelOptions
from tests.trl.lab import MODEL, lab_rows, sdft_config, sdpo_config, trainer_of
from workers.engines import model_folder
from workers.engines.transformers import TransformersEngine
from workers.opsd.losses import Objective, TeacherPart, divergence_sums
from workers.opsd.network import Network, Packed

STEP = {"max_steps": 1, "max_prompt_length": None, "model_init_kwargs": {"dtype": "float32"}}


class Recorder(transformers.TrainerCallback):  # type: ignore[misc]
    """Keeps what a trainer learns from, by the event that it sends to callbacks."""

    def on_self_distillation_batch_prepared(self, *_: Any, **given: Any) -> None:
        pad = given["processing_class"].pad_token_id
        length = given["completion_ids"].shape[1]
        # TRL pads prompts on the left and completions on the right
        mask = given["teacher_attention_mask"].bool()
        self.completions = [
            row[kept].tolist() for row, kept in zip(given["completion_ids"], mask[:, -length:], strict=True)
        ]
        taught = zip(given["teacher_input_ids"][:, :-length], mask[:, :-length], strict=True)
        self.teacher_prompts = [row[kept].tolist() for row, kept in taught]
        self.prompts = [row[row != pad].tolist() for row in given["prompt_ids"]]
        self.learned_from = given.get("self_distillation_mask", torch.ones(len(self.prompts))).bool().tolist()


def our_loss(recorder: Recorder, objective: Objective) -> float:
    """Of the model before its first step, as the trainer computes it: the mean over all tokens that carry a loss."""
    network = Network(TransformersEngine.load(model_folder(MODEL), ModelOptions(dtype="float32")).model)
    kept = [place for place, learned in enumerate(recorder.learned_from) if learned]
    completions = [recorder.completions[place] for place in kept]
    device = torch.device("cpu")
    plain = Packed.of([recorder.prompts[place] for place in kept], completions, 0, device)
    taught = Packed.of([recorder.teacher_prompts[place] for place in kept], completions, 0, device)
    with torch.no_grad():
        parts = [TeacherPart(network(taught), network.head)]
        sums = divergence_sums(network(plain), network.head, parts, objective)
    return float(sums.loss) / sum(map(len, completions))


@pytest.mark.parametrize(
    ("objective", "fields"),
    [
        (Objective("forward_kl"), {"distillation_alpha": 0.0}),
        (Objective("js", alpha=0.25), {"distillation_alpha": 0.75}),
        (
            Objective("reverse_kl", top_k=4),
            {
                "distillation_alpha": 1.0,
                "distillation_mode": "topk_logits",
                "distillation_topk": 4,
                "distillation_add_tail": True,
            },
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("trainer", ["sdft", "sdpo"])
def test_a_steps_loss_is_the_same(trainer: str, objective: Objective, fields: dict[str, Any], tmp_path: Path) -> None:
    recorder = Recorder()
    config = {"sdft": sdft_config, "sdpo": sdpo_config}[trainer](tmp_path, **STEP, **fields)
    made = trainer_of(config, lab_rows(16), recorder)
    made.train()
    told = next(one for one in made.state.log_history if "loss" in one)[f"{trainer}/distillation_loss"]
    assert told > 0.01
    if trainer == "sdpo":
        assert 0 < sum(recorder.learned_from) < 64  # the rollouts without a success beside them carry no loss
    # TRL clamps the tail's probability at 1e-7: at most a few 1e-7 nats a token here
    assert our_loss(recorder, objective) == pytest.approx(told, rel=2e-5, abs=2e-6)
