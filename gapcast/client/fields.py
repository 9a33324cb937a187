"""The keyword arguments of the client's calls: the contract's requests field by field, and the filters of its lists."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from gapcast.contract.contexts import Context
from gapcast.contract.measured import Decoding, ModelRef
from gapcast.contract.predictions import GivenGap
from gapcast.contract.probes import ProbeSize
from gapcast.contract.recipes import Recipe
from gapcast.contract.sizing import CostOf, Expected
from gapcast.contract.training import Status, TrainingBlock, TrainingSize

Json = Mapping[str, Any]
"""A part of a request as plain JSON"""

Split = Literal["train", "held_out"]
Order = Literal["asc", "desc"]


class PredictionFields(TypedDict, total=False):
    """The fields of `PredictionRequest`."""

    model: ModelRef | Json
    task: str
    context: Context | Json
    recipe: Recipe | Json
    decoding: Decoding | Json
    probe: ProbeSize | Json | None
    gap: GivenGap | Json | None
    pool: str | None
    levels: Sequence[float]
    min_gain: float


class ProbeFields(TypedDict, total=False):
    """The fields of `ProbeRequest`."""

    model: ModelRef | Json
    task: str
    context: Context | Json
    decoding: Decoding | Json
    probe: ProbeSize | Json
    group_size: int
    target_gap_half_width: float | None


class SizeFields(TypedDict, total=False):
    """The fields of `SizeRequest`."""

    model: ModelRef | Json
    task: str
    recipe: Recipe | Json
    pool: str | None
    target_half_width: float
    level: float
    expected: Expected | Json | None
    pilot_probe_id: str | None
    rollouts: int | None
    most_problems: int | None
    cost: CostOf | Json


class TrainingRunFields(TypedDict, total=False):
    """The fields of `TrainingRunRequest`."""

    prediction_id: str | None
    model: ModelRef | Json | None
    task: str | None
    context: Context | Json | None
    recipe: Recipe | Json | None
    decoding: Decoding | Json | None
    probe: TrainingSize | Json | None
    pool: str | None
    seeds: Sequence[int]
    training: TrainingBlock | Json


class TrainingRunFilters(TypedDict, total=False):
    """Which runs are meant; what is left out or None does not narrow them."""

    status: Status | None
    prediction_id: str | None
    group_id: str | None


class ObservationFilters(TypedDict, total=False):
    """Which observations are meant; what is left out or None does not narrow them."""

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
