"""Measured gaps, what keeps them honest, and the probes that measure them."""

from typing import Any

from pydantic import Field

from gapcast.models.shared import TERMINAL, Answered, Estimate

Z95 = 1.96
"""half-width of a 95 % interval in standard errors"""


class Gap(Estimate):
    """Self-teacher accuracy minus student accuracy."""

    student: float
    self_teacher: float
    problems: int | None = None
    rollouts: int | None = None
    """of each arm and problem"""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, within what differences of accuracies can be."""
        return max(-1.0, self.value - Z95 * self.se), min(1.0, self.value + Z95 * self.se)


class Leak(Answered):
    """How much of the gap may be copying; shares."""

    copied: float
    contains_answer: float


class Controls(Answered):
    """What keeps a gap from being an artefact."""

    none: Estimate | None = None
    placebo: Estimate | None = None
    shuffled_feedback: Estimate | None = None
    leak: Leak | None = None


class Arm(Answered):
    """One arm of a probe: the same problems and decoding, with its own context or none."""

    accuracy: float
    counts: list[int | float] | None = None
    """the sum of each problem's scores; None where probes are listed"""
    rollouts: int
    """of each problem"""
    mean_tokens: float
    truncated: float
    """share of the rollouts that were cut at max_tokens"""
    contexts_missing: dict[str, int] = Field(default_factory=dict)
    """rollouts without a context, by reason"""


class LogRatio(Answered):
    """log p(token | context, prompt) - log p(token | prompt) on the student's own rollouts."""

    mean: float
    """nats a token"""
    top_tenth: float
    """share of the sum of absolute log-ratios that the largest tenth of the tokens carries"""
    tokens: int


class Covariates(Answered):
    """What may tell one context from another at the same gap."""

    headroom: float
    """1 minus the student's accuracy"""
    pass_at_k: dict[str, float]
    """share of problems that k of the student's rollouts solve at least once"""
    mean_sd: float
    """mean over problems of sqrt(p (1 - p)), p the student's accuracy on the problem"""
    log_ratio: LogRatio | None = None


class ProbeCost(Answered):
    """What a probe has taken; rollouts are reused that an earlier probe of the same model and prompts has drawn."""

    rollouts_drawn: int
    rollouts_reused: int
    prompt_tokens: int
    completion_tokens: int
    gpu_hours: float


class ProbeFigures(Answered):
    """A probe's figures beside gap and controls; None is what an older or an unfinished probe does not have."""

    arms: dict[str, Arm]
    """`student`, `none` (A/A), `context` (the self-teacher), and the controls that were run"""
    net_gap: Estimate | None = None
    """self-teacher minus placebo"""
    contexts_missing: float = 0.0
    """share of the self-teacher's rollouts that had no context"""
    variance: dict[str, float | None] | None = None
    covariates: Covariates | None = None
    stopped_by: str | None = None
    """`size`, `width` (the target is reached), or `most_problems` (it is not)"""
    seconds: dict[str, float] | None = None
    cost: ProbeCost | None = None
    engine: dict[str, Any] | None = None
    template: str | None = None


class ProbeResult(ProbeFigures):
    """What a probe has measured, or so far."""

    gap: Gap
    controls: Controls
    problem_ids: list[str] | None = None
    """None where probes are listed"""


class Probe(Answered):
    """The measurement of a gap."""

    id: str
    status: str
    key: str
    """content address: the same configuration is measured once"""
    configuration: dict[str, Any]
    progress: dict[str, Any] | None = None
    result: ProbeResult | None = None
    partial: ProbeResult | None = None
    """the result over the problems that were done, of a probe that has not succeeded"""
    error: dict[str, Any] | None = None
    created_at: str
    finished_at: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it will never change again, unless it is asked for again after it was cancelled or has failed."""
        return self.status in TERMINAL
