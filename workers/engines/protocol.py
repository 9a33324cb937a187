"""What every engine can do: turn prompts into sampled completions, and say how likely given ones are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Prompt = str | Sequence[Mapping[str, str]]
"""A text, or chat messages `{"role", "content"}`."""


@dataclass(frozen=True)
class Sampling:
    """A decoding with its token limit filled in."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()
    """Texts that end a completion; they are not part of its text."""


@dataclass(frozen=True)
class Request:
    """One prompt that is sampled `n` times."""

    tokens: tuple[int, ...]
    n: int
    seed: int
    """Sample k depends on the prompt, the decoding and (seed, k) alone, whatever else is drawn beside it."""


@dataclass(frozen=True)
class Sample:
    """One completion."""

    token_ids: tuple[int, ...]
    """The completion's tokens, the end-of-text token included where the model wrote one."""
    text: str
    """The same without special tokens, cut before a stop text."""
    truncated: bool
    """The model had not ended when `max_tokens` was reached."""
    logprobs: tuple[float, ...] = field(default=(), repr=False)
    """Natural logarithm of each token's probability under the model itself, before temperature and top_p; empty where
    none were asked for."""


class Engine(Protocol):
    """Draws completions from one loaded model."""

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts are rendered as chats."""

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """The tokens of a prompt; a text is one user message for a model with a chat template.

        Raises:
            JobError: `no_chat_template` for messages and a model without one, `thinking_not_supported` where the
                template has no such mode.
        """

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """True if the chat template's prompts end inside a thinking part, so that completions begin there."""

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = lambda samples: None,
    ) -> list[list[Sample]]:
        """Fresh samples of every request, in order; the same request gives the same samples on one engine.

        `report` is called with the number of samples that were finished since the last call. An engine whose samples
        take long counts those under way by the share of their tokens.
        """

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """Log-probabilities (nats, as in `Sample`) of each completion's tokens after its prompt's."""

    def fingerprint(self) -> dict[str, str]:
        """Everything beside the configuration that the samples depend on: engine, versions, precision."""

    def close(self) -> None:
        """Give back memory and end what the engine started."""
