"""What a probe measures beside the gap: figures that may tell one context from another at the same mean gap."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gapcast.contract.probes import LogRatio

TOP_SHARE = 0.1
"""The tokens with the largest log-ratios whose weight is reported: a tenth, so that it is .1 where all weigh alike."""


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
