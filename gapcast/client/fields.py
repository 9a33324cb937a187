"""The keyword arguments of the client's calls: the contract's requests field by field, and the filters of its lists."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from gapcast.contract.base import JobStatus
from gapcast.contract.comparisons import Budget
from gapcast.contract.contexts import Context, ContextKind
from gapcast.contract.external_runs import ExternalStatus
from gapcast.contract.forecasts import Evaluated, GivenBaseline, GivenLook, MeasuredGap
from gapcast.contract.imported_probes import Evaluation
from gapcast.contract.lists import Sorted
from gapcast.contract.measured import Decoding, ModelRef
from gapcast.contract.observations import ImprovementIn
from gapcast.contract.predictions import GivenGap, PredictionRequest, Target, Verdict
from gapcast.contract.probes import ProbeSize
from gapcast.contract.recipes import Recipe
from gapcast.contract.recommendations import HoursAndRuns, KnownCost
from gapcast.contract.samples import ArmName, Flip
from gapcast.contract.sizing import CostOf, Expected
from gapcast.contract.stopping import StopRule
from gapcast.contract.training import Status, TrainedProblems, TrainingBlock, TrainingSize

Json = Mapping[str, Any]
"""A part of a request as plain JSON"""

Split = Literal["train", "held_out"]
Order = Literal["asc", "desc"]


class PredictionFields(TypedDict, total=False):
    """The fields of `PredictionRequest`."""

    name: str | None
    tags: Sequence[str]
    model: str | ModelRef | Json
    task: str
    context: Context | Json
    recipe: Recipe | Json
    decoding: Decoding | Json
    probe: ProbeSize | Json | None
    gap: GivenGap | Json | None
    probe_id: str | None
    training: TrainedProblems | Json
    pool: str | None
    levels: Sequence[float]
    min_gain: float
    verdict_on: Target


class ProbeFields(TypedDict, total=False):
    """The fields of `ProbeRequest`."""

    name: str | None
    tags: Sequence[str]
    model: str | ModelRef | Json
    task: str
    context: Context | Json
    decoding: Decoding | Json
    probe: ProbeSize | Json
    group_size: int
    target_gap_half_width: float | None


class ImportedProbeFields(TypedDict, total=False):
    """The fields of `ImportedProbe`."""

    name: str | None
    tags: Sequence[str]
    model: str | ModelRef | Json
    task: str
    context: Context | Json
    decoding: Decoding | Json
    harness: str | None
    student: Evaluation | Json
    teacher: Evaluation | Json
    none: Evaluation | Json | None
    placebo: Evaluation | Json | None


class SizeFields(TypedDict, total=False):
    """The fields of `SizeRequest`."""

    model: str | ModelRef | Json
    task: str
    context: Context | Json | None
    recipe: Recipe | Json
    decoding: Decoding | Json
    training: TrainedProblems | Json
    pool: str | None
    target_half_width: float
    level: float
    expected: Expected | Json | None
    pilot_probe_id: str | None
    rollouts: int | None
    most_problems: int | None
    cost: CostOf | Json


class ComparisonFields(TypedDict, total=False):
    """The fields of `ComparisonRequest`."""

    name: str | None
    tags: Sequence[str]
    configurations: Sequence[PredictionRequest | Json] | None
    base: Json | None
    vary: Mapping[str, Sequence[Any] | Json] | None
    confidence: float
    indifference: float
    pick: int
    budget: Budget | Json


class RecommendationFields(TypedDict, total=False):
    """The fields of `RecommendationRequest`."""

    name: str | None
    tags: Sequence[str]
    configurations: Sequence[PredictionRequest | Json] | None
    base: Json | None
    vary: Mapping[str, Sequence[Any] | Json] | None
    budget: HoursAndRuns | Json
    cost: KnownCost | Json
    execute: bool


class TrainingRunFields(TypedDict, total=False):
    """The fields of `TrainingRunRequest`."""

    name: str | None
    tags: Sequence[str]
    prediction_id: str | None
    model: str | ModelRef | Json | None
    task: str | None
    context: Context | Json | None
    recipe: Recipe | Json | None
    decoding: Decoding | Json | None
    probe: TrainingSize | Json | None
    pool: str | None
    seeds: Sequence[int]
    training: TrainingBlock | Json


class ForecastFields(TypedDict, total=False):
    """The fields of `ForecastRequest`."""

    prediction_id: str | None
    model: str | ModelRef | Json | None
    task: str | None
    context: Context | Json | None
    recipe: Recipe | Json | None
    decoding: Decoding | Json | None
    training: TrainedProblems | Json | None
    gap: MeasuredGap | Json | None
    pool: str | None
    baseline: GivenBaseline | Json
    evaluation: Evaluated | Json
    looks: Sequence[GivenLook | Json]
    min_gain: float | None


class ExternalRunFields(TypedDict, total=False):
    """The fields of `ExternalRunRequest`."""

    name: str | None
    tags: Sequence[str]
    prediction_id: str | None
    model: str | ModelRef | Json | None
    task: str | None
    context: Context | Json | None
    recipe: Recipe | Json | None
    decoding: Decoding | Json | None
    training: TrainedProblems | Json | None
    gap: MeasuredGap | Json | None
    pool: str | None
    baseline: GivenBaseline | Json
    evaluation: Evaluated | Json
    min_gain: float | None
    external_id: str | None
    stop: StopRule | Json | None
    seed: int | None


class RunEndFields(TypedDict, total=False):
    """The fields of `RunEnd`."""

    stopped: bool
    gap: MeasuredGap | Json | None
    improvement: ImprovementIn | Json | None
    cov: float | None
    collapsed: bool | None
    provenance: Json


class Named(TypedDict, total=False):
    """Filters by what a thing is called; what is left out or None does not narrow a list.

    Attributes:
        id: what has this id, or one of these.
        id_prefix: how the id begins.
        name: exactly this name.
        tag: what has this tag, or every one of these.
        text: what has this text in a name or a tag.
    """

    id: str | Sequence[str] | None
    text: str | None
    id_prefix: str | None
    name: str | None
    tag: str | Sequence[str] | None


class ProbeFilters(Named, total=False):
    """Which probes are listed."""

    model: str | None
    task: str | None
    context_kind: ContextKind | None
    status: JobStatus | None


class SampleFilters(TypedDict, total=False):
    """Which samples of a probe are listed, or exported.

    Attributes:
        arm: `student`, `none`, `context` (the self-teacher), `placebo`, `shuffled_feedback`.
        flip: `gained` if the student is wrong and the self-teacher right, `lost` for the reverse.
        min_score: at least this score.
        max_score: at most this score.
        problem_id: of this problem alone.
    """

    arm: ArmName | None
    flip: Flip | None
    min_score: float | None
    max_score: float | None
    problem_id: str | None


class PredictionFilters(ProbeFilters, total=False):
    """Which predictions are listed."""

    sort: Sorted
    pool: str | None
    verdict: Verdict | None


class ComparisonFilters(Named, total=False):
    """Which comparisons are listed."""

    model: str | None
    task: str | None
    pool: str | None
    status: JobStatus | None


class RecommendationFilters(Named, total=False):
    """Which recommendations are listed."""

    model: str | None
    task: str | None
    pool: str | None
    status: JobStatus | None


class TrainingRunFilters(Named, total=False):
    """Which training runs are listed; `verdict` is what the prediction of the run said."""

    sort: Sorted
    model: str | None
    task: str | None
    context_kind: ContextKind | None
    pool: str | None
    status: Status | None
    verdict: Verdict | None
    prediction_id: str | None
    group_id: str | None


class ExternalRunFilters(Named, total=False):
    """Which external runs are listed."""

    external_id: str | None
    model: str | None
    task: str | None
    pool: str | None
    status: ExternalStatus | None
    prediction_id: str | None


class ObservationFilters(Named, total=False):
    """Which observations are listed, or exported."""

    pool: str | None
    family: str | None
    task: str | None
    model: str | None
    context_kind: str | None
    source: str | None
    version: str | None
    external_id: str | None
    prediction_id: str | None
    excluded: bool | None
    collapsed: bool | None


class ListedObservations(ObservationFilters, total=False):
    """Which observations are listed, and by what they are sorted."""

    sort: Sorted
