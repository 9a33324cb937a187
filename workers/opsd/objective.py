"""What a token's loss is."""

from dataclasses import dataclass
from typing import Literal, Self

from gapcast.contract.recipes import Recipe


@dataclass(frozen=True)
class Objective:
    """The divergence between self-teacher q and student p at one token, in nats."""

    divergence: Literal["forward_kl", "reverse_kl", "js"]
    """KL(q || p), KL(p || q), or alpha KL(p || m) + (1 - alpha) KL(q || m) with m = alpha p + (1 - alpha) q."""
    alpha: float | None = None
    """The student's weight in m, between 0 and 1; for `js` and for nothing else."""
    top_k: int | None = None
    """The outcomes are the student's `top_k` tokens and one bucket for all others; null: every token is one."""
    token_clip: float | None = None
    """The most that a token counts, in nats; a token above it carries no gradient. Null: there is no bound."""

    def __post_init__(self) -> None:
        if self.divergence == "js":
            if self.alpha is None or not 0 < self.alpha < 1:
                raise ValueError(f"alpha: {self.alpha} for the divergence 'js'; give a weight between 0 and 1")
        elif self.alpha is not None:
            raise ValueError(f"alpha: {self.alpha} for the divergence {self.divergence!r}; only 'js' has one")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: {self.top_k}; give 1 or more, or null for the full vocabulary")
        if self.token_clip is not None and not self.token_clip > 0:
            raise ValueError(f"token_clip: {self.token_clip}; give a number above 0, or null for no bound")

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The part of a recipe that says what a token's loss is."""
        return cls(recipe.divergence, recipe.alpha, recipe.top_k, recipe.token_clip)
