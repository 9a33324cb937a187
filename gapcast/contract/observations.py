"""An observation as people send it, and as the API shows it.

The same fields travel as JSON and as columns of a table: `gap.value` is the field `value` of `gap`.
"""

import json
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gapcast.contract.base import FieldError, Identified, PoolName, Strict
from gapcast.contract.contexts import ContextKind
from gapcast.contract.faults import shown
from gapcast.contract.labels import Labelled
from gapcast.contract.measured import mode_of
from gapcast.contract.recipes import RecipeClass, Teacher, counted_teacher

VarianceSource = Literal["given", "counts", "assumed"]
"""The source of a variance: sent; made from counts per problem, arms paired; or assumed from means, problems and
rollouts (docs/law.md)."""

LookSource = Literal["evaluation", "rollouts"]

MOST_PROVENANCE = 16_384
"""bytes of JSON"""

MOST_PROBLEMS = 100_000

MOST_LOOKS = 1001
"""evaluations of one run: a run that is trained here keeps a thousand and its end"""

MOST_DEPTH = 32
"""levels of nesting in notes"""

Notes = dict[str, Any]
"""Free JSON that people keep with a run, at most 16 KiB of it."""

Count = Annotated[float, Field(ge=0)]

Counts = Annotated[list[Count], Field(min_length=2, max_length=MOST_PROBLEMS)]

ProblemId = Annotated[str | int, Field(union_mode="left_to_right")]


class RowPart(Strict):
    """Part of a row as people send it: texts without outer spaces, and no true or false for a number."""

    model_config = ConfigDict(str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, values: Any) -> Any:  # noqa: ANN401
        for name, value in values.items() if isinstance(values, dict) else ():
            flags = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, bool)]
            if flags and name in cls.model_fields and not _takes_flags(cls.model_fields[name].annotation):
                raise FieldError(name, f"expected a number or a text, got {shown(flags[0])}.", flags[0])
        return values


def _takes_flags(annotation: Any) -> bool:  # noqa: ANN401
    return annotation is bool or bool in get_args(annotation)


class MeasuredIn(RowPart):
    """A difference of two accuracies: a value with its standard error, or what both can be made from."""

    arm_names: ClassVar[tuple[str, str]]
    """the two fields that hold counts: of the arm that is subtracted, and of the other one"""

    value: float | None = Field(None, ge=-1, le=1, description="a share: 0.1 is 10 accuracy points")
    se: float | None = Field(None, gt=0, le=1, description="standard error of `value` over problems, arms paired")
    problems: int | None = Field(None, ge=2, le=10_000_000)
    rollouts: int | None = Field(None, ge=1, le=100_000, description="per problem and arm")
    variance: VarianceSource | None = Field(None, description="the source of `se`; null: `given`")
    problem_ids: list[ProblemId] | None = Field(
        None, max_length=MOST_PROBLEMS, description="with counts: which problems they belong to"
    )
    thinking: bool | None = Field(
        None, description="true: measured in the chat template's thinking mode; null: not said, which counts as without"
    )

    @property
    def arms(self) -> tuple[list[float], list[float]] | None:
        """Counts per problem of the arm that is subtracted and of the other one."""
        first, second = (getattr(self, name) for name in self.arm_names)
        return None if first is None or second is None else (first, second)

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        names = self.arm_names
        counts = [name for name in names if getattr(self, name) is not None]
        if not counts:
            if self.problem_ids is not None:
                raise FieldError("problem_ids", "belong to counts per problem, and there are none. Leave them out.")
            if self.value is None:
                raise ValueError(
                    "expected value and se, or value with problems and rollouts, or counts per problem "
                    f"({names[0]}, {names[1]}) with rollouts, got none of them. Add one."
                )
            if self.se is None and (self.problems is None or self.rollouts is None):
                raise FieldError(
                    "se", "a value needs its standard error. Add se, or problems and rollouts to assume one from."
                )
            return self
        if len(counts) == 1:
            raise ValueError(
                f"expected counts of both {names[0]} and {names[1]}, got {counts[0]} alone. Add the other."
            )
        if self.value is not None or self.se is not None or self.problems is not None or self.variance is not None:
            raise ValueError("counts give value, se and problems already. Leave those out.")
        if self.rollouts is None:
            raise FieldError("rollouts", "counts need the number of rollouts per problem and arm. Add it.")
        self._check_counts(names)
        return self

    def _check_counts(self, names: tuple[str, str]) -> None:
        first, second = (getattr(self, name) for name in names)
        if len(first) != len(second):
            raise FieldError(names[1], f"expected {len(first)} problems as in {names[0]}, got {len(second)}.")
        for name, values in zip(names, (first, second), strict=True):
            for index, value in enumerate(values):
                if value > (self.rollouts or 0):
                    raise FieldError(
                        f"{name}.{index}", f"expected at most {self.rollouts}, the rollouts, got {shown(value)}.", value
                    )
        if self.problem_ids is not None:
            if len(self.problem_ids) != len(first):
                raise FieldError(
                    "problem_ids", f"expected {len(first)} ids, one a problem, got {len(self.problem_ids)}."
                )
            if len(set(self.problem_ids)) != len(self.problem_ids):
                raise FieldError("problem_ids", "contains one id twice. Each problem needs an id of its own.")


