"""Probes: how large one is, what it is asked with, and how it answers."""

import hashlib
import json
from typing import Literal

from pydantic import Field

from gapcast.contract.base import TERMINAL, Failure, Finite, Identified, JobStatus, Paced, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import Decoding, EngineName, MeasuredConfiguration, NamedModel
from gapcast.contract.needs import Needs
from gapcast.contract.samples import StoredSamples
from gapcast.contract.waiting import Waiting

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
        description="problems, drawn without replacement from the task's train split; the most, with target_half_width",
    )
    rollouts: int = Field(4, ge=1, le=256, description="rollouts per problem and arm")
    seed: int = Field(0, ge=0, lt=2**32)
    controls: list[ExtraControl] | None = Field(
        None,
        max_length=2,
        description="controls besides `none`, which always runs; null: `placebo`, unless the context is a control",
    )
    target_half_width: float | None = Field(
        None,
        gt=0,
        le=1,
        description="half-width of the predicted improvement at the highest level, a share: the probe goes on until it "
        "is reached; null: the size is fixed",
    )
    engine: EngineName = Field("auto", description="auto: vLLM on a worker with a GPU, transformers elsewhere")
    samples: bool = Field(
        True,
        description="false: no rollout of this probe is stored to be read, whoever shares it, and stored ones "
        "are deleted",
    )
    needs: Needs | None = Field(
        None,
        description="what the probe needs of a worker, beside what its model does; the first request for a probe "
        "decides. null: nothing more",
    )


def controls_of(context: Context, asked: list[ExtraControl] | None) -> list[ExtraControl]:
    """The controls that a probe of this context runs, sorted.

    Raises:
        ValueError: a control is asked for that the context cannot have.
    """
    has_placebo = not context.is_control
    if asked is None:
        return ["placebo"] if has_placebo else []
    if "placebo" in asked and not has_placebo:
        raise ValueError(
            f"a context of kind {context.kind} is a control itself and does not have a placebo. Set controls to []."
        )
    if "shuffled_feedback" in asked and not context.shows_feedback:
        raise ValueError(
            f"a context of kind {context.kind} does not show feedback to shuffle. Leave shuffled_feedback out."
        )
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


class ImportedConfiguration(Strict):
    """What another harness has measured, as far as it was told."""

    source: Literal["import"] = "import"
    harness: str | None
    model: str
    family: str
    task: str
    context: Context
    decoding: Decoding
    problems: int
    rollouts: int


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


class Control(Difference):
    """An arm that should show nothing; its gap to the student."""


class Leak(Finite):
    """How much of the gap may be copying."""

    copied: float = Field(description="share of the self-teacher's answers that appear in their context")
    contains_answer: float = Field(description="share of contexts that contain the answer")


class Controls(Finite):
    """The controls that keep a gap from being an artefact."""

    none: Control | None = None
    placebo: Control | None = None
    shuffled_feedback: Control | None = None
    leak: Leak | None = None


class Arm(Finite):
    """One arm of a probe: the same problems and decoding, with its own context or none."""

    accuracy: float = Field(description="mean score, a share")
    counts: list[int | float] | None = Field(
        None,
        description="the sum of each problem's scores, in the order of `problem_ids`; null in lists and predictions",
    )
    rollouts: int = Field(description="rollouts of each problem")
    mean_tokens: float | None = Field(None, description="tokens of a completion; null: imported")
    truncated: float | None = Field(
        None, description="share of the rollouts that were truncated at max_tokens; null: imported"
    )
    contexts_missing: dict[str, int] = Field(default_factory=dict, description="rollouts without a context, by reason")


class VarianceComponents(Finite):
    """Var(gap) = sigma_d2 / problems + (w_student + w_teacher) / (problems x rollouts); null with one rollout."""

    sigma_d2: float | None = Field(description="variance over problems of the true differences")
    w_student: float | None = Field(description="variance of one rollout's score about its problem's mean")
    w_teacher: float | None = Field(description="the same for the self-teacher")


class LogRatio(Finite):
    """log p(token | context, prompt) - log p(token | prompt) on the student's own rollouts."""

    mean: float = Field(description="nats per token; its negative estimates KL(student | self-teacher)")
    top_tenth: float = Field(
        description="share of the sum of absolute log-ratios that the largest tenth of the tokens carries"
    )
    tokens: int


