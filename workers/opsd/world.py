"""The processes that share one run: which of them this one is, and what they tell each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

import torch

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
        """Meets the processes that torchrun started beside this one; each takes one GPU, where there are any."""
        from torch import distributed

        gpus = torch.cuda.is_available()
        if gpus:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """At the end, when nothing is left to be told."""
        from torch import distributed

        distributed.destroy_process_group()

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
        parts = self.all(list(mine))
        return [parts[place % self.size][place // self.size] for place in range(sum(map(len, parts)))]

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
        from torch import distributed

        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, mine)
        return found


ALONE = World()
"""One process."""