class GapIn(MeasuredIn):
    """Self-teacher accuracy minus student accuracy, weights frozen, before training."""

    arm_names: ClassVar[tuple[str, str]] = ("student", "self_teacher")

    student: Counts | None = Field(None, description="sum of each problem's scores without the context")
    self_teacher: Counts | None = Field(None, description="the same with the context")
    teacher_thinking: bool | None = Field(
        None,
        exclude_if=lambda mode: mode is None,
        description="the self-teacher's mode, where student, self-teacher and evaluation do not all have one mode; "
        "`thinking` is then the student's, and the improvement says its own. Such runs are a cell of their own",
    )


class ImprovementIn(MeasuredIn):
    """Student accuracy at the recipe's last step minus before, on the training problems, same decoding."""

    arm_names: ClassVar[tuple[str, str]] = ("before", "after")

    before: Counts | None = Field(None, description="sum of each problem's scores before training")
    after: Counts | None = Field(None, description="the same after the last step")


class HeldOutIn(MeasuredIn):
    """The improvement on held-out problems, same decoding."""

    arm_names: ClassVar[tuple[str, str]] = ("before", "after")

    baseline: float | None = Field(
        None, ge=0, le=1, description="student accuracy on them before training; null: that of the counts, if any"
    )
    before: Counts | None = Field(None, description="sum of each problem's scores before training")
    after: Counts | None = Field(None, description="the same after the last step")


class PastRecipe(RecipeClass, RowPart):
    """The recipe of a run that has ended; only what the law groups by must be known."""

    steps: int | None = Field(None, ge=1, le=1_000_000_000)
    learning_rate: float | None = Field(None, gt=0)
    problems_per_step: int | None = Field(None, ge=1, le=1_000_000)
    group_size: int | None = Field(None, ge=1, le=1_000_000)
    top_k: int | None = Field(None, ge=1, le=1_000_000_000)
    ema_rate: float | None = Field(None, gt=0, le=1)
    lora_rank: int | None = Field(None, ge=1, le=1_000_000, description="null: full fine-tuning")
    schedule: Literal["constant", "linear", "cosine"] | None = Field(
        None,
        description="the learning rate after the warm-up; null: constant",
        exclude_if=lambda schedule: schedule is None,  # rows from before there was the field say the same
    )

    @property
    def law_teacher(self) -> Teacher:
        """The teacher that the law counts the run under: `live` for an EMA that follows the student at once."""
        return counted_teacher(self.teacher, self.ema_rate)


class Look(RowPart):
    """One evaluation of a run while it was trained; shares (0.1 is 10 accuracy points).

    Under a constant learning rate it is the outcome of a run of that many steps. One of source `rollouts` is the mean
    of whole passes over the training problems, from the rollouts that the run was trained on; `step` is their mean.
    """

    step: int = Field(ge=1, le=1_000_000_000, description="optimizer steps done")
    improvement: float = Field(ge=-1, le=1, description="accuracy at this step minus before, on the training problems")
    se: float = Field(gt=0, le=1, description="standard error of `improvement`")
    cov: float = Field(0.0, ge=-1, le=1, description="covariance of its sampling error with the gap's")
    held_out: float | None = Field(None, ge=-1, le=1, description="the improvement on held-out problems")
    held_out_se: float | None = Field(None, gt=0, le=1, description="standard error of `held_out`")
    source: LookSource = Field(
        "evaluation",
        description="what was scored: fresh samples, or the run's own rollouts",
        exclude_if=lambda source: source == "evaluation",  # rows from before there was the field say the same
    )

    @model_validator(mode="after")
    def _held_out_with_its_error(self) -> Self:
        if (self.held_out is None) != (self.held_out_se is None):
            names = ("held_out_se", "held_out") if self.held_out_se is None else ("held_out", "held_out_se")
            raise FieldError(names[0], f"belongs to {names[1]}. Send both, or neither.")
        return self


