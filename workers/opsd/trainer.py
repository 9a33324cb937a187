"""On-policy self-distillation: the student learns, on its own rollouts, what the self-teacher says with the context."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from service.catalog.contexts import Context
from service.catalog.schemas import Recipe
from workers.contexts import (
    Attempt,
    Material,
    answer_part,
    build_context,
    extract_hints,
    prompt_shape,
    require_fit,
    student_prompt,
    teacher_prompt,
)
from workers.engines import Request, Sample, Sampling
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

    A rollout without a context carries no loss. Rollouts are drawn from the weights that the step starts with. A
    rollout's group is the step's rollouts of its problem; wrong contexts are made of the step's other problems.
    """
    teacher = copy.deepcopy(student.model).requires_grad_(False)
    pad = int(student.tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(student.model.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    shape = prompt_shape(student)
    batches = _batches(problems, recipe.problems_per_step, seed)
    for step in range(1, recipe.steps + 1):
        batch = next(batches)
        requests = [
            Request(
                student.encode(student_prompt(problem)),
                recipe.group_size,
                derive_seed("rollouts", seed, step, problem.id),
            )
            for problem in batch
        ]
        groups = student.generate(requests, sampling)
        prompts: list[tuple[int, ...]] = []
        teacher_prompts: list[tuple[int, ...]] = []
        completions: list[tuple[int, ...]] = []
        materials = [material for pair in zip(batch, groups, strict=True) for material in _materials(task, *pair)]
        samples = [sample for group in groups for sample in group]
        scores = [material.group[material.place].verdict.score for material in materials]
        hint_seed = derive_seed("hints", seed, step)
        materials = extract_hints(student, context, materials, sampling, hint_seed, shape)
        for material, sample in zip(materials, samples, strict=True):
            draw = f"step-{step}-{material.place}"
            built = build_context(context, task, material, materials, seed=seed, draw=draw)
            if built.text is None:
                continue
            problem = material.problem
            encoded = student.encode(teacher_prompt(problem, built, shape))
            require_fit(problem, len(encoded), sampling.max_tokens, student.context_length)
            prompts.append(student.encode(student_prompt(problem)))
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


def _materials(task: Task, problem: Problem, group: Sequence[Sample]) -> list[Material]:
    """One group's rollouts with their verdicts, each in its own place."""
    attempts = tuple(Attempt(sample.text, task.verify(problem, answer_part(sample.text))) for sample in group)
    return [Material(problem, attempts, place) for place in range(len(attempts))]


def _batches(problems: Sequence[Problem], size: int, seed: int) -> Iterator[list[Problem]]:
    """Batches of `size` problems for ever: every problem once, in a new random order, before any comes again."""
    rng = random.Random(derive_seed("batches", seed))  # noqa: S311 - order of the data, not a secret
    queue: list[Problem] = []
    while True:
        while len(queue) < size:
            queue += rng.sample(problems, len(problems))
        yield queue[:size]
        queue = queue[size:]
