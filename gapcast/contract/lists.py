"""The query parameters of lists: which part of a list is read, and what narrows it.

Filters that are sent must all match; what is left out narrows nothing. A parameter that a list does not have is
refused, because a mistyped filter would list everything.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gapcast.contract.accepted import listed
from gapcast.contract.base import POOL_PATTERN, FieldError, JobStatus, Strict
from gapcast.contract.contexts import ContextKind
from gapcast.contract.external_runs import ExternalStatus
from gapcast.contract.labels import MOST_TAGS, Tag
from gapcast.contract.nearest import nearest
from gapcast.contract.predictions import Verdict
from gapcast.contract.samples import ArmName, Flip, SampleShape
from gapcast.contract.training import Status


class Query(Strict):
    """Query parameters, of which those that are not known are refused by name."""

    @model_validator(mode="before")
    @classmethod
    def _are_known(cls, values: Any) -> Any:  # noqa: ANN401
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for name in values if isinstance(values, dict) else ():
            if name not in known:
                near = nearest(name, known)
                advice = f"Did you mean {near}?" if near is not None else f"The parameters are {listed(known, 'and')}."
                raise FieldError(name[:80], f"is not a parameter of this endpoint. {advice}", values[name])
        return values


class PageQuery(Query):
    """Which part of a list is read."""

    after: str | None = Field(
        None,
        pattern="^[a-z]+_[0-9a-f]{32}$",
        description="the page begins after this id; send the last_id of the page before",
    )
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = Field("desc", description="by time of creation, if `sort` does not say otherwise")


Id = Annotated[str, Field(min_length=1, max_length=64)]


Sorted = Literal["created", "improvement", "gap"]
_SORT: Any = Field(
    "created", description="`improvement` or `gap`: by that number, the largest first unless `order` says otherwise"
)


def _id_prefix(kind: str) -> Any:  # noqa: ANN401
    described = f"how an id begins, such as `{kind}_0199`: only what has such an id"
    return Field(None, pattern=f"^{kind}_[0-9a-f]{{0,32}}$", description=described)


def _name(what: str) -> Any:  # noqa: ANN401
    return Field(None, max_length=255, description=what)


_POOL = Field(None, pattern=POOL_PATTERN)
_TAG: Any = Field(
    default_factory=list,
    max_length=MOST_TAGS,
    description="only items that have this tag; may be repeated: only items that have all of them",
)
_ID = Field(None, max_length=64)
MOST_IDS = 100
"""that one request names"""
_IDS: Any = Field(
    default_factory=list, max_length=MOST_IDS, description="may be repeated: only items that have one of these ids"
)
_TEXT = Field(
    None,
    min_length=1,
    max_length=255,
    description="only items with this text in a name (their own, or of their model, task or family) or in a tag; upper "
    "and lower case are the same",
)


class PredictionQuery(PageQuery):
    """Which predictions are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("pred")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    model: str | None = _name("the model's name")
    task: str | None = _name("the task's name")
    context_kind: ContextKind | None = Field(None, description="the kind of the self-teacher's context")
    pool: str | None = _POOL
    status: JobStatus | None = None
    verdict: Verdict | None = None
    sort: Sorted = _SORT


class ProbeQuery(PageQuery):
    """Which probes are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("probe")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    model: str | None = _name("the model's name")
    task: str | None = _name("the task's name")
    context_kind: ContextKind | None = Field(None, description="the kind of the self-teacher's context")
    status: JobStatus | None = None


class SampleFilters(Query):
    """Which samples of a probe are meant."""

    arm: ArmName | None = Field(None, description="`context` is the self-teacher")
    flip: Flip | None = Field(
        None, description="`gained`: the student is wrong and the self-teacher right; `lost`: the reverse; both arms"
    )
    min_score: float | None = Field(None, ge=0, le=1, description="at least this score; 1: only right ones")
    max_score: float | None = Field(None, ge=0, le=1, description="at most this score; 0: only wrong ones")
    problem_id: str | None = Field(None, max_length=255)


class SampleQuery(SampleFilters, PageQuery):
    """Which samples of a probe are listed: problem by problem, as they were drawn."""

    order: Literal["asc", "desc"] = Field("asc", description="by the order in which the problems were drawn")


class SampleExport(SampleFilters):
    """Which samples of a probe are written to a file, and in which shape."""

    format: SampleShape = Field(
        "ndjson", description="`lm-eval`: its `samples_*.jsonl`; `verifiers`: its `traces.jsonl`; both of one arm"
    )


class ComparisonQuery(PageQuery):
    """Which comparisons are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("cmp")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    model: str | None = _name("a model that is compared")
    task: str | None = _name("the task's name")
    pool: str | None = _POOL
    status: JobStatus | None = None