class ObservationIn(Labelled, RowPart):
    """One past run: its gap before training and the improvement that came of it."""

    pool: PoolName | None = Field(None, description="null: `default`; `?pool=` of the request wins")
    external_id: str | None = Field(
        None, min_length=1, max_length=255, description="your name of the run; sent again, it is stored once"
    )
    family: str = Field(min_length=1, max_length=255, description="the law's group, such as `qwen3`")
    task: str = Field(min_length=1, max_length=255)
    model: str = Field(min_length=1, max_length=255)
    parameters: float | None = Field(None, ge=1, le=1e15, description="number of weights; for the slope by size")
    context_kind: ContextKind
    context: Notes | None = Field(None, description="the context's options, as you like to note them")
    context_name: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="your name of what the self-teacher was shown: runs with one name and kind were shown the same; "
        "null: `context` says it, if it has the kind's options",
    )
    recipe: PastRecipe | None = Field(None, description="null: the run is in no cell, and its teacher may have moved")
    version: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="version of the code, template and evaluation, which may have changed meanwhile; tested for drift",
    )
    baseline: float | None = Field(
        None, ge=0, le=1, description="student accuracy before training; may be left out with counts"
    )
    gap: GapIn
    gap_spread: float | None = Field(
        None, ge=-1, le=1, description="variance over problems of the true gap; null: from counts of several rollouts"
    )
    improvement: ImprovementIn | None = Field(None, description="null: known on held-out problems alone")
    held_out: HeldOutIn | None = Field(None, description="the improvement on held-out problems")
    training_problems: int | None = Field(
        None, ge=1, le=1_000_000_000, description="number of problems that were trained on"
    )
    cov: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="covariance of both sampling errors; null: from counts with problem_ids on both, else 0",
    )
    collapsed: bool | None = Field(
        None,
        description="true: the run is known to have collapsed; false: it is known not to. null: true if more than half "
        "of the baseline, and more than two standard errors, is lost",
    )
    curve: list[Look] | None = Field(
        None,
        max_length=MOST_LOOKS,
        description="the run's evaluations, in order of step; null: only its end is known",
    )
    stopped_at: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="the step that the run was stopped at before its last; `improvement` is then not its last value, "
        "but an estimate of its end that does not use the law, with that one's error. null: it was let finish",
    )
    prediction_id: str | None = Field(
        None, min_length=1, max_length=64, description="the prediction whose outcome this is; closes its calibration"
    )
    excluded: bool = False
    excluded_reason: str | None = Field(None, min_length=1, max_length=1000)
    source: str = Field("import", min_length=1, max_length=32)
    provenance: Notes = Field(default_factory=dict, description="whatever else you want to keep with it")

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.improvement is None and self.held_out is None:
            raise FieldError("improvement", "expected improvement, held_out or both, got neither. Add one.")
        counted = self.improvement is not None and self.improvement.before is not None
        if self.baseline is None and not counted and self.gap.student is None:
            raise FieldError(
                "baseline", "the student's accuracy before training is needed, since headroom is 1 - baseline. Add it."
            )
        if self.excluded != (self.excluded_reason is not None):
            advice = "Add it, or leave excluded out." if self.excluded else "Set excluded to true, or leave it out."
            raise FieldError("excluded_reason", f"belongs to an excluded row. {advice}")
        gain = self.improvement
        if self.cov is not None and gain is not None and self.gap.arms and gain.arms and gain.problem_ids:
            raise FieldError("cov", "counts with problem_ids give it already. Leave it out.", self.cov)
        self._check_modes()
        self._check_curve()
        for name in ("recipe", "context"):
            if name in self.provenance:
                raise FieldError(f"provenance.{name}", f"{name} is a field of the row itself. Move it there.")
        for name in ("provenance", "context"):
            _check_notes(name, getattr(self, name))
            try:
                size = len(json.dumps(getattr(self, name), allow_nan=False))
            except (TypeError, ValueError) as error:
                raise FieldError(name, f"expected JSON, got a value that JSON cannot write ({error}).") from None
            if size > MOST_PROVENANCE:
                raise FieldError(name, f"expected at most {MOST_PROVENANCE} bytes of JSON, got {size}.")
        return self

    @property
    def thinking(self) -> bool | None:
        """The mode that the improvements, and the gap where all is one mode, were measured in; None: not said."""
        modes = self._modes()
        if self.gap.teacher_thinking is not None:  # its own part says how the gap was measured
            modes.pop("gap", None)
        return next(iter(modes.values()), None)

    @property
    def mode(self) -> str | None:
        """The modes of both axes in one word (`mode_of`)."""
        teacher = self.gap.teacher_thinking
        if teacher is None:
            return mode_of(*[bool(self.thinking)] * 3)
        return mode_of(bool(self.gap.thinking), teacher, bool(self.thinking))

    def _modes(self) -> dict[str, bool]:
        parts = {"gap": self.gap, "improvement": self.improvement, "held_out": self.held_out}
        return {name: part.thinking for name, part in parts.items() if part is not None and part.thinking is not None}

    def _check_modes(self) -> None:
        modes = self._modes()
        if self.gap.teacher_thinking is not None:
            missing = next((name for name in ("gap", "improvement") if getattr(self, name) and name not in modes), None)
            if missing is not None:
                message = "expected true or false beside gap.teacher_thinking, got nothing. Say each mode."
                raise FieldError(f"{missing}.thinking", message)
            modes.pop("gap", None)  # a set-up whose modes differ is a cell of its own
        for name, mode in modes.items():
            if mode != self.thinking:
                message = (
                    f"expected {shown(self.thinking)}, as {next(iter(modes))}.thinking, got {shown(mode)}. A gap in "
                    "one decoding mode does not predict an improvement in another. Measure both in one mode."
                )
                raise FieldError(f"{name}.thinking", message, mode)

    def _check_curve(self) -> None:
        steps = self.recipe.steps if self.recipe is not None else None
        last = dict.fromkeys(get_args(LookSource), 0)
        for index, look in enumerate(self.curve or ()):
            if look.step <= last[look.source]:
                message = (
                    f"expected a step after {last[look.source]}, that of the look before, got {look.step}. Sort the "
                    "looks."
                )
                raise FieldError(f"curve.{index}.step", message, look.step)
            last[look.source] = look.step
            if steps is not None and look.step > steps:
                message = f"expected at most {steps}, the steps of the run (recipe.steps), got {look.step}."
                raise FieldError(f"curve.{index}.step", message, look.step)
        if self.stopped_at is not None and (steps is None or self.stopped_at >= steps):
            expected = "recipe.steps, the steps that the run was to have" if steps is None else f"a step before {steps}"
            message = f"expected {expected}, got {'nothing' if steps is None else self.stopped_at}. "
            advice = "Add recipe.steps." if steps is None else "Leave stopped_at out of a run that was let finish."
            raise FieldError("stopped_at", message + advice, self.stopped_at)


