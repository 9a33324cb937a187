"""The part of a comparison that a worker's child measures, and its result: the rounds of one model."""

from pydantic import Field

from gapcast.contract.base import Finite, JsonObject, Strict
from gapcast.contract.comparisons import Round, Rules, Stop
from gapcast.contract.probes import ProbeConfiguration, ProbeResult


class Competitor(Strict):
    """One configuration as the decision sees it; `service.deciding.Configuration` says what its fields mean."""

    law: int = Field(description="its law's place in `laws`")
    question: JsonObject
    paired: str
    student: str
    teacher: str
    rollouts: int
    most: int


class Known(Finite):
    """The state of one configuration; `service.deciding.Known` describes its fields."""

    differences: list[float]
    gap: float
    gap_var: float
    student: float
    gap_spread: float | None


class Member(Strict):
    """A configuration that the job's model measures."""

    place: int
    probe: ProbeConfiguration = Field(description="with as many problems as it may have at most")
    second: ProbeConfiguration = Field(description="of the winner: fresh samples, its own size, every control")


class ComparisonConfiguration(Strict):
    """One job of a comparison: what one model's child is to do."""

    model: str
    model_revision: str
    task: str
    task_revision: str
    members: list[Member]
    competitors: list[Competitor]
    laws: list[JsonObject] = Field(description="records of the laws")
    rules: Rules
    known: list[Known | None] = Field(description="by place: what earlier jobs have measured")
    round: int = Field(description="rounds that were decided")
    eliminated: list[int]
    rollouts: int = Field(description="spent by earlier jobs")
    most_rollouts: int | None
    most_seconds: float | None = Field(description="of work, that earlier jobs have left")
    plan: dict[int, int] | None = Field(
        description="problems that its members shall have after this round, by place; null: to be decided first"
    )
    decides: bool = Field(description="go on with further rounds as long as they need no other model")
    second: int | None = Field(description="place of the winner, which is measured with fresh samples and nothing else")


class PartResult(Finite):
    """The measurements and the decision of one job of a comparison."""

    measured: dict[int, ProbeResult] = Field(default_factory=dict)
    known: dict[int, Known] = Field(default_factory=dict)
    rounds: list[Round] = Field(default_factory=list)
    eliminated: list[int] = Field(default_factory=list)
    next: dict[int, int] = Field(default_factory=dict, description="the next round: problems by place")
    stop: Stop | None = None
    second: ProbeResult | None = None
    rollouts: int = Field(0, description="to choose, all arms; what its members share counts once")
    seconds: float = 0.0
    gpu_hours: float = 0.0
    loads: int = 0