class RecommendationQuery(PageQuery):
    """Which recommendations are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("rec")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    model: str | None = _name("a model that may be trained")
    task: str | None = _name("the task's name")
    pool: str | None = _POOL
    status: JobStatus | None = None


class TrainingRunQuery(PageQuery):
    """Which training runs are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("run")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    model: str | None = _name("the model's name")
    task: str | None = _name("the task's name")
    context_kind: ContextKind | None = Field(None, description="the kind of the self-teacher's context")
    pool: str | None = _POOL
    status: Status | None = None
    verdict: Verdict | None = Field(None, description="the verdict of the run's prediction")
    prediction_id: str | None = _ID
    group_id: str | None = _ID
    sort: Sorted = _SORT


class ExternalRunQuery(PageQuery):
    """Which external runs are listed."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("ext")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    external_id: str | None = _name("exactly this external_id")
    model: str | None = _name("the model's name")
    task: str | None = _name("the task's name")
    pool: str | None = _POOL
    status: ExternalStatus | None = None
    prediction_id: str | None = _ID


class ObservationFilters(Query):
    """Which observations are meant."""

    id: list[Id] = _IDS
    id_prefix: str | None = _id_prefix("obs")
    text: str | None = _TEXT
    name: str | None = _name("exactly this name")
    tag: list[Tag] = _TAG
    pool: str | None = _POOL
    family: str | None = _name("the law's group")
    task: str | None = _name("the task's name")
    model: str | None = _name("the model's name")
    context_kind: str | None = _name("the context's kind")
    source: str | None = _name("where it came from, such as `training`")
    version: str | None = _name("exactly this version")
    external_id: str | None = _name("exactly this external_id")
    prediction_id: str | None = _ID
    excluded: bool | None = None
    collapsed: bool | None = None


class ObservationQuery(ObservationFilters, PageQuery):
    """Which observations are listed."""

    sort: Sorted = _SORT


class ObservationExport(ObservationFilters):
    """Which observations are written to a file, and in which format."""

    format: Literal["json", "ndjson", "csv", "parquet"] = "csv"


Pair = Annotated[str, Field(min_length=2, max_length=1024)]
"""Of an import, with an equals sign between its parts."""

MOST_PAIRS = 100


class ObservationImport(Query):
    """The pool of a batch of rows, the tags that each of them gets, and what the rows mean by their words."""

    pool: str | None = Field(
        None, pattern=POOL_PATTERN, description="the pool of all rows; null: each row's own `pool`"
    )
    tag: list[Tag] = Field(
        default_factory=list, max_length=MOST_TAGS, description="may be repeated: added to the tags of every row"
    )
    map: list[Pair] = Field(
        default_factory=list,
        max_length=MOST_PAIRS,
        description="`COLUMN=FIELD`, may be repeated: the field that a column of the file is; other columns are then "
        "read if they have the name of a field. `COLUMN=` leaves one out",
    )
    default: list[Pair] = Field(
        default_factory=list,
        max_length=MOST_PAIRS,
        description="`FIELD=VALUE`, may be repeated: for rows that lack the field",
    )
    percent: bool = Field(False, description="accuracies, differences and standard errors are in percent")


class FitQuery(PageQuery):
    """Which versions of the law are listed."""

    id_prefix: str | None = _id_prefix("fit")
    pool: str | None = _POOL


class EventQuery(Query):
    """Which events are listed, oldest first."""

    type: str | None = Field(None, max_length=64, description="such as `fit.drift`")
    subject: str | None = Field(None, max_length=64, description="the id of a fit, prediction, job, ...")
    after: str | None = None
    limit: int = 100


class ProblemQuery(Query):
    """Which problems of a task are listed, in the file's order."""

    split: Literal["train", "held_out"] | None = None
    after: str | None = Field(None, max_length=255, description="the page begins after the problem with this id")
    limit: int = Field(20, ge=1, le=100)


class ResidualQuery(PageQuery):
    """Which residuals of a fit are listed."""

    family: str | None = Field(None, min_length=1, max_length=600)
    outliers: bool = Field(False, description="only runs that probably do not follow the law")
    unusual: bool = Field(False, description="only runs far off the law, outliers among them")
