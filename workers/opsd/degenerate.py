"""Output that degenerates: a student that says ever less, in ever fewer ways, may still score as before."""

from dataclasses import dataclass, field

from gapcast.contract.events import TrainingMetrics
from workers.opsd.warnings import Warnings

WINDOW = 5
"""steps whose mean is compared: one step's rollouts vary"""
FRACTION = 1 / 3
"""of the start, below which output counts as degenerate; published: an entropy of .40 that fell to .07"""
NAMES = {"entropy": "entropy", "length": "mean length"}


@dataclass
class Output:
    """Entropy and length of the rollouts of the first steps and of the last ones; a checkpoint keeps it."""

    entropy: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)

    def add(self, metrics: TrainingMetrics, warnings: Warnings) -> None:
        """Take a step, and warn where its output and that of the steps before it has degenerated."""
        for name, value in (("entropy", metrics.entropy), ("length", metrics.mean_tokens)):
            if value is None:
                continue
            kept: list[float] = getattr(self, name)
            kept.append(value)
            del kept[WINDOW:-WINDOW]
            if len(kept) < 2 * WINDOW:
                continue
            start, now = sum(kept[:WINDOW]) / WINDOW, sum(kept[WINDOW:]) / WINDOW
            if now < FRACTION * start:
                warnings.add(
                    "degenerate_output",
                    f"At step {metrics.step} the {NAMES[name]} of the student's rollouts is {now:.3g}, from "
                    f"{start:.3g} at the start: look at what it writes before the score is trusted.",
                    step=metrics.step,
                )
