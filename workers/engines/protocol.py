"""What every engine can do: turn prompts into sampled completions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Sampling:
    """A decoding with its token limit filled in."""

    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True)
class Sample:
    """One completion."""

    token_ids: tuple[int, ...]
    """The completion's tokens, the end-of-text token included where the model wrote one."""
    text: str
    """The same without special tokens."""
    truncated: bool
    """The model had not ended when `max_tokens` was reached."""


class Engine(Protocol):
    """Draws completions from one loaded model."""

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""

    def count_tokens(self, prompt: str) -> int:
        """Tokens of a prompt."""

    def generate(self, prompts: Sequence[str], n: int, sampling: Sampling, seed: int) -> list[list[Sample]]:
        """`n` fresh samples of every prompt, in the prompts' order; the same arguments give the same samples."""

    def fingerprint(self) -> dict[str, str]:
        """Everything beside the configuration that the samples depend on: engine, versions, precision."""