def _check_notes(name: str, notes: Any, depth: int = 0) -> None:  # noqa: ANN401
    """Refuse what could be stored and not be read again.

    Raises:
        FieldError: nested too deeply, or a text that databases or JSON cannot say.
    """
    if depth > MOST_DEPTH:
        raise FieldError(name, f"expected at most {MOST_DEPTH} levels of nesting, got more.")
    if isinstance(notes, str):
        if "\x00" in notes or (not notes.isascii() and any("\ud800" <= one <= "\udfff" for one in notes)):
            raise FieldError(
                name, "expected texts without NUL and half surrogate pairs, got one with them. Leave them out.", notes
            )
    elif isinstance(notes, dict):
        for key, value in notes.items():
            _check_notes(name, key, depth + 1)
            _check_notes(name, value, depth + 1)
    elif isinstance(notes, list):
        for value in notes:
            _check_notes(name, value, depth + 1)


class BatchIn(BaseModel):
    """The JSON body of POST /v1/observations."""

    observations: list[ObservationIn]


class RowWarning(BaseModel):
    """Something to know about rows that were stored nevertheless."""

    code: Literal[
        "equal_row",
        "stored_differently",
        "assumed_variance",
        "unknown_covariance",
        "unknown_prediction",
        "marked_collapsed",
        "looks_like_shares",
    ]
    message: str
    rows: list[int] = Field(description="the first 20 rows that it is about, counted from 1; empty: the file")


