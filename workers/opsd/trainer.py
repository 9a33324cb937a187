"""On-policy self-distillation: the student learns, on its own rollouts, what the self-teacher says with the context."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from service.catalog.contexts import Context
from service.catalog.schemas import Recipe
from workers.contexts import build_context, require_fit, teacher_prompt
from workers.engines import Sampling
from workers.engines.transformers import TransformersEngine
from workers.opsd.logits import completion_logits
from workers.opsd.losses import opsd_loss
from workers.tasks import Problem, Task, derive_seed

MAX_GRADIENT_NORM = 1.0
"""The usual bound: a single batch of surprising contexts does not throw a small model off."""


@dataclass(frozen=True)
class StepMetrics:
    """What one optimizer step saw."""

    step: int
    loss: float | None
    """Mean divergence in nats a token; null where no rollout had a context, and so nothing was learned."""
    score: float
    """Mean score of the student's rollouts."""
    with_context: float
    """Share of rollouts with a context."""
    gradient_norm: float | None


def train(
    student: TransformersEngine,
    task: Task,
    problems: Sequence[Problem],
    context: Context,
    recipe: Recipe,
    divergence: Literal["forward_kl", "reverse_kl"],
    sampling: Sampling,
    seed: int,
    report: Callable[[StepMetrics], None],
) -> None:
    """Trains the student's weights in place for `recipe.steps` steps against a frozen copy of them.

    A rollout without a context carries no loss. Rollouts are drawn from the weights that the step starts with.
    """
    teacher = copy.deepcopy(student.model).requires_grad_(False)
    pad = int(student.tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(student.model.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    batches = _batches(problems, recipe.problems_per_step, seed)
    for step in range(1, recipe.steps + 1):
        batch = next(batches)
        groups = student.generate(
            [problem.prompt for problem in batch], recipe.group_size, sampling, derive_seed("rollouts", seed, step)
        )
        prompts: list[list[int]] = []
        teacher_prompts: list[list[int]] = []
        completions: list[tuple[int, ...]] = []
        scores: list[float] = []
        for problem, group in zip(batch, groups, strict=True):
            for k, sample in enumerate(group):
                scores.append(task.score(problem, sample.text))
                built = build_context(context, task, problem, seed=seed, draw=f"step-{step}-{k}", attempt=sample.text)
                if built.text is None:
                    continue
                encoded = student.encode(teacher_prompt(problem, built))
                require_fit(problem, len(encoded), sampling.max_tokens, student.context_length)
                prompts.append(student.encode(problem.prompt))
                teacher_prompts.append(encoded)
                completions.append(sample.token_ids)
        loss = norm = None
        if completions:
            with torch.no_grad():
                teacher_NV = completion_logits(teacher, teacher_prompts, completions, pad)
            objective = opsd_loss(completion_logits(student.model, prompts, completions, pad), teacher_NV, divergence)
            optimizer.zero_grad()
            objective.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(student.model.parameters(), MAX_GRADIENT_NORM))
            optimizer.step()
            loss = float(objective.detach())
        report(StepMetrics(step, loss, sum(scores) / len(scores), len(completions) / len(scores), norm))


def _batches(problems: Sequence[Problem], size: int, seed: int) -> Iterator[list[Problem]]:
    """Batches of `size` problems for ever: every problem once, in a new random order, before any comes again."""
    rng = random.Random(derive_seed("batches", seed))  # noqa: S311 - order of the data, not a secret
    queue: list[Problem] = []
    while True:
        while len(queue) < size:
            queue += rng.sample(problems, len(problems))
        yield queue[:size]
        queue = queue[size:]
