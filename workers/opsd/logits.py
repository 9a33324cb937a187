"""The logits with which a model predicts the tokens of given completions."""

from collections.abc import Sequence
from typing import Any

import torch


def completion_logits(
    model: Any,  # noqa: ANN401 - transformers has no types
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    pad: int,
) -> torch.Tensor:
    """Logits of every completion token given its prompt and the tokens before it, shape (tokens, vocabulary).

    Rows follow one another without gaps: all tokens of completion 0, then of completion 1, ... The prompts may differ
    between two calls (student and self-teacher); the rows still match, because only the completions are counted.
    Padding stands on the right, where causal attention never looks.
    """
    width = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
    tokens_BT = torch.full((len(prompts), width), pad)
    predicts_BT = torch.zeros((len(prompts), width), dtype=torch.bool)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        end = len(prompt) + len(completion)
        tokens_BT[row, :end] = torch.tensor([*prompt, *completion])
        predicts_BT[row, len(prompt) - 1 : end - 1] = True  # position t predicts token t + 1
    hidden_BTD = model.model(input_ids=tokens_BT).last_hidden_state
    logits: torch.Tensor = model.lm_head(hidden_BTD[predicts_BT])
    return logits
