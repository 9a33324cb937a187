"""The size of a probe for a prediction of a given width: the request and its answer."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gapcast.contract.base import Level, PoolName, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.measured import Decoding, NamedModel
from gapcast.contract.probes import FEW_PROBLEMS
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedProblems

MOST_PROBLEMS = 100_000
"""The most problems that a probe takes (`probe.problems`)."""


class Expected(Strict):
    """The gap and the student's accuracy that the probe is expected to find; shares."""

    gap: float = Field(ge=-1, le=1)
    student: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _teacher_is_an_accuracy(self) -> Self:
        if not 0 <= self.student + self.gap <= 1:
            raise ValueError(
                f"expected student + gap, the self-teacher's accuracy, from 0 to 1, got {self.student + self.gap:.4g}."
            )
        return self


class CostOf(Strict):
    """The cost of a probe, in any unit: cost = problems x per_problem + 2 x problems x rollouts x per_rollout."""

    per_problem: float = Field(0.0, ge=0, le=1e9)
    per_rollout: float = Field(1.0, gt=0, le=1e9)


class SizeRequest(Strict):
    """The width that a prediction shall have."""

    model: NamedModel
    task: str = Field(min_length=1, max_length=255)
    context: Context | None = Field(None, description="null: one of which nothing is stored")
    recipe: Recipe = Field(default_factory=Recipe)
    decoding: Decoding = Field(
        default_factory=Decoding,
        description="of the prediction; only `thinking` matters: each mode is a cell of its own",
    )
    training: TrainedProblems = Field(
        default_factory=TrainedProblems, description="of the prediction; only `problems` matters, as part of the tuning"
    )
    pool: PoolName | None = Field(None, description="null: `lab` for the lab's models, `default` for others")
    target_half_width: float = Field(
        gt=0, le=1, description="half-width of the predicted improvement, a share: 0.05 is 5 points"
    )
    level: Level = 0.95
    expected: Expected | None = Field(None, description="null: the pilot's, else the family's medians in the pool")
    pilot_probe_id: str | None = Field(
        None,
        max_length=64,
        description="a measured probe, which shows how much problems and rollouts vary; null: assumed",
    )
    rollouts: int | None = Field(None, ge=1, le=256, description="per problem and arm; null: the cheapest")
    most_problems: int | None = Field(
        None, ge=FEW_PROBLEMS, le=MOST_PROBLEMS, description="null: all that the task has"
    )
    cost: CostOf = Field(default_factory=CostOf)


class Variation(BaseModel):
    """Var(gap) = sigma_d2 / problems + (w_student + w_self_teacher) / (problems x rollouts)."""

    sigma_d2: float
    w_student: float
    w_self_teacher: float
    source: Literal["pilot", "assumed"]


class ExpectedOut(BaseModel):
    """The gap and accuracy that the probe is expected to find, and their source."""

    gap: float
    student: float
    source: Literal["request", "pilot", "family", "prior"]


Verdict = Literal["reachable", "below_floor", "too_few_problems", "refused"]


class SizeOut(BaseModel):
    """The smallest cost that reaches the target; problems and rollouts are null where nothing does."""

    model_config = ConfigDict(allow_inf_nan=False)

    object: Literal["probe_size"] = "probe_size"
    verdict: Verdict
    message: str
    problems: int | None
    rollouts: int | None = Field(description="per problem and arm")
    cost: float | None = Field(description="in the request's unit, without the controls")
    gap_se: float | None = Field(description="expected standard error of the gap")
    half_width: float | None = Field(
        description="expected half-width of the prediction with this probe; null where it would be refused"
    )
    floor: float = Field(description="half-width with an exactly known gap; no probe reaches less")
    level: float
    measurement_se: float = Field(
        description="standard error with which the run's improvement is assumed to be measured"
    )
    expected: ExpectedOut
    variation: Variation
    fit_id: str

    @property
    def reachable(self) -> bool:
        """True if some probe reaches the target."""
        return self.verdict == "reachable"
