"""Seeded sampling for `transformers`: the tokens of a row depend on its own numbers, not on the rows beside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transformers

from workers.engines.protocol import Sampling


def uniforms(seeds: Sequence[tuple[int, int]], steps: int) -> torch.Tensor:
    """One number in [0, 1) for every row and step; a row's come from its own (request seed, k)."""
    numbers = np.empty((len(seeds), steps), dtype=np.float32)
    philox = np.random.Philox(key=0)
    generator, state = np.random.Generator(philox), philox.state
    for row, (seed, k) in enumerate(seeds):
        # the key that Philox(SeedSequence) has; to set it again costs a third of making another generator
        state["state"]["key"][:] = np.random.SeedSequence((seed, k)).generate_state(2, np.uint64)
        philox.state = state
        generator.random(dtype=np.float32, out=numbers[row])
    return torch.from_numpy(numbers)


class SeededPick(transformers.LogitsProcessor):  # type: ignore[misc] # transformers has no types
    """Picks each row's token by inverse CDF from its number, and leaves greedy decoding no other choice.

    It does temperature and top_p itself, so it is the only processor and sees the model's own logits.
    """

    def __init__(self, sampling: Sampling, uniforms_BT: torch.Tensor | None, logprobs: bool) -> None:
        self._sampling = sampling
        self._uniforms_BT = uniforms_BT
        self._keep_logprobs = logprobs
        self._step = 0
        self.logprobs: list[torch.Tensor] = []
        """Of the picked tokens, one tensor of shape (rows,) a step."""
        self.finite: torch.Tensor | bool = True
        """Whether all logits so far were numbers."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores that allow one token a row."""
        highest_B1 = scores.amax(dim=-1, keepdim=True)
        self.finite = torch.isfinite(highest_B1).all() & self.finite
        picked_B1 = scores.argmax(dim=-1, keepdim=True) if self._uniforms_BT is None else self._pick(scores, highest_B1)
        if self._keep_logprobs:
            self.logprobs.append(scores.log_softmax(dim=-1).gather(1, picked_B1)[:, 0])
        self._step += 1
        return scores.fill_(-torch.inf).scatter_(1, picked_B1, 0.0)

    def _pick(self, scores: torch.Tensor, highest_B1: torch.Tensor) -> torch.Tensor:
        assert self._uniforms_BT is not None  # noqa: S101 - for mypy
        if self._sampling.temperature != 1:
            # the highest score is taken off first, so that no small temperature overflows
            scores = (scores - highest_B1) / self._sampling.temperature
        p_BV = scores.softmax(dim=-1)
        order_BV = None
        if self._sampling.top_p < 1:
            p_BV, order_BV = p_BV.sort(dim=-1, descending=True, stable=True)
            # a token stays where those above it have not reached top_p: the first one always does
            p_BV = p_BV.masked_fill(p_BV.cumsum(dim=-1) - p_BV >= self._sampling.top_p, 0.0)
        cdf_BV = p_BV.cumsum(dim=-1, dtype=torch.float64)
        # float64 keeps u x total below the total, so no token of probability zero is ever picked at its end
        target_B1 = self._uniforms_BT[:, self._step, None].double() * cdf_BV[:, -1:]
        place_B1 = torch.searchsorted(cdf_BV, target_B1, right=True).clamp_(max=cdf_BV.shape[1] - 1)
        return place_B1 if order_BV is None else order_BV.gather(1, place_B1)


class StopTexts(transformers.StoppingCriteria):  # type: ignore[misc]
    """Ends a row at the token that completes a stop text, and remembers how long it was then."""

    def __init__(self, tokenizer: Any, stop: tuple[str, ...], width: int, rows: int, end: frozenset[int]) -> None:  # noqa: ANN401
        self._tokenizer, self._stop, self._width, self._end = tokenizer, stop, width, end
        # every token adds at least one byte, so a stop text just completed lies within this many tokens
        self._tail = max(len(text.encode()) for text in stop) + 1
        self._open = set(range(rows))
        self.lengths: list[int | None] = [None] * rows

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object) -> torch.Tensor:
        """Which rows are over."""
        done = torch.zeros(input_ids.shape[0], dtype=torch.bool)
        written = input_ids[:, self._width :].tolist()
        for row in sorted(self._open):
            ids = written[row]
            if ids[-1] in self._end:
                self._open.discard(row)
            # the tail is quick to decode; only the whole decides, as a tail may decode otherwise at its start
            elif self._has_stop(ids[-self._tail :]) and self._has_stop(ids):
                self._open.discard(row)
                self.lengths[row] = len(ids)
        for row, length in enumerate(self.lengths):
            done[row] = length is not None
        return done.to(input_ids.device)

    def _has_stop(self, ids: list[int]) -> bool:
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        return any(stop in text for stop in self._stop)


def cut_before(text: str, stop: tuple[str, ...]) -> str:
    """The text up to the first stop text in it."""
    return text[: min((place for place in map(text.find, stop) if place >= 0), default=len(text))]
