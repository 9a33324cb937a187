"""What the jobs of a comparison have measured and decided, told as one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gapcast.contract.comparison_jobs import Known, PartResult
from gapcast.contract.comparisons import Round, Stop
from gapcast.contract.probes import ProbeResult
from service.comparisons.repository import Part


@dataclass
class Story:
    """A comparison as far as its jobs have come."""

    rounds: list[Round] = field(default_factory=list)
    eliminated: list[int] = field(default_factory=list)
    known: dict[int, Known] = field(default_factory=dict)
    measured: dict[int, ProbeResult] = field(default_factory=dict)
    """by place: the newest measurement, which is the largest"""
    second: ProbeResult | None = None
    stop: Stop | None = None
    rollouts: int = 0
    seconds: float = 0.0
    gpu_hours: float = 0.0
    loads: int = 0

    @property
    def leader(self) -> int | None:
        """The place of the best, once a round has ended."""
        return self.rounds[-1].leader if self.rounds else None

    @classmethod
    def read(cls, parts: Sequence[Part]) -> "Story":
        """Put the parts' results together, in their order; of one that is under way what it has told so far."""
        story = cls()
        for part in parts:
            written = part.row.result or part.row.partial
            if written is not None:
                story.add(PartResult.model_validate(written))
        return story

    def add(self, part: PartResult) -> None:
        """Put the next part's result to it."""
        self.rounds += part.rounds
        self.eliminated = sorted({*self.eliminated, *part.eliminated})
        self.known |= part.known
        self.measured |= part.measured
        self.second = part.second or self.second
        self.stop = part.stop or self.stop
        self.rollouts += part.rollouts
        self.seconds += part.seconds
        self.gpu_hours += part.gpu_hours
        self.loads += part.loads
