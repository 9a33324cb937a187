"""What of the vLLM engine needs no vLLM."""

import pytest

from workers.engines.vllm import FEWEST_TOKENS, LOGIT_BYTES, MOST_TOKENS, SCORE_BYTES, batched_tokens


@pytest.mark.parametrize("vocabulary", [1, 12_000, 13_108, 32_000, 50_000, 52_000])
def test_the_logits_of_a_piece_fit(vocabulary: int) -> None:
    tokens = batched_tokens(vocabulary)
    assert FEWEST_TOKENS <= tokens <= MOST_TOKENS
    assert tokens * vocabulary * LOGIT_BYTES <= SCORE_BYTES
    assert tokens == MOST_TOKENS or (tokens + 1) * vocabulary * LOGIT_BYTES > SCORE_BYTES


@pytest.mark.parametrize("vocabulary", [152_000, 1 << 20, None, "many", 0])
def test_large_and_unknown_vocabularies_take_the_fewest(vocabulary: object) -> None:
    assert batched_tokens(vocabulary) == FEWEST_TOKENS
