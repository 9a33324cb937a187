"""The probe's arms: fresh samples for every rollout of every problem, with whatever context an arm gives."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Self

import numpy as np

from gapcast.contract import probes as contract
from gapcast.contract.measured import Decoding
from service.scores import Scores, counts
from workers.contexts import require_fit, student_prompt
from workers.engines import Engine, Prompt, Request, Sample, Sampling
from workers.processors import usable_processors
from workers.tasks import Problem, Task, Verdict, derive_seed
from workers.tasks.answers import answer_part, closes_thinking, opens_thinking


@dataclass(frozen=True)
class Draw:
    """Rollouts that are to be drawn: one prompt for each rollout of each problem."""

    arm: str
    problems: Sequence[Problem]
    prompts: Sequence[Sequence[Prompt]]

    @classmethod
    def plain(cls, arm: str, problems: Sequence[Problem], rollouts: int) -> "Draw":
        """Exactly the student's prompt; the arm's name makes the samples independent of any other arm's."""
        return cls(arm, problems, [[student_prompt(problem)] * rollouts for problem in problems])


@dataclass(frozen=True)
class Rollout:
    """One completion and what the verifier says about it."""

    sample: Sample
    verdict: Verdict


Rows = list[list[Rollout]]
"""Rollouts by problem, in the order of the draw."""


@dataclass(frozen=True)
class Sampler:
    """Draws and verifies rollouts; `report(samples)` is called as they come."""

    engine: Engine
    task: Task
    sampling: Sampling
    seed: int
    thinking: bool = False
    report: Callable[[int], None] = lambda samples: None
    scored: Callable[[int], None] = lambda samples: None
    """Called as verdicts of a slow verifier come."""

    def draw(self, draws: Sequence[Draw]) -> list[Rows]:
        """All draws together, in one call of the engine; one table of rollouts a draw.

        Raises:
            JobError: a prompt leaves no room for its completion (`context_too_long`).
        """
        encoded: dict[str | None, tuple[int, ...]] = {}
        requests = [request for draw in draws for request in self._requests(draw, encoded)]
        drawn = iter(self.engine.generate(requests, self.sampling, report=self.report))
        tables: list[Rows] = []
        for draw in draws:
            samples = [_take(drawn, len(prompts)) for prompts in draw.prompts]
            tables.append(self.verified(draw.problems, samples))
        return tables

    def _requests(self, draw: Draw, encoded: dict[str | None, tuple[int, ...]]) -> Iterable[Request]:
        """Neighbouring rollouts of one prompt are one request, so that engines read the prompt once."""
        for problem, prompts in zip(draw.problems, draw.prompts, strict=True):
            first = 0
            for prompt, same in groupby(prompts):
                n = len(list(same))
                text = prompt if isinstance(prompt, str) else None
                tokens = encoded.get(text) or self.engine.encode(prompt, thinking=self.thinking)
                if text is not None:
                    encoded[text] = tokens
                require_fit(problem, len(tokens), self.sampling.max_tokens, self.engine.context_length)
                yield Request(tokens, n, derive_seed("rollouts", draw.arm, self.seed, problem.id, first))
                first += n

    def verified(self, problems: Sequence[Problem], samples: list[list[Sample]]) -> Rows:
        """Score every completion of every problem."""
        pairs = [(problem, sample) for problem, row in zip(problems, samples, strict=True) for sample in row]
        if self.task.slow:
            verdicts = iter(self._verified_side_by_side(pairs))
        else:
            verdicts = iter([self.verify(*pair) for pair in pairs])
        return [[Rollout(sample, next(verdicts)) for sample in row] for row in samples]

    def _verified_side_by_side(self, pairs: list[tuple[Problem, Sample]]) -> list[Verdict]:
        found = []
        with ThreadPoolExecutor(self.verifiers) as pool:
            for verdict in pool.map(lambda pair: self.verify(*pair), pairs):
                found.append(verdict)
                self.scored(1)
        return found

    def decoding_as(self, decoding: Decoding) -> Self:
        """Itself where it decodes so, else one that does."""
        sampling = sampling_of(decoding, self.task)
        if (sampling, decoding.thinking) == (self.sampling, self.thinking):
            return self
        return replace(self, sampling=sampling, thinking=decoding.thinking)

    @property
    def verifiers(self) -> int:
        """Completions that a slow verifier may have at a time."""
        return usable_processors()

    def verify(self, problem: Problem, sample: Sample) -> Verdict:
        """Score a completion's answer; thinking that was cut off has none."""
        opened = self._prompts_open_thinking if self.engine.has_chat_template else opens_thinking(problem.text)
        # a model's own tags may be special tokens, which the text lacks
        unfinished = self.thinking and sample.truncated and not closes_thinking(sample.text)
        return self.task.verify(problem, "" if unfinished else answer_part(sample.text, opened=opened))

    @cached_property
    def _prompts_open_thinking(self) -> bool:
        return self.engine.opens_thinking(thinking=self.thinking)


def _take(drawn: Iterable[list[Sample]], count: int) -> list[Sample]:
    """The samples of the next requests, up to `count` of them."""
    samples: list[Sample] = []
    source = iter(drawn)
    while len(samples) < count:
        samples += next(source)
    return samples


@dataclass
class Arm:
    """What is kept of an arm's rollouts: scores and totals, no texts."""

    name: str
    parts: list[Scores] = field(default_factory=list)
    tokens: int = 0
    truncated: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    """Rollouts without a context, by reason."""

    def add(self, table: Rows) -> None:
        """Take the rollouts of the next problems."""
        self.parts.append(np.array([[rollout.verdict.score for rollout in row] for row in table], dtype=np.float64))
        for row in table:
            self.tokens += sum(len(rollout.sample.token_ids) for rollout in row)
            self.truncated += sum(rollout.sample.truncated for rollout in row)

    @property
    def scores(self) -> Scores:
        """Scores, shape (problems, rollouts)."""
        return np.concatenate(self.parts)

    @property
    def rollouts(self) -> int:
        """Rollouts of all problems together."""
        return sum(part.size for part in self.parts)

    def summary(self) -> contract.Arm:
        """Return the arm as the probe's result shows it."""
        scores = self.scores
        return contract.Arm(
            accuracy=float(scores.mean()),
            counts=counts(scores),
            rollouts=int(scores.shape[1]),
            mean_tokens=self.tokens / self.rollouts,
            truncated=self.truncated / self.rollouts,
            contexts_missing=dict(self.missing),
        )


def arm_of(name: str, table: Rows) -> Arm:
    """A whole arm at once."""
    arm = Arm(name)
    arm.add(table)
    return arm


def sampling_of(decoding: Decoding, task: Task) -> Sampling:
    """The decoding with the task's own token limit filled in."""
    return Sampling(decoding.temperature, decoding.top_p, decoding.max_tokens or task.max_tokens, tuple(decoding.stop))
