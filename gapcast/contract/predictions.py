"""The request of a prediction, and its answer (DESIGN.md, REST)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gapcast.contract.base import (
    TERMINAL,
    Failure,
    FieldError,
    Finite,
    Identified,
    JobStatus,
    Level,
    Page,
    PoolName,
    Strict,
    Warned,
)
from gapcast.contract.contexts import Context
from gapcast.contract.fits import AtGap, Compared, Curved, LinkWeights
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import Decoding, NamedModel
from gapcast.contract.probes import Controls, Difference, Gap, ProbeFigures, ProbeSize, Progress
from gapcast.contract.recipes import Recipe
from gapcast.contract.tagged import NAMED_AS_SENT
from gapcast.contract.training import TrainedOn, TrainedProblems
from gapcast.contract.waiting import Waiting

Verdict = Literal["train", "pilot", "skip", "probe_more", "undecided", "refused"]

Target = Literal["train", "held_out"]
"""The problems that an improvement is measured on."""


class GivenGap(Strict):
    """A gap that was measured elsewhere; all three are shares (0.1 = 10 accuracy points)."""

    value: float = Field(ge=-1, le=1, description="self-teacher accuracy minus student accuracy")
    se: float = Field(gt=0, le=1, description="standard error of the gap")
    student: float = Field(ge=0, le=1, description="student accuracy")

    @model_validator(mode="after")
    def _teacher_is_an_accuracy(self) -> Self:
        if not -1e-9 <= self.student + self.value <= 1 + 1e-9:
            teacher = self.student + self.value
            raise ValueError(f"expected student + value, the self-teacher's accuracy, from 0 to 1, got {teacher:.4g}.")
        return self


class PredictionRequest(Labelled, Strict):
    """A configuration whose improvement is asked for."""

    model: NamedModel
    task: str = Field(min_length=1, max_length=255)
    context: Context
    recipe: Recipe = Field(default_factory=Recipe)
    decoding: Decoding = Field(default_factory=Decoding)
    probe: ProbeSize | None = Field(None, description="the size of the probe; null: the default size")
    gap: GivenGap | None = Field(None, description="in place of `probe`: a gap that was measured elsewhere")
    probe_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="in place of `probe`: a probe that has ended, measured here or imported, of this model, task, "
        "context and decoding",
    )
    training: TrainedProblems = Field(
        default_factory=TrainedProblems,
        description="the run that is asked about; a run of this prediction takes it over",
    )
    pool: PoolName | None = Field(
        None, description="the observations to predict from; null: `lab` for the lab's models, `default` for others"
    )
    levels: list[Level] = Field(default_factory=lambda: [0.8, 0.95], min_length=1, max_length=8)
    min_gain: float = Field(0.0, ge=-1, le=1, description="the improvement that makes a run worth it, for the verdict")
    verdict_on: Target = Field("train", description="the problems on which the improvement decides")

    @model_validator(mode="after")
    def _probe_or_gap(self) -> Self:
        if self.probe is not None and self.gap is not None:
            message = "expected either gap (measured elsewhere) or probe (measure it here), got both. Leave one out."
            raise FieldError("gap", message)
        if self.probe_id is not None and (self.probe is not None or self.gap is not None):
            other = "probe" if self.gap is None else "gap"
            raise FieldError(
                "probe_id", f"names a probe that has measured the gap, and {other} is there too. Send one."
            )
        if self.is_probed and self.probe is None:
            self.probe = ProbeSize()
        return self

    @property
    def is_probed(self) -> bool:
        """True if its gap is to be measured here."""
        return self.gap is None and self.probe_id is None

    @property
    def trained_on(self) -> TrainedOn | None:
        """Training problems, evaluated ones and passes, once both numbers are known."""
        problems, evaluated = self.training.problems, self.training.evaluation_problems
        if not isinstance(problems, int) or evaluated is None:
            return None
        return TrainedOn.of(self.recipe, problems, evaluated)


MOST_AT_ONCE = 50
"""predictions of one request: as many configurations as one comparison has (DESIGN.md)"""


def _shape(body: Any) -> str:  # noqa: ANN401
    return "several" if isinstance(body, list) else "one"


PredictionBody = Annotated[
    Annotated[PredictionRequest, Tag("one")]
    | Annotated[list[PredictionRequest], Field(min_length=1, max_length=MOST_AT_ONCE), Tag("several")],
    Discriminator(_shape),
    NAMED_AS_SENT,
]
"""One prediction, or a list of them that are stored together or not at all."""


class Interval(Finite):
    """A prediction interval of the improvement."""

    level: float
    lower: float
    upper: float


PROBABILITIES = (0.005, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.995)
"""At which a prediction keeps its quantiles, so that its outcome can be judged later."""


class Quantiles(Finite):
    """The predictive distribution of the improvement; what its outcome is judged by."""

    probabilities: list[float]
    values: list[float]


class Branch(Finite):
    """The prediction of one side of an undecided link alone."""

    link: Literal["linear", "saturating"]
    weight: float = Field(description="its probability")
    value: float
    intervals: list[Interval]


class Improvement(Finite):
    """The predicted improvement; value and intervals are null when the law refuses."""

    value: float | None
    intervals: list[Interval]
    kind: Literal["prediction"] = "prediction"
    target: Literal["measured"] = "measured"
    measurement_se: float = Field(description="standard error with which the run's improvement is taken to be measured")
    p_positive: float | None = Field(description="probability of a positive improvement, if the run does not collapse")
    p_collapse: float
    quantiles: Quantiles | None = None
    branches: list[Branch] = Field(
        default_factory=list,
        description="the predictions of a straight and a saturating law alone, where the gap is outside the stored "
        "ones and neither is ruled out; `value` and `intervals` are of both, by their weights",
    )


class LawUsed(Curved, Finite):
    """The fit behind a prediction: the curve of its cell, with 95 % confidence intervals."""

    fit_id: str
    family: str
    cell: str | None
    n: int = Field(description="observations of this family whose teacher moves, or stays, as this one's does")
    links: LinkWeights = LinkWeights(linear=1.0, tanh=0.0, exp=0.0)  # what was stored before there were others
    depends_on_link: bool = False
    at_common_gap: AtGap | None = Field(None, description="null: predicted by an older version")
    status: Literal["prior_only", "cold", "sparse", "fitted"]
    of_family: Compared | None = Field(
        None, description="the curve of the family's cells; null: predicted before it was"
    )


class Cost(Finite):
    """Seconds on the machine that measured; null where nothing is known."""

    probe_seconds: float | None
    probe_gpu_hours: float | None = Field(None, description="0 on a machine without a GPU")
    training_seconds_estimate: float | None
    training_seconds_source: str | None = None


class NearRun(Finite):
    """A stored run that is like the one that is asked for."""

    observation_id: str
    external_id: str | None = Field(None, description="your own id of the run")
    name: str | None = Field(None, description="your name of the run")
    pool: str
    same: Literal["run", "configuration", "context", "kind", "gap"] = Field(
        description="`run`: the same run with another seed; `configuration`: its cell, decoding mode, model and "
        "context; `context`: its task and context; `kind`: its task and kind of context; `gap`: none of "
        "these, but a gap that is near"
    )
    model: str
    task: str
    context_kind: str
    gap: Difference
    improvement: Difference | None = Field(description="on the training problems; null: unknown")
    held_out: Difference | None = None
    recipe_class: str | None = Field(None, description="teacher and divergence, as in its cell; null: unknown")
    steps: int | None = None
    collapsed: bool


class Missing(Finite):
    """A reason why a run cannot be advised yet, and what would remove it."""

    code: Literal[
        "few_runs",
        "dose_unknown",
        "dose_outside",
        "tuning_new",
        "mode_new",
        "live_teacher",
        "answer_in_context",
        "truncated",
        "contexts_missing",
        "context_gained_little",
        "control_context",
    ]
    message: str


class Support(Finite):
    """How much of the answer rests on runs like the one that is asked for."""

    known: Literal["configuration", "context", "cell", "family", "unlike"] = Field(
        description="the closest that the pool has stored runs of"
    )
    cell_runs: int = Field(
        description="stored runs of this family, task and recipe class in this decoding mode, collapsed ones too"
    )
    steps: list[int | None] | None = Field(
        None,
        description="first and last step that the answering law is of, a last one of null: without end; null: of runs "
        "of any length",
    )
    collapsed_runs: int | None = Field(
        None, description="stored runs of this teacher rule and divergence that collapsed, up to the asked steps"
    )
    compared_runs: int | None = Field(None, description="those, and the others that trained as long or longer")
    missing: list[Missing] = Field(
        default_factory=list, description="why the verdict is not `train` although the interval would allow it"
    )
    nearest: list[NearRun] = Field(default_factory=list, description="of all pools, the most alike first")


class HeldOutAnswer(Finite):
    """The predicted improvement on held-out problems, and what it says of a run."""

    improvement: Improvement
    verdict: Verdict
    n: int = Field(description="observations with a held-out improvement in the pool")


class Answer(Finite):
    """The result of a prediction."""

    gap: Gap
    controls: Controls
    improvement: Improvement
    law: LawUsed
    verdict: Verdict
    held_out: HeldOutAnswer | None = Field(
        None, description="null: no run of such a teacher, stored or lent, was measured on held-out problems"
    )
    support: Support | None = Field(None, description="null: predicted by an older version")
    warnings: list[Warned]
    cost: Cost
    probe: ProbeFigures | None = Field(
        None, description="the probe's further figures; null: the gap was measured elsewhere"
    )


class PredictionOut(Labelled, Identified):
    """A prediction; everything from `gap` to `cost` is null until it has succeeded."""

    object: Literal["prediction"] = "prediction"
    status: JobStatus
    request: PredictionRequest
    probe_id: str | None
    training: TrainedOn | None = Field(
        None, description="the problems that the run trains on; null: the task is not stored here, and nobody said"
    )
    progress: Progress | None = None
    waiting: Waiting | None = Field(None, description="while it is queued; null in lists")
    gap: Gap | None = None
    controls: Controls | None = None
    improvement: Improvement | None = None
    law: LawUsed | None = None
    verdict: str | None = None
    held_out: HeldOutAnswer | None = None
    support: Support | None = None
    warnings: list[Warned] = Field(default_factory=list)
    cost: Cost | None = None
    probe: ProbeFigures | None = None
    error: Failure | None = None
    created_at: str
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        return self.status in TERMINAL


class PredictionList(Page[PredictionOut]):
    """The predictions of one request, in its order."""

    @property
    def ended(self) -> bool:
        """True if none of them ever changes again."""
        return all(one.ended for one in self.data)


PredictionAnswer = Annotated[PredictionOut | PredictionList, Field(discriminator="object")]
"""The answer to a `PredictionBody`."""
