"""On-policy self-distillation: the student learns, on its own rollouts, what the self-teacher says with the context."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch

from gapcast.contract.contexts import Context
from gapcast.contract.events import TrainingMetrics
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingOptions
from workers.failures import JobError, out_of_memory
from workers.opsd.losses import Objective, divergence_sums
from workers.opsd.network import Packed
from workers.opsd.passes import Scored
from workers.opsd.rollouts import Lesson, batches, draw_step
from workers.opsd.sharding import number, placed, shard, whole
from workers.opsd.stopwatch import Stopwatch
from workers.opsd.student import Student
from workers.opsd.teacher import Teacher
from workers.opsd.world import ALONE, World
from workers.sampling.arms import Sampler
from workers.tasks import Problem, derive_seed

MAX_GRADIENT_NORM = 1.0
"""The usual bound: a single batch of surprising contexts does not throw a small model off."""
ADAMW = ("step", "exp_avg", "exp_avg_sq")
"""What the optimizer knows of each weight."""
MICRO_TOKENS = 1 << 14
"""Tokens in one forward and backward pass where the run does not say how many rollouts: room for a small model's
activations; a large one wants `training.micro_batch`, or fails with that advice."""


class Trainer:
    """Student, self-teacher and optimizer of one run; `step` is one optimizer step."""

    def __init__(
        self,
        student: Student,
        sampler: Sampler,
        problems: Sequence[Problem],
        context: Context,
        recipe: Recipe,
        options: TrainingOptions,
        pushed: Callable[[], None] = lambda: None,
        world: World = ALONE,
        read_by: Sampler | None = None,
    ) -> None:
        """Begin; `read_by` has the decoding in which the teacher reads its prompt; null: the sampler's."""
        self.student, self.teacher = student, Teacher(student, recipe, world)
        self._world = world
        if world.size > 1:
            shard(student.network, student.precision, world)
            self.teacher.shard()
        self._sampler, self._read_by = sampler, read_by or sampler
        self._problems, self._context = problems, context
        self._recipe, self._options, self._pushed = recipe, options, pushed
        self._objective = Objective.of(recipe)
        self._pad = next(iter(sorted(student.end)), 0)
        self._optimizer = torch.optim.AdamW(student.trained.values(), lr=recipe.rate, weight_decay=recipe.weight_decay)
        self._batches = batches(problems, recipe.problems_per_step, sampler.seed)
        self.done = 0
        self.scored: Sequence[Scored] = ()
        """the rollouts of the last step, by problem"""

    def step(self) -> TrainingMetrics:
        """Draws rollouts from the weights as they are, and learns from those that have a context.

        The loss is the mean over all unmasked completion tokens of the step: a long completion weighs more than a short
        one. A rollout without a context carries no loss.

        Raises:
            JobError: `out_of_memory`, `training_diverged` (a gradient that is no number), or of the rollouts.
        """
        stopwatch, step = Stopwatch(), self.done + 1
        # all that torch draws in a step depends on its number alone, so a resumed run needs no stored state of it
        torch.manual_seed(derive_seed("torch", self._sampler.seed, step))
        rate = learning_rate(self._recipe, step)
        batch = next(self._batches)
        with self.student.passes():
            drawn = draw_step(
                *(self._sampler, self._read_by, self._context, batch), self._recipe.group_size, step, stopwatch
            )
        lessons = [lesson for lesson in drawn.lessons if len(lesson.completion) > self._recipe.skip_tokens]
        tokens = sum(len(lesson.completion) - self._recipe.skip_tokens for lesson in lessons)
        loss = agreement = norm = None
        if lessons:
            with stopwatch.timing("forward_backward"):
                loss, agreement = self._gradients(lessons, tokens)
            norm = number(torch.nn.utils.clip_grad_norm_(self.student.trained.values(), MAX_GRADIENT_NORM))
            if not math.isfinite(norm) or not math.isfinite(loss):
                raise JobError(
                    "training_diverged",
                    f"At step {step} the loss ({loss}) or its gradient ({norm}) is not a finite number: take a lower "
                    "recipe.learning_rate, a recipe.token_clip, or training.precision float32.",
                    "recipe.learning_rate",
                )
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
            self._optimizer.zero_grad()
            self.teacher.follow()
            with stopwatch.timing("weight_sync"):
                self._pushed()
        self.done, self.scored = step, drawn.scored
        seconds = stopwatch.read()
        return TrainingMetrics(
            step=step,
            loss=loss,
            score=drawn.score,
            with_context=1 - sum(drawn.missing.values()) / drawn.rollouts,
            agreement=agreement,
            gradient_norm=norm,
            learning_rate=rate,
            mean_tokens=drawn.tokens / drawn.rollouts,
            truncated=drawn.truncated / drawn.rollouts,
            tokens=drawn.tokens,
            tokens_per_second=drawn.tokens / max(seconds.total, 1e-9),
            missing=dict(drawn.missing),
            entropy=drawn.surprise,
            seconds=seconds,
        )

    def _gradients(self, lessons: Sequence[Lesson], tokens: int) -> tuple[float, float]:
        """Leaves the gradient of the step's loss; returns the loss and the share of tokens that agree."""
        loss = agreed = 0.0
        for some in self._passes(lessons):
            try:
                with self.student.learning():
                    sums = self._sums(some)
                    # of the processes' gradients FSDP takes the mean, and not the sum
                    (sums.loss / (tokens / self._world.size)).backward()
            except torch.cuda.OutOfMemoryError as error:
                raise out_of_memory(
                    f"The GPU's memory does not hold {len(some)} rollouts in one pass: take fewer by "
                    "training.micro_batch, or set training.gradient_checkpointing"
                ) from error
            loss += float(sums.loss.detach())
            agreed += float(sums.agreement)
        loss, agreed = self._world.total(loss, agreed)
        return loss / tokens, agreed / tokens

    def _sums(self, lessons: Sequence[Lesson]) -> Any:  # noqa: ANN401
        completions = [lesson.completion for lesson in lessons]
        skip, device = self._recipe.skip_tokens, self.student.device
        taught = Packed.of([one.teacher_prompt for one in lessons], completions, self._pad, device, skip)
        plain = Packed.of([one.prompt for one in lessons], completions, self._pad, device, skip)
        with self.student.passes():
            parts = self.teacher.parts(taught)
            hidden_ND = self.student.network(plain)
            return divergence_sums(hidden_ND, self.student.network.head, parts, self._objective)

    def _passes(self, lessons: Sequence[Lesson]) -> list[list[Lesson]]:
        """This process's micro-batches: as many in every process, because all take part in every pass."""
        parts = [list(self._micro_batches(part)) for part in self._world.parts(sorted(lessons, key=_width))]
        mine = parts[self._world.rank]
        nothing = Lesson((self._pad,), (self._pad,), ())
        return mine + [[nothing]] * (max(map(len, parts)) - len(mine))

    def _micro_batches(self, lessons: Sequence[Lesson]) -> Iterator[list[Lesson]]:
        """Rollouts of similar length, as many as one pass takes, of rollouts that are sorted by it."""
        most, some = self._options.micro_batch, list[Lesson]()
        for lesson in lessons:
            full = len(some) == most if most is not None else (len(some) + 1) * _width(lesson) > MICRO_TOKENS
            if some and full:
                yield some
                some = []
            some.append(lesson)
        if some:
            yield some

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """What a checkpoint keeps, on the CPU; of a teacher only what the pinned model does not say.

        Of several processes all must ask, and the first alone gets it.
        """
        return {
            "student": self.student.weights(),
            "teacher": self.teacher.state(),
            "optimizer": self._optimizer_state(),
        }

    def _optimizer_state(self) -> dict[str, torch.Tensor]:
        state = self._optimizer.state
        known = {
            f"{key}:{name}": state[parameter][key]
            for name, parameter in self.student.trained.items()
            if parameter in state
            for key in ADAMW
        }
        return {name: tensor.detach().cpu().clone() for name, tensor in whole(known)}

    def resume(self, done: int, tensors: dict[str, dict[str, torch.Tensor]]) -> None:
        """Goes on after `done` steps as if it had never stopped.

        Raises:
            JobError: `checkpoint_mismatch`.
        """
        self.done = done
        self._batches = islice(batches(self._problems, self._recipe.problems_per_step, self._sampler.seed), done, None)
        if not tensors:
            return
        self.student.load(tensors["student"])
        self.teacher.load(tensors["teacher"])
        kept = tensors["optimizer"]
        for name, parameter in self.student.trained.items():
            if f"step:{name}" in kept:
                # AdamW counts its steps on the CPU
                self._optimizer.state[parameter] = {
                    key: kept[f"{key}:{name}"] if key == "step" else placed(kept[f"{key}:{name}"], parameter)
                    for key in ADAMW
                }
        self._pushed()


def _width(lesson: Lesson) -> int:
    return len(lesson.teacher_prompt) + len(lesson.completion)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of step 1, 2, ..., which is a function of the step alone: linear warm-up, then the recipe's schedule."""
    if step <= recipe.warmup_steps:
        return recipe.rate * step / recipe.warmup_steps
    share = (step - recipe.warmup_steps - 1) / max(1, recipe.steps - recipe.warmup_steps)
    if recipe.schedule == "linear":
        return recipe.rate * (1 - share)
    if recipe.schedule == "cosine":
        return recipe.rate * (1 + math.cos(math.pi * share)) / 2
    return recipe.rate
