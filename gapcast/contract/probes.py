"""Probes: how large one is, what it is asked with, and how it answers."""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from gapcast.contract.base import Finite, Identified, Strict
from gapcast.contract.contexts import CONTROL_KINDS, FEEDBACK_KINDS, Context
from gapcast.contract.measured import Decoding, EngineName, MeasuredConfiguration, ModelRef

FEW_PROBLEMS = 32
"""below this a standard error over problems is off by more than 1/sqrt(2 x 31), about an eighth, and 0/1 scores may by
chance not vary at all"""

Z95 = 1.96
"""half-width of a 95 % interval in standard errors"""

ExtraControl = Literal["placebo", "shuffled_feedback"]


class ProbeSize(Strict):
    """How many problems and rollouts the gap is measured with."""

    problems: int = Field(
        128,
        ge=2,
        le=100_000,
        description="problems, drawn without replacement from the task's train split; with target_half_width the most",
    )
    rollouts: int = Field(4, ge=1, le=256, description="rollouts per problem and arm")
    seed: int = Field(0, ge=0, lt=2**32)
    controls: list[ExtraControl] | None = Field(
        None,
        max_length=2,
        description="controls beside `none`, which is always run; null: `placebo` where the context is no control",
    )
    target_half_width: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of the predicted improvement at the highest level, a share: the probe goes on until it is "
        "reached; null: the size is fixed",
    )
    engine: EngineName = Field("auto", description="auto: vLLM on a worker with a GPU, transformers elsewhere")


def controls_of(context: Context, asked: list[ExtraControl] | None) -> list[ExtraControl]:
    """The controls that a probe of this context runs, sorted.

    Raises:
        ValueError: a control is asked for that the context cannot have.
    """
    has_placebo = context.kind not in CONTROL_KINDS
    if asked is None:
        return ["placebo"] if has_placebo else []
    if "placebo" in asked and not has_placebo:
        raise ValueError(f"a context of kind {context.kind} is a control itself and has no placebo; send []")
    if "shuffled_feedback" in asked and context.kind not in FEEDBACK_KINDS:
        raise ValueError(f"a context of kind {context.kind} shows no feedback to shuffle; leave shuffled_feedback out")
    return sorted(set(asked))


class ProbeConfiguration(MeasuredConfiguration):
    """All that a probe's counts depend on; its hash is the probe's content address."""

    problems: int
    rollouts: int
    seed: int
    controls: list[ExtraControl]
    target_se: float | None = Field(
        None, description="standard error of the gap at which a sequential probe stops; null: the size is fixed"
    )

    @property
    def key(self) -> str:
        """The content address: SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Difference(Finite):
    """A difference of accuracies and its standard error over problems; shares."""

    value: float
    se: float


class Gap(Difference):
    """The measured gap; shares, not points."""

    student: float
    self_teacher: float
    problems: int | None = None
    rollouts: int | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, within what differences of accuracies can be."""
        return max(-1.0, self.value - Z95 * self.se), min(1.0, self.value + Z95 * self.se)


class Control(Finite):
    """An arm that should show nothing; its gap to the student."""

    value: float
    se: float


class Leak(Finite):
    """How much of the gap may be copying."""

    copied: float = Field(description="share of teacher answers that stand in the context")
    contains_answer: float = Field(description="share of contexts that contain the answer")


class Controls(Finite):
    """What keeps a gap from being an artefact."""

    none: Control | None = None
    placebo: Control | None = None
    shuffled_feedback: Control | None = None
    leak: Leak | None = None


class ProbeRequest(Strict):
    """A gap that is to be measured, whatever any law says about it."""

    model: ModelRef
    task: str = Field(min_length=1, max_length=255)
    context: Context
    decoding: Decoding = Field(default_factory=Decoding)
    probe: ProbeSize = Field(default_factory=ProbeSize)
    group_size: int = Field(
        4,
        ge=1,
        le=1024,
        description="rollouts of the recipe's groups; only contexts made from a group's other rollouts depend on it",
    )
    target_gap_half_width: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of the gap's 95 % interval, a share: the probe goes on until it is reached, at most to "
        "probe.problems; null: the size is fixed",
    )


class ProbeOut(Identified):
    """A measurement of a gap, with the counts of every arm and problem once it is done."""

    object: Literal["probe"] = "probe"
    status: Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]
    key: str = Field(description="content address: the same configuration is measured once")
    configuration: dict[str, Any]
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    partial: dict[str, Any] | None = Field(
        None, description="the result over the problems that were done, of a probe that has not succeeded"
    )
    error: dict[str, Any] | None = None
    created_at: str
    finished_at: str | None