class BatchOut(BaseModel):
    """The outcome of a batch."""

    object: Literal["observation_batch"] = "observation_batch"
    created: int
    existing: int = Field(description="rows whose external_id was stored already with the same content")
    ids: list[str] = Field(description="one a row, in the rows' order")
    pools: list[str] = Field(description="the pools that have changed; their laws are being refitted")
    variance: dict[str, dict[str, int]] = Field(
        description="for gap and improvement: rows by where their se comes from"
    )
    warnings: list[RowWarning]
    unused: list[str] = Field(default_factory=list, description="columns that were not read, at most 50 of them")


class ObservationPatch(Strict):
    """Exclude an observation from its pool's fits, take it back, or name the prediction whose outcome it is."""

    excluded: bool | None = None
    reason: str | None = Field(None, min_length=1, max_length=1000)
    prediction_id: str | None = Field(None, min_length=1, max_length=64, description="only where it has none yet")

    @model_validator(mode="after")
    def _reason(self) -> Self:
        if self.excluded is None and self.prediction_id is None:
            raise FieldError(
                "excluded", "expected excluded (true with a reason, or false) or prediction_id, got neither. Add one."
            )
        if self.excluded and self.reason is None:
            raise FieldError(
                "reason", "expected the reason of the exclusion, got nothing. Add it; it is kept with the observation."
            )
        return self


class Measured(BaseModel):
    """A measured difference of accuracies and its standard error, both as shares (0.1 = 10 accuracy points)."""

    value: float
    se: float
    problems: int | None = None
    rollouts: int | None = None
    variance: VarianceSource = Field("given", description="the source of `se`")
    thinking: bool | None = Field(None, description="true: measured in thinking mode; null: not said")
    teacher_thinking: bool | None = Field(
        None, exclude_if=lambda mode: mode is None, description="of a gap: the self-teacher's mode, where modes differ"
    )


class MeasuredHeldOut(Measured):
    """The improvement on held-out problems."""

    baseline: float | None = None


class ObservationOut(Labelled, Identified):
    """One (gap, improvement) pair with its provenance."""

    object: Literal["observation"] = "observation"
    pool: str
    external_id: str | None
    family: str
    task: str
    cell: str | None
    model: str
    parameters: float | None
    context_kind: str
    context: Notes | None
    context_name: str | None = None
    recipe: Notes | None
    version: str | None
    baseline: float | None = Field(description="student accuracy before training, a share in [0, 1]")
    gap: Measured
    gap_spread: float | None = None
    improvement: Measured | None = Field(description="on the training problems; null: known on held-out ones alone")
    held_out: MeasuredHeldOut | None = None
    cov: float
    collapsed: bool
    training_problems: int | None = None
    curve: list[Look] | None = Field(None, description="the run's evaluations; null: only its end is known")
    stopped_at: int | None = Field(None, description="the step that the run was stopped at; null: it was let finish")
    prediction_id: str | None
    excluded: bool
    excluded_reason: str | None
    source: str
    provenance: Notes
    created_at: str


class PoolIn(Strict):
    """A pool to make, or to change what it borrows."""

    name: PoolName
    borrow: list[PoolName] = Field(
        default_factory=list,
        max_length=16,
        description="pools whose families stand beside its own in the law, for cold starts; a family that the pool has "
        "runs of keeps those alone",
    )


class PoolOut(BaseModel):
    """A named set of observations that are fitted together."""

    object: Literal["pool"] = "pool"
    name: str
    observations: int = Field(description="stored rows, excluded ones too")
    borrow: list[str] = Field(description="pools whose families stand beside its own in the law, for cold starts")
    read_only: bool = Field(description="it ships with Gapcast and takes no rows")
    changes: int = Field(description="imports and exclusions so far, those of pools that it borrows among them")
    fit_id: str | None = Field(description="the newest fit; GET /v1/fits/current makes one that is due")
    behind: int = Field(description="changes that the newest fit does not know")
    created_at: str
