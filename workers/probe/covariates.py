"""What a probe measures beside the gap: figures that may tell one context from another at the same mean gap."""

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt

from gapcast.contract.probes import LogRatio
from workers.sampling.statistics import Scores

TOP_SHARE = 0.1
"""The tokens with the largest log-ratios whose weight is reported: a tenth, so that it is .1 where all weigh alike."""


def pass_at_k(scores: Scores) -> dict[str, float]:
    """Share of problems that k rollouts solve at least once, for k = 1, 2, 4, ... and all K.

    Unbiased: 1 - C(K - c, k) / C(K, k) for c successes of K (arXiv 2107.03374, equation 1). A success has score 1.
    """
    rollouts = scores.shape[1]
    successes = (scores >= 1).sum(axis=1)
    sizes = sorted({2**power for power in range(rollouts.bit_length()) if 2**power <= rollouts} | {rollouts})
    return {
        str(k): float(np.mean([1 - comb(rollouts - int(c), k) / comb(rollouts, k) for c in successes])) for k in sizes
    }


def mean_sd(scores: Scores) -> float:
    """Mean over problems of sqrt(p (1 - p)), p the problem's mean score: how undecided the model is."""
    p = scores.mean(axis=1)
    return float(np.mean(np.sqrt(np.clip(p * (1 - p), 0, None))))


class LogRatios:
    """Token-level log-ratios: log p(token | context, prompt) - log p(token | prompt) on the student's own rollouts."""

    def __init__(self) -> None:
        self._ratios: list[npt.NDArray[np.float64]] = []

    def add(self, teacher: Sequence[Sequence[float]], student: Sequence[Sequence[float]]) -> None:
        """Take log-probabilities (nats) of the same tokens with and without the context."""
        for with_context, without in zip(teacher, student, strict=True):
            self._ratios.append(np.subtract(with_context, without))

    def summary(self) -> LogRatio | None:
        """Mean in nats a token (minus it estimates KL(student | self-teacher)), and how concentrated it is.

        `top_tenth` is the share of the sum of |log-ratio| that the largest tenth of the tokens carries; null without
        tokens.
        """
        if not self._ratios:
            return None
        ratios = np.concatenate(self._ratios)
        if not len(ratios):
            return None
        sizes = np.sort(np.abs(ratios))[::-1]
        top = sizes[: max(1, round(TOP_SHARE * len(sizes)))].sum()
        total = float(sizes.sum())
        return LogRatio(
            mean=float(ratios.mean()),
            top_tenth=float(top / total) if total > 0 else TOP_SHARE,
            tokens=len(ratios),
        )
