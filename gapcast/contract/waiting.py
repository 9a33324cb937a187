"""Why a job that is queued has not started: who is ahead of it, and how many workers could take it."""

from typing import Literal, get_args

from pydantic import Field

from gapcast.contract.base import Finite
from gapcast.contract.needs import JobNeeds

Queue = Literal["probes", "training"]
"""Jobs of one queue never wait for those of the other: each has slots of its own on every worker that takes it."""
QUEUES: tuple[Queue, ...] = get_args(Queue)


class RunningJob(Finite):
    """The job that is expected to free a slot first."""

    id: str | None = Field(description="of the probe, the comparison or the training run; null: another tenant's")
    kind: str
    seconds: float = Field(description="since it started for the first time")
    seconds_left: float | None = Field(description="at its pace so far; null: its pace is not known yet")


class Waiting(Finite):
    """Why a queued job has not started."""

    queue: Queue
    ahead: int = Field(description="queued jobs that start before this one")
    workers: int = Field(description="workers that can take it and gave a sign of life within 30 s")
    unable: int = Field(0, description="other workers of its queue, which lack something that it needs")
    needs: JobNeeds = Field(default_factory=JobNeeds, description="what its worker must have")
    running: RunningJob | None = Field(description="null: a slot is free, or there is no worker")
