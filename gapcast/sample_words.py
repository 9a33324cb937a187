"""The words about stored rollouts."""

from gapcast.contract.samples import Sample, StoredSamples
from gapcast.words import count

FLIPS = {
    "gained": "gained: the student is wrong, the self-teacher right",
    "lost": "lost: the student is right, the self-teacher wrong",
}
NOT_STORED = {
    "request": "a request for this probe has said that none are stored (probe.samples)",
    "evicted": "the rollouts of newer probes took their place (samples_bytes)",
    "none": "it has drawn none yet, storing was switched off, or a comparison or an earlier version measured it",
}
"""why no rollout of a probe is stored"""


def kept(stored: StoredSamples) -> str:
    """Write how much of a probe is stored, or why nothing is."""
    if stored.reason is not None:
        return f"No rollouts of this probe are stored: {NOT_STORED[stored.reason]}."
    return f"{count(stored.count, 'rollout')} of its first problems {'is' if stored.count == 1 else 'are'} stored."


def scored(sample: Sample) -> str:
    """Write what the verifier found, but for the texts of others."""
    parts = [f"score {sample.score:g}"]
    if sample.finish_reason == "length":
        parts.append("truncated at max_tokens")
    if sample.tokens is not None:
        parts.append(count(sample.tokens, "token"))
    return ", ".join(parts)
