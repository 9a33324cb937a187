"""Workers: the processes that run jobs, and what they are running."""

from typing import Literal

from pydantic import Field

from gapcast.contract.base import Finite
from gapcast.contract.needs import Offer
from gapcast.contract.waiting import Queue, RunningJob


class WorkerQueue(Finite):
    """A queue that a worker takes jobs from."""

    queue: Queue
    slots: int = Field(description="jobs of it that this worker runs at a time")
    queued: int = Field(description="jobs of it that are due, have not started, and that this worker can take")


class WorkerOut(Offer):
    """One worker process."""

    object: Literal["worker"] = "worker"
    name: str = Field(description="host and process id")
    queues: list[WorkerQueue]
    seen_seconds: float = Field(description="since its last sign of life; it gives one every 10 s")
    jobs: list[RunningJob] = Field(description="that it is running, the oldest first")
