"""The parts that requests and answers share.

The contract imports pydantic and the standard library alone: a job's child process reads it too, and a client need not
install the service.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from gapcast.contract.faults import noted

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "dead"})
"""the statuses in which a job, and what waits for it, has ended"""


class Strict(BaseModel):
    """A body that refuses fields it does not know, infinities and NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=4096)

    @model_validator(mode="wrap")
    @classmethod
    def _note_faults(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        try:
            return validate(value)
        except ValidationError as error:
            raise noted(cls, error) from None

    @field_validator("*")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("expected a text without the NUL character, got one with it. Leave it out.")
        return value


JsonObject = dict[str, Any]
"""A JSON object whose keys are not fixed where it stands: people's own, or another schema's."""

JsonSchema = dict[str, Any]
"""A JSON Schema, 2020-12."""


class FieldError(ValueError):
    """Raised by a model's validator about one of its fields, which the answer then names."""

    def __init__(self, param: str, message: str, value: object = None) -> None:
        super().__init__(message)
        self.param, self.message, self.value = param, message, value


class Identified(BaseModel):
    """Whatever has an id."""

    id: str


Item = TypeVar("Item", bound=Identified)


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, items: Sequence[Item], limit: int) -> "Page[Item]":
        """Make a page of at most `limit` items from up to `limit + 1` that were read."""
        data = list(items[:limit])
        return Page(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(items) > limit,
        )


Entry = TypeVar("Entry", bound=BaseModel)


class Listing(BaseModel, Generic[Entry]):
    """A list that is always whole."""

    object: Literal["list"] = "list"
    data: list[Entry]
    has_more: Literal[False] = False


class Finite(BaseModel):
    """A part of an answer: no infinity and no NaN, which JSON cannot say."""

    model_config = ConfigDict(allow_inf_nan=False)


class Paced(Finite):
    """How fast something goes that is under way."""

    rate: float | None = Field(None, description="of what is counted, a second; null: not known yet")
    seconds_left: float | None = Field(None, description="at this rate; null: not known yet")


class Warned(Finite):
    """Something to know before trusting the number."""

    code: str
    message: str
    numbers: dict[str, float] = Field(
        default_factory=dict,
        description="the numbers of the message, by name; accuracies and their differences are shares",
    )


class Failure(BaseModel):
    """Why a job ended without a result."""

    code: str
    message: str
    param: str | None = None
    category: Literal["user", "server"]


Level = Annotated[float, Field(ge=0.001, le=0.999)]

POOL_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"

PoolName = Annotated[str, Field(pattern=POOL_PATTERN)]
