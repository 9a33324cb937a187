"""The processes that share one run: which of them this one is, and what they tell each other."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, Self, TypeVar

import torch
from torch import distributed

from workers.failures import JobError

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""For one that is slower than the others: the first writes a checkpoint alone. torchrun sees a dead one at once."""


@dataclass(frozen=True)
class World:
    """Apart from `parts` and `share` the calls wait for all processes, which must make the same ones in one order."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Self:
        """Meets the processes that torchrun started beside this one; each takes one GPU, where there are any.

        Raises:
            JobError: `not_enough_gpus`.
        """
        gpus = torch.cuda.device_count()
        if gpus:
            _require_gpus(int(os.environ["WORLD_SIZE"]), gpus)
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
        return cls(distributed.get_rank(), distributed.get_world_size())

    @staticmethod
    def leave(code: int = 0) -> NoReturn:
        """Ends this process at once.

        After a failure a clean end would wait for the others, which wait for this one until torchrun sees it gone.
        After success gloo's threads may still hold tensors when the interpreter goes, which then aborts (6 of 20 times
        in a small script; pytorch/pytorch#179291): torchrun would end the others before they have written what they
        have.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def parts(self, items: Sequence[T]) -> list[list[T]]:
        """The processes' parts, by rank: every `size`-th, so that what is sorted by length is shared evenly."""
        return [list(items[rank :: self.size]) for rank in range(self.size)]

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part."""
        return self.parts(items)[self.rank]

    def gather(self, mine: Sequence[T]) -> list[T]:
        """What was made of the parts of `share`, in the order of the whole."""
        return interleaved(self.all(list(mine)))

    def total(self, *mine: float) -> list[float]:
        """The sums over all processes, the very same in each."""
        return [sum(numbers) for numbers in zip(*self.all(mine), strict=True)]

    def any(self, mine: bool) -> bool:
        """Whether it is true of any process."""
        return any(self.all(mine))

    def all(self, mine: T) -> list[T]:
        """What each process has, by rank; it must be picklable."""
        if self.size == 1:
            return [mine]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, mine)
        return found


def _require_gpus(processes: int, gpus: int) -> None:
    if gpus < processes:
        raise JobError(
            "not_enough_gpus",
            f"training.processes: {processes} on a worker with {gpus} GPU(s); ask for at most that many.",
            "training.processes",
        )


def interleaved(parts: Sequence[Sequence[T]]) -> list[T]:
    """The whole that `World.parts` took apart."""
    return [parts[place % len(parts)][place // len(parts)] for place in range(sum(map(len, parts)))]


ALONE = World()
"""One process."""
