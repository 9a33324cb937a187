"""What one step learns from: the student's rollouts, and for each that gets a context the prompt that shows it."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gapcast.contract.contexts import Context
from workers.contexts import (
    Attempt,
    Material,
    build_context,
    extract_hints,
    prompt_shape,
    require_fit,
    student_prompt,
    teacher_prompt,
)
from workers.engines import Request
from workers.opsd.passes import Scored
from workers.opsd.stopwatch import Stopwatch
from workers.sampling.arms import Sampler
from workers.tasks import Problem, derive_seed


@dataclass(frozen=True)
class Lesson:
    """One rollout that has a context, as tokens."""

    prompt: tuple[int, ...]
    teacher_prompt: tuple[int, ...]
    completion: tuple[int, ...]


@dataclass(frozen=True)
class StepRollouts:
    """All rollouts of one step."""

    lessons: list[Lesson]
    rollouts: int
    score: float
    """Mean over all rollouts, those without a context among them."""
    tokens: int
    truncated: int
    missing: Counter[str]
    """Rollouts without a context, by reason."""
    scored: list[Scored]
    """By problem, in the order of the step's."""
    surprise: float | None
    """Mean negative log-probability of the tokens that were drawn, in nats: an estimate of the student's entropy. None:
    no token was drawn."""


def draw_step(
    sampler: Sampler,
    teacher: Sampler,
    context: Context,
    batch: Sequence[Problem],
    group: int,
    step: int,
    stopwatch: Stopwatch,
) -> StepRollouts:
    """Draws `group` rollouts of every problem from the weights that the step starts with.

    The student's decoding is the sampler's; the teacher reads its prompt in the mode of its own. A rollout's group is
    the step's rollouts of its problem; wrong contexts are made of the step's other problems.

    Raises:
        JobError: a prompt leaves no room for its completion (`context_too_long`).
    """
    engine, seed = sampler.engine, sampler.seed
    seen: Counter[str] = Counter()
    requests = []
    for problem in batch:
        # a problem that comes twice in one step draws other rollouts the second time
        again = (seen[problem.id],) if seen[problem.id] else ()
        seen[problem.id] += 1
        tokens = engine.encode(student_prompt(problem), thinking=sampler.thinking)
        require_fit(problem, len(tokens), sampler.sampling.max_tokens, engine.context_length)
        requests.append(Request(tokens, group, derive_seed("rollouts", seed, step, problem.id, *again)))
    with stopwatch.timing("rollouts"):
        drawn = engine.generate(requests, sampler.sampling, logprobs=True)
    with stopwatch.timing("verification"):
        rows = sampler.verified(batch, drawn)
    samples = [rollout.sample for row in rows for rollout in row]
    materials = []
    for problem, row in zip(batch, rows, strict=True):
        attempts = tuple(Attempt(rollout.sample.text, rollout.verdict) for rollout in row)
        materials += [Material(problem, attempts, place) for place in range(group)]
    scores = [material.group[material.place].verdict.score for material in materials]
    shape = prompt_shape(engine)
    hint_seed = derive_seed("hints", seed, step)
    materials = extract_hints(engine, context, materials, teacher.sampling, hint_seed, shape)
    lessons: list[Lesson] = []
    missing: Counter[str] = Counter()
    for index, (material, sample) in enumerate(zip(materials, samples, strict=True)):
        draw = f"step-{step}-{material.place}"
        built = build_context(context, sampler.task, material, materials, seed=seed, draw=draw)
        if built.reason is not None:
            missing[built.reason] += 1
            continue
        problem = material.problem
        shown = engine.encode(teacher_prompt(problem, built, shape), thinking=teacher.thinking)
        require_fit(problem, len(shown), len(sample.token_ids), engine.context_length)
        lessons.append(Lesson(requests[index // group].tokens, shown, sample.token_ids))
    surprises = [-logprob for sample in samples for logprob in sample.logprobs]
    return StepRollouts(
        lessons,
        len(samples),
        sum(scores) / len(scores),
        sum(len(sample.token_ids) for sample in samples),
        sum(sample.truncated for sample in samples),
        missing,
        [
            Scored(problem.id, [rollout.verdict.score for rollout in row])
            for problem, row in zip(batch, rows, strict=True)
        ],
        sum(surprises) / len(surprises) if surprises else None,
    )


def batches(problems: Sequence[Problem], size: int, seed: int) -> Iterator[list[Problem]]:
    """Batches of `size` problems for ever: every problem once, in a new random order, before any comes again."""
    rng = random.Random(derive_seed("batches", seed))  # noqa: S311 - order of the data, not a secret
    queue: list[Problem] = []
    while True:
        while len(queue) < size:
            queue += rng.sample(problems, len(problems))
        yield queue[:size]
        queue = queue[size:]
