"""Rollouts in several processes: each has a whole copy of the model to sample from, and draws and verifies a part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from workers.engines import Prompt, Request, Sample, Sampling
from workers.engines.transformers import TransformersEngine
from workers.opsd.student import ADAPTER, Student, add_adapter
from workers.opsd.world import ALONE, World
from workers.sampling.arms import Rollout, Rows, Sampler
from workers.tasks import Problem


class ReplicaEngine:
    """Implements `workers.engines.protocol.Engine`; every process asks for the same samples and gets all of them.

    It costs a copy of the whole model beside the shards on every GPU, in the precision of its files (in float32 where
    the passes are to be), and saves gathering every layer for every token of a rollout. As each sample depends on its
    request alone, they are those of one process up to rounding.
    """

    def __init__(self, engine: TransformersEngine, student: Student, world: World) -> None:
        self.model = engine.model
        self._engine, self._student, self._world = engine, student, world
        if student.lora:
            add_adapter(self.model, student.lora_config, ADAPTER)
        elif student.precision == torch.float32:
            self.model.float()
        self._weights = dict(self.model.requires_grad_(False).named_parameters())

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        return self._engine.context_length

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts are rendered as chats."""
        return self._engine.has_chat_template

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """The tokens of a prompt."""
        return self._engine.encode(prompt, thinking=thinking)

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """As the engine's."""
        return self._engine.opens_thinking(thinking=thinking)

    @torch.no_grad()  # type: ignore[untyped-decorator] # torch's own
    def push(self) -> None:
        """Takes the student's weights as they are now."""
        for name, parameter in self._student.trained.items():
            self._weights[name].copy_(parameter.full_tensor())

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = lambda samples: None,
    ) -> list[list[Sample]]:
        """Fresh samples of every request, in order."""
        mine = self._engine.generate(self._world.share(requests), sampling, logprobs=logprobs, report=report)
        return self._world.gather(mine)

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """Log-probabilities of each completion's tokens after its prompt's."""
        return self._world.gather(self._engine.score(self._world.share(pairs)))

    def fingerprint(self) -> dict[str, str]:
        """Everything beside the configuration that the samples depend on."""
        return self._engine.fingerprint() | {"processes": str(self._world.size)}

    def close(self) -> None:
        """Give the memory back."""
        self._engine.close()


@dataclass(frozen=True)
class SharedSampler(Sampler):
    """A sampler whose verdicts are shared out: what runs for seconds may not end in one way here and another there."""

    world: World = ALONE

    @property
    def verifiers(self) -> int:
        """Completions that a slow verifier may have at a time in this process."""
        return max(1, super().verifiers // self.world.size)

    def verified(self, problems: Sequence[Problem], samples: list[list[Sample]]) -> Rows:
        """Score every completion of every problem."""
        pairs = [(problem, sample) for problem, row in zip(problems, samples, strict=True) for sample in row]
        mine = self.world.share(pairs)
        rows = super().verified([problem for problem, _ in mine], [[sample] for _, sample in mine])
        verdicts = iter(self.world.gather([rollout.verdict for (rollout,) in rows]))
        return [[Rollout(sample, next(verdicts)) for sample in row] for row in samples]