class Covariates(Finite):
    """Covariates that may distinguish one context from another at the same gap."""

    headroom: float = Field(description="1 minus the student's accuracy")
    pass_at_k: dict[str, float] = Field(
        description="share of problems that k of the student's rollouts solve at least once, by k"
    )
    mean_sd: float = Field(description="mean over problems of sqrt(p (1 - p)), p the student's accuracy on the problem")
    log_ratio: LogRatio | None = Field(None, description="null: no rollout with a context was scored")


class ProbeSeconds(Finite):
    """Seconds on the machine that measured."""

    load: float | None = Field(None, description="to load the model")
    probe: float = Field(description="for everything else")


class ProbeCost(Finite):
    """The cost of a probe; rollouts are reused that an earlier probe of the same model and prompts has drawn."""

    rollouts_drawn: int
    rollouts_reused: int
    prompt_tokens: int = Field(description="tokens of the drawn rollouts' prompts")
    completion_tokens: int = Field(description="tokens of the drawn completions")
    gpu_hours: float = Field(description="0 on a machine without a GPU, and where a server samples")


StoppedBy = Literal["size", "width", "most_problems"]


class ProbeFigures(Finite):
    """A probe's figures beside gap and controls; null is what an older or an unfinished probe does not have."""

    arms: dict[str, Arm] = Field(
        description="`student`, `none` (A/A), `context` (the self-teacher), and the controls that were run"
    )
    net_gap: Difference | None = Field(None, description="self-teacher minus placebo; null: no placebo was run")
    contexts_missing: float = Field(0.0, description="share of the self-teacher's rollouts that had no context")
    variance: VarianceComponents | None = None
    covariates: Covariates | None = None
    stopped_by: StoppedBy | None = Field(
        None, description="`size`, `width` (the target is reached), or `most_problems` (it is not)"
    )
    seconds: ProbeSeconds | None = None
    cost: ProbeCost | None = None
    engine: dict[str, str] | None = Field(None, description="the engine that sampled: its name, versions and device")
    template: str | None = Field(None, description="shape and version of the prompts that show a context")


class ProbeResult(ProbeFigures):
    """The measurement of a probe, whole or so far."""

    gap: Gap
    controls: Controls
    problem_ids: list[str] | None = Field(None, description="in the order of the draw; null in lists")


class Progress(Paced):
    """How far a probe is, in rollouts, and its gap so far."""

    done: int = Field(description="rollouts that are drawn, those under way by the share of their tokens")
    total: int
    unit: Literal["rollouts"]
    problems: int = Field(0, description="problems that every arm has finished")
    gap: Difference | None = Field(None, description="the gap of these problems; null if they are fewer than two")
    scored: int | None = Field(None, description="verdicts of a slow verifier so far")


class ProbeRequest(Labelled, Strict):
    """A gap that is to be measured, whatever any law says about it."""

    model: NamedModel
    task: str = Field(min_length=1, max_length=255)
    context: Context
    decoding: Decoding = Field(default_factory=Decoding)
    probe: ProbeSize = Field(default_factory=ProbeSize)
    group_size: int = Field(
        4,
        ge=1,
        le=1024,
        description="rollouts per group of the recipe; only contexts from a group's other rollouts depend on it",
    )
    target_gap_half_width: float | None = Field(
        None,
        gt=0,
        le=1,
        description="half-width of the gap's 95 % interval, a share: the probe goes on until it is reached, at most to "
        "probe.problems; null: the size is fixed",
    )


class ProbeOut(Labelled, Identified):
    """A measurement of a gap, with the counts of every arm and problem once it is done.

    Name and tags are those of the first request to POST /v1/probes that had any: predictions keep their own.
    """

    object: Literal["probe"] = "probe"
    status: JobStatus
    key: str = Field(
        description="content address: the same configuration is measured once, the same scores are imported once"
    )
    configuration: ProbeConfiguration | ImportedConfiguration
    progress: Progress | None = None
    waiting: Waiting | None = Field(None, description="while it is queued; null in lists")
    result: ProbeResult | None = None
    partial: ProbeResult | None = Field(
        None, description="of a probe that did not succeed: the result on the problems that it finished"
    )
    samples: StoredSamples | None = Field(None, description="its stored rollouts; null in lists")
    error: Failure | None = None
    created_at: str
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """True if it will never change again, unless it is asked for again after it was cancelled or has failed."""
        return self.status in TERMINAL
