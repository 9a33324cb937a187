"""What a probe is asked with, and how it answers."""

from typing import Any, Literal

from pydantic import Field

from service.catalog.contexts import Context
from service.catalog.schemas import Decoding, ModelRef, ProbeSize
from service.catalog.strict import Strict
from service.kit.pagination import Identified


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
