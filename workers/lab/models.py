"""The lab's models: two sizes of the Qwen3 architecture, each world's with two student accuracies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import transformers

from workers.lab.addition import AdditionCurriculum
from workers.lab.cipher import CipherCurriculum
from workers.lab.curriculum import Curriculum

FAMILY, CIPHER_FAMILY = "lab-qwen3", "lab-cipher-qwen3"
"""One a world: the law's slope belongs to a family, and another world has another."""

CONTEXT_LENGTH = 256
"""Tokens; the longest context of the lab's own world has about 60, the rest is room for a user's static text."""


INITIAL_DEVIATION = 0.08
"""Standard deviation of fresh weights: the sums were not learned in 1,300 steps with the usual 0.02."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model; `head_dim` is 32 for all, the smallest that vLLM's CPU kernels take."""

    name: str
    family: str = FAMILY
    curriculum: Callable[[int], Curriculum] = AdditionCurriculum
    """Takes the seed."""
    hidden_size: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate_size: int
    learning_rate: float
    seed: int
    target_accuracy: float | None = 0.25
    """The student stops here or just above: room for gaps of either sign. Null: it does not stop early."""
    steps: int = 4000
    """Of a model with a target, which stops well before, a bound."""

    @property
    def folder(self) -> str:
        """The folder's name under `workers/lab/models`."""
        return self.name.removeprefix("lab/")

    def build(self, vocabulary_size: int, end: int, pad: int) -> transformers.Qwen3ForCausalLM:
        """The model with freshly drawn weights."""
        torch.manual_seed(self.seed)
        return transformers.Qwen3ForCausalLM(
            transformers.Qwen3Config(
                vocab_size=vocabulary_size,
                hidden_size=self.hidden_size,
                num_hidden_layers=self.layers,
                num_attention_heads=self.heads,
                num_key_value_heads=self.key_value_heads,
                head_dim=32,
                intermediate_size=self.intermediate_size,
                max_position_embeddings=CONTEXT_LENGTH,
                tie_word_embeddings=True,
                initializer_range=INITIAL_DEVIATION,
                bos_token_id=None,
                eos_token_id=end,
                pad_token_id=pad,
            )
        )


SMALL, MEDIUM = (
    ModelSpec(
        name="lab/addition-qwen3-s",
        hidden_size=64,
        layers=2,
        heads=2,
        key_value_heads=2,
        intermediate_size=160,
        learning_rate=4e-3,
        seed=1,
    ),
    ModelSpec(
        name="lab/addition-qwen3-m",
        hidden_size=128,
        layers=2,
        heads=4,
        key_value_heads=2,
        intermediate_size=320,
        learning_rate=2e-3,
        seed=2,
    ),
)
"""About 0.1M and 0.4M parameters. Learning rates: the usual few 1e-3 of models this small, less for the larger."""

CIPHER = replace(
    SMALL,
    name="lab/cipher-qwen3-s",
    family=CIPHER_FAMILY,
    curriculum=partial(CipherCurriculum, known=0.45),
    target_accuracy=None,
    steps=1000,
)
"""It learns all there is to learn: what it does not know of the operators is what pre-training leaves open."""

MODELS = (
    SMALL,
    MEDIUM,
    replace(SMALL, name="lab/addition-qwen3-s50", target_accuracy=0.5),
    replace(MEDIUM, name="lab/addition-qwen3-m50", target_accuracy=0.5),
    CIPHER,
    replace(CIPHER, name="lab/cipher-qwen3-s25", curriculum=partial(CipherCurriculum, known=0.25)),
)
"""A second baseline in each world: what headroom does is seen between the two."""
