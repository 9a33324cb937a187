"""Pre-trains one lab model from scratch; in the end it still has something to learn."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch program uses

from workers.lab.curriculum import Example
from workers.lab.models import ModelSpec

WARMUP_STEPS = 100

CHECK_EVERY = 5
"""Steps between two looks at a target: the accuracy of the sums grows by up to 3 points in 5 steps when it grows."""

REPORT_EVERY = 25

EVALUATION_PROBLEMS = 512


def pretrain(
    model: Any,  # noqa: ANN401 - transformers has no types
    tokenizer: Any,  # noqa: ANN401
    spec: ModelSpec,
    report: Callable[[int, dict[str, float]], None],
) -> int:
    """Trains in place until the spec's target is reached or, where it has none, to its end; returns the steps taken."""
    curriculum, target = spec.curriculum(spec.seed), spec.target_accuracy
    mix = curriculum.mix
    evaluation = {kind: curriculum.examples(kind, EVALUATION_PROBLEMS) for kind in mix}
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(1, spec.steps + 1):
        # to an end that is known the rate falls to 0, which leaves less noise in the last weights
        left = 1.0 if target is not None else (spec.steps - step) / (spec.steps - WARMUP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = spec.learning_rate * min(1.0, step / WARMUP_STEPS, left)
        for kind, count in mix.items():
            log_probabilities = answer_log_probabilities(model, tokenizer, curriculum.examples(kind, count))
            (-log_probabilities.sum() / sum(mix.values())).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        reached = (
            target is not None and step % CHECK_EVERY == 0 and accuracy(model, tokenizer, evaluation["none"]) >= target
        )
        if reached or step % REPORT_EVERY == 0:
            report(step, {kind: accuracy(model, tokenizer, examples) for kind, examples in evaluation.items()})
        if reached:
            return step
    if target is not None:
        raise RuntimeError(f"the student did not reach an accuracy of {target} in {spec.steps} steps")
    return spec.steps


def accuracy(model: Any, tokenizer: Any, examples: Sequence[Example]) -> float:  # noqa: ANN401
    """The expected accuracy at temperature 1: the mean probability of exactly the answer and then the end."""
    with torch.inference_mode():
        return float(answer_log_probabilities(model, tokenizer, examples).exp().mean())


def answer_log_probabilities(model: Any, tokenizer: Any, examples: Sequence[Example]) -> torch.Tensor:  # noqa: ANN401
    """Log-probability of every example's answer with its end of text, shape (examples,).

    Rows are padded on the right: attention is causal, so no token of an answer sees the padding.
    """
    prompts = [tokenizer(example.prompt)["input_ids"] for example in examples]
    answers = [[*tokenizer(example.answer)["input_ids"], tokenizer.eos_token_id] for example in examples]
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    tokens_BT = torch.full((len(examples), width), int(tokenizer.pad_token_id))
    labels_BT = torch.full((len(examples), width), -100)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        tokens_BT[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels_BT[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    logits_BTV = model(input_ids=tokens_BT).logits
    losses_BT = F.cross_entropy(
        logits_BTV[:, :-1].transpose(1, 2), labels_BT[:, 1:], reduction="none", ignore_index=-100
    )
    return -losses_BT.sum(dim=1)
