"""What vLLM does its own way, in this process and as a server: seeds and small temperatures."""

import hashlib

from workers.engines.protocol import Sampling
from workers.failures import JobError

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 2.0
"""vLLM silently uses the lowest for anything between it and 0, and takes nothing above the highest."""


def base_seed(seed: int) -> int:
    """A seed in [0, 2**48) for a request's own.

    vLLM draws sample k with the request's seed + k: without this, requests 0 and 1 would share samples.
    """
    return int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:6], "big")


def require_temperature(sampling: Sampling) -> None:
    """Refuses a temperature that vLLM would refuse or change.

    Raises:
        JobError: `decoding_not_supported`.
    """
    lowest, highest = LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE
    if sampling.temperature > 0 and not lowest <= sampling.temperature <= highest:
        raise JobError(
            "decoding_not_supported",
            f"vLLM takes temperatures of 0 and {lowest} to {highest}: choose another, or the engine transformers.",
            "decoding.temperature",
        )
