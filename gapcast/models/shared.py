"""What the answers of the API have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "dead"})


class Answered(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Estimate(Answered):
    """A difference of accuracies as a share (0.1 = 10 accuracy points) and its standard error."""

    value: float
    se: float


class Warned(Answered):
    """Something to know before trusting the number."""

    code: str
    message: str


class Event(Answered):
    """One thing that happened to a prediction or a probe."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: str
