"""Recommendations: what to probe and what to train with a budget, and following that plan while it is executed."""

from typing import Literal

from pydantic import Field

from gapcast.contract.base import TERMINAL, Failure, Finite, Identified, JobStatus, Strict, Warned
from gapcast.contract.labels import Labelled
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference
from gapcast.contract.spaces import Space
from gapcast.contract.varying import MOST

Action = Literal["probe", "pilot", "train", "stop"]
Bottleneck = Literal["gap", "law", "pilots", "runs", "none"]
Unit = Literal["gpu_hours", "worker_hours"]


class HoursAndRuns(Strict):
    """The limits of what probes and runs together may cost."""

    gpu_hours: float | None = Field(
        None, gt=0, le=1e6, description="on a machine without a GPU hours of a worker; null: only the runs are limited"
    )
    runs: int = Field(
        1,
        ge=1,
        le=MOST,
        description="training runs, at most two of each configuration; a pilot counts as the share of its steps",
    )


class KnownCost(Strict):
    """The cost of a run and of a rollout, in place of that of stored ones."""

    hours_per_run: float | None = Field(
        None, gt=0, le=1e6, description="GPU-hours of each training run; null: from stored runs of its model"
    )
    seconds_per_rollout: float | None = Field(
        None, gt=0, le=1e6, description="GPU-seconds of a probe's rollout; null: from stored probes and runs"
    )


class RecommendationRequest(Space):
    """A search space and a budget: a list of configurations, or a base and the fields to vary in it."""

    budget: HoursAndRuns = Field(default_factory=HoursAndRuns)
    cost: KnownCost = Field(default_factory=KnownCost)
    execute: bool = Field(False, description="true: its steps are started, one after another")


class Candidate(Finite):
    """One configuration of the search space, and what is known of it; shares."""

    place: int
    name: str
    model: str
    family: str
    problems: int = Field(description="that its gap has been measured on; 0: its gap is not known")
    gap: Difference | None = None
    value: float = Field(description="predicted improvement")
    interval: Interval = Field(description="of a run's true improvement")
    p_best: float = Field(description="probability that a run of it improves most")
    refused: bool = Field(False, description="its gap is too far from the stored ones for a prediction")
    run_hours: float = Field(description="of one training run")


class Step(Finite):
    """One step of a plan."""

    action: Action
    configurations: list[int] = Field(
        description="places, the most promising first: those that are probed, or those that are trained from; one that "
        "is trained with two seeds stands there twice"
    )
    choice: bool = Field(
        False, description="what is probed, or trained, is chosen among `configurations` when the step begins"
    )
    problems: int | None = Field(None, description="of each probed configuration, in total")
    rollouts: int | None = Field(None, description="to draw, all arms, at most")
    runs: int = Field(0, description="training runs; of a pilot those that begin")
    share: float | None = Field(None, description="of a pilot: the share of its steps after which a run pauses")
    finish: int | None = Field(None, description="of a pilot: the runs that go on then, those with the best forecasts")
    hours: float = Field(0.0, description="expected; of a probe at most")
    why: str
    status: Literal["planned"] | JobStatus = "planned"
    comparison_id: str | None = Field(None, description="the comparison that probes")
    training_run_ids: list[str] = Field(default_factory=list)
    finished_run_ids: list[str] = Field(
        default_factory=list, description="the piloted runs that go on; empty until all pilots are over"
    )


class Considered(Finite):
    """A plan that was considered."""

    runs_first: int = Field(description="runs that are trained before anything is probed")
    probed: int = Field(description="configurations")
    problems: int = Field(description="of each probed configuration, in total")
    runs_in_turn: int = Field(description="runs whose outcomes are waited for before the others are chosen")
    pilots: int = Field(0, description="runs that are piloted; the best `runs` of them are finished")
    pilot_share: float | None = Field(None, description="of their steps")
    runs: int = Field(description="in all, without those that are piloted and not finished")
    hours: float
    expected_gain: float = Field(description="expected improvement by the best run; a share")


class Trained(Finite):
    """A run that a recommendation has started."""

    place: int
    training_run_id: str
    status: str
    improvement: Difference | None = Field(None, description="measured on the training problems; a share")


class RecommendationOut(Labelled, Identified):
    """A plan; with `execute`, how far it is. Gains are shares."""

    object: Literal["recommendation"] = "recommendation"
    status: JobStatus
    request: RecommendationRequest
    fit_id: str
    pool: str
    unit: Unit = Field(
        description="of all hours: GPU-hours, or hours of a worker where no stored probe of these models had a GPU"
    )
    plan: list[Step] = Field(description="the steps; of an executed plan those that have ended first")
    expected_gain: float = Field(description="expected improvement by the best run of the plan")
    expected_gain_naive: float = Field(
        description="of probing all alike, each with its own `probe` or what the budget allows, and training the first"
    )
    expected_gain_without: float = Field(description="of training what the law alone puts first, without a new probe")
    hours: float = Field(description="of the plan, as it was made")
    bottleneck: Bottleneck = Field(
        description="what to spend on first: `gap` (probes), `law` (runs that teach it), `pilots` (the start of "
        "several runs), `runs` (more of them), `none`"
    )
    law_share: float = Field(
        description="share of the variance of the most promising prediction that exact gaps would leave"
    )
    alternatives: list[Considered] = Field(description="the best plans of each kind, the plan itself first")
    space: list[Candidate] = Field(description="in the order of the request")
    warnings: list[Warned] = Field(default_factory=list)
    trained: list[Trained] = Field(default_factory=list, description="runs of an executed plan")
    best: Trained | None = Field(None, description="the run with the largest measured improvement")
    error: Failure | None = None
    created_at: str
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        return self.status in TERMINAL

    def names(self, places: list[int]) -> list[str]:
        """Return the names of configurations."""
        return [self.space[place].name for place in places]
