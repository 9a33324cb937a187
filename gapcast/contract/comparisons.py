"""Comparisons: several configurations on one problem set and under one fit, and which of them is best."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gapcast.contract.base import (
    TERMINAL,
    Failure,
    FieldError,
    Finite,
    Identified,
    JobStatus,
    Strict,
    Warned,
)
from gapcast.contract.labels import Labelled
from gapcast.contract.predictions import Answer, Interval, PredictionRequest
from gapcast.contract.spaces import Space
from gapcast.contract.varying import MOST
from gapcast.contract.waiting import Waiting

FIRST = 32
"""problems that every configuration gets in the first round"""
COMPARED_AT = 0.8
"""level of the intervals that a comparison shows while it goes"""

Stop = Literal["decided", "indifferent", "law", "budget", "most_problems"]


class Budget(Strict):
    """The limits of the cost of choosing, without the winner's second probe; the first limit reached ends it."""

    rollouts: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="rollouts of all arms; all null: as many as an equal split would take, each configuration with its "
        "own `probe`",
    )
    gpu_hours: float | None = Field(None, gt=0, le=1e6, description="hours of a worker times the GPUs that it holds")
    minutes: float | None = Field(None, gt=0, le=1e6, description="minutes of work on the workers")


class Rules(Strict):
    """When one configuration is enough ahead."""

    confidence: float = Field(
        0.95, ge=0.5, le=0.999, description="probability of being right at which the comparison ends"
    )
    indifference: float = Field(
        0.01, ge=0, le=1, description="improvements that differ by no more are as good as each other, a share"
    )
    pick: int = Field(1, ge=1, lt=MOST, description="configurations that are to be trained")


class ComparisonRequest(Space, Rules):
    """Configurations to choose from: a list, or a base and the fields to vary in it."""

    budget: Budget = Field(default_factory=Budget)

    @model_validator(mode="after")
    def _picks_fewer_than_all(self) -> Self:
        if self.pick >= len(self.asked):
            message = f"expected less than {len(self.asked)}, the configurations, got {self.pick}. Lower it."
            raise FieldError("pick", message, self.pick)
        return self


class Standing(Finite):
    """How a configuration stands; shares."""

    place: int = Field(description="of the configuration in the comparison, from 0")
    problems: int
    gap: float | None = None
    gap_se: float | None = None
    value: float | None = Field(None, description="predicted improvement, as far as probed")
    interval: Interval | None = None
    p_best: float = Field(description="probability that it is the best")
    p_picked: float = Field(description="probability that it is among the best `pick`")
    loss: float = Field(description="expected improvement that is lost by choosing it")
    eliminated: bool = Field(False, description="shown to have a smaller gap than others of its model and cell")
    refused: bool = Field(False, description="its gap is too far from the stored ones for a prediction")


class Round(Finite):
    """One round: what was measured until then, and how the configurations stand."""

    number: int
    rollouts: int = Field(description="of all rounds until then, all arms; what is shared counts once")
    standings: list[Standing]
    leader: int = Field(description="place of the best")
    picked: list[int]
    p_best_picked: float = Field(description="probability that the best is among the picked ones")
    alike: list[int] = Field(description="places of those that cannot be told apart from the best")


class ComparisonProgress(Finite):
    """How far a comparison is; `total` is what it may spend, and fewer rollouts often do."""

    done: int
    total: int
    unit: Literal["rollouts"] = "rollouts"
    round: int
    of_second_probe: bool = Field(False, description="the winner is probed once more, with fresh samples")


class Spent(Finite):
    """The cost of a comparison."""

    rollouts: int = Field(description="to choose, all arms; what configurations share counts once")
    second_probe: int = Field(0, description="rollouts of the winner's second probe")
    equal_split: int = Field(description="rollouts that probing every configuration with its own `probe` would take")
    seconds: float = Field(0.0, description="of work on the workers")
    gpu_hours: float = 0.0
    loads: int = Field(0, description="how often a model was loaded")


class Compared(Finite):
    """One configuration of a comparison."""

    place: int
    name: str
    request: PredictionRequest
    standing: Standing | None = None
    prediction_id: str | None = Field(None, description="what was predicted of it; can be trained by this id")
    probe_id: str | None = None
    answer: Answer | None = Field(None, description="the prediction; null until the comparison has ended")
    gain_per_hour: float | None = Field(
        None,
        description="predicted improvement, a share, for each hour of training; null: no stored run tells the hours",
    )


class Winner(Finite):
    """The best configuration, with what its second probe says."""

    place: int
    prediction_id: str = Field(description="the prediction from the second probe: fresh samples, nothing chosen")
    answer: Answer
    chosen_value: float | None = Field(
        description="its predicted improvement when it was chosen: too high on average, because it was the highest"
    )
    chosen_interval: Interval | None


class ComparisonOut(Labelled, Identified):
    """A comparison; `winner` comes last."""

    object: Literal["comparison"] = "comparison"
    status: JobStatus
    request: ComparisonRequest
    fit_id: str
    pool: str
    progress: ComparisonProgress | None = None
    waiting: Waiting | None = Field(None, description="why it waits for a worker; null in lists")
    configurations: list[Compared] = Field(description="the best first, once a round has ended")
    rounds: list[Round] = Field(default_factory=list, description="in lists: the newest alone")
    stopped_by: Stop | None = Field(
        None,
        description="`decided`, `indifferent` (the others are as good), `law` (more probing would not tell: the law is "
        "too wide), `budget`, or `most_problems` (the task has no more)",
    )
    winner: Winner | None = None
    alike: list[int] = Field(default_factory=list, description="places that cannot be told apart from the winner")
    picked: list[int] = Field(default_factory=list, description="places to train")
    p_best_picked: float | None = None
    spent: Spent
    warnings: list[Warned] = Field(default_factory=list)
    error: Failure | None = None
    created_at: str
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        return self.status in TERMINAL
