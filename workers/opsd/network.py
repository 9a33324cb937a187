"""A causal language model as the trainer runs it: tokens to the last hidden states that predict given completions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workers.failures import JobError

SAME_LOGITS = 1e-3
"""nats-sized differences between a model's logits and those of its output layer alone, as rounding makes them"""


@dataclass(frozen=True)
class Packed:
    """Some prompts with their completions, padded on the right, where causal attention never looks."""

    tokens_BT: torch.Tensor  # noqa: N815 - shapes are part of names
    predicts_BT: torch.Tensor  # noqa: N815
    """Whether position t predicts a token of the completion, which is the one at t + 1."""

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        pad: int,
        device: torch.device,
        skip: int = 0,
    ) -> "Packed":
        """Packs rows; the counted positions of student and self-teacher match although their prompts differ.

        The first `skip` tokens of each completion are not counted.
        """
        width = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
        tokens_BT = torch.full((len(prompts), width), pad)
        predicts_BT = torch.zeros((len(prompts), width), dtype=torch.bool)
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            end = len(prompt) + len(completion)
            tokens_BT[row, :end] = torch.tensor([*prompt, *completion])
            predicts_BT[row, len(prompt) - 1 + skip : end - 1] = True
        return cls(tokens_BT.to(device), predicts_BT.to(device))


class Network(nn.Module):  # type: ignore[misc] # torch is not followed
    """One set of weights; `forward` gives hidden states, `head` turns them into logits chunk by chunk."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - transformers has no types
        super().__init__()
        self.model = model

    def forward(self, packed: Packed) -> torch.Tensor:
        """Hidden states of shape (tokens, width) that predict the completions' tokens, row after row without gaps."""
        decoder = self.model.get_decoder()
        hidden_BTD = decoder(input_ids=packed.tokens_BT, use_cache=False).last_hidden_state
        hidden_ND: torch.Tensor = hidden_BTD[packed.predicts_BT]
        return hidden_ND

    def head(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """Logits of shape (tokens, vocabulary)."""
        logits_NV: torch.Tensor = self.model.get_output_embeddings()(hidden_ND)
        return logits_NV


def require_plain_head(model: Any, tokens: Sequence[int]) -> None:  # noqa: ANN401
    """Refuses a model whose logits are not its output layer's (scaled or capped ones): the loss would be another's.

    Raises:
        JobError: `model_not_trainable`.
    """
    tokens_1T = torch.tensor([list(tokens)], device=model.device)
    packed = Packed(tokens_1T, torch.ones_like(tokens_1T, dtype=torch.bool))
    network = Network(model)
    try:
        with torch.no_grad():
            own_NV = network.head(network(packed))
            whole_NV = model(input_ids=tokens_1T, use_cache=False).logits[0]
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise _not_trainable(f"it has no plain decoder and output layer ({error})") from error
    if own_NV.shape != whole_NV.shape or not torch.allclose(own_NV.float(), whole_NV.float(), atol=SAME_LOGITS):
        raise _not_trainable("its logits are scaled or capped after the output layer")


def _not_trainable(why: str) -> JobError:
    return JobError("model_not_trainable", f"This model cannot be trained here: {why}.", "model")
