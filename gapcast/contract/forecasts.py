"""Forecasts: where a run that has begun will end, from what was predicted and from its evaluations so far."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from gapcast.contract.base import FieldError, Finite, JsonObject, PoolName, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.faults import shown
from gapcast.contract.measured import Decoding, NamedModel
from gapcast.contract.observations import MOST_LOOKS
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedProblems

Accuracy = Annotated[float, Field(ge=0, le=1)]
StandardError = Annotated[float, Field(gt=0, le=1)]
Fingerprint = Annotated[str, Field(min_length=1, max_length=128)]

NO_ERROR = (
    "expected a standard error over rollouts, got nothing. Add it, or send evaluation.problems and evaluation.rollouts "
    "to assume one from."
)


class GivenBaseline(Strict):
    """The student before training, on the problems of the looks; shares (0.1 = 10 accuracy points)."""

    accuracy: Accuracy
    se: StandardError | None = Field(
        None,
        description="standard error of `accuracy` over its rollouts, the problems taken as they are; null: assumed "
        "from `evaluation`",
    )


class GivenLook(Strict):
    """One evaluation of a run that is trained elsewhere."""

    step: int = Field(ge=1, le=1_000_000_000, description="optimizer steps done")
    value: Accuracy = Field(description="accuracy at this step, on the baseline's problems; a share")
    se: StandardError | None = Field(
        None, description="standard error of `value` over its rollouts; null: assumed from `evaluation`"
    )
    problems: int | None = Field(
        None, ge=2, le=10_000_000, description="that it was measured on; null: as many as in `evaluation`"
    )
    fingerprint: Fingerprint | None = Field(
        None, description="of the problems that it was measured on; null: that of `evaluation`"
    )


class Evaluated(Strict):
    """The problems that the baseline and every look are measured on: the same ones in all of them."""

    problems: int | None = Field(None, ge=2, le=10_000_000)
    rollouts: int | None = Field(None, ge=1, le=100_000, description="per problem")
    fingerprint: Fingerprint | None = Field(
        None, description="names these problems, such as a hash of their ids: a look with another one is refused"
    )


class MeasuredGap(Strict):
    """A gap that was measured before training; shares."""

    value: float = Field(ge=-1, le=1, description="self-teacher accuracy minus student accuracy")
    se: float = Field(gt=0, le=1, description="standard error of the gap")


class RunElsewhere(Strict):
    """A run that is trained elsewhere: a prediction's configuration or one that is sent, and its baseline."""

    prediction_id: str | None = Field(
        None, min_length=1, max_length=64, description="the answered prediction whose configuration is trained"
    )
    model: NamedModel | None = None
    task: str | None = Field(None, min_length=1, max_length=255)
    context: Context | None = None
    recipe: Recipe | None = Field(None, description="null: the default recipe")
    decoding: Decoding | None = Field(None, description="null: the default decoding")
    training: TrainedProblems | None = Field(None, description="the problems that the run trains on")
    gap: MeasuredGap | None = Field(
        None, description="null: the prediction's; without one the pool's typical gap stands for it"
    )
    pool: PoolName | None = Field(
        None, description="the observations to forecast from; null: `lab` for the lab's models, `default` for others"
    )
    baseline: GivenBaseline
    evaluation: Evaluated = Field(default_factory=Evaluated)
    min_gain: float | None = Field(None, ge=-1, le=1, description="null: the prediction's, else 0")

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if self.prediction_id is not None:
            for name in ("model", "task", "context", "recipe", "decoding", "training", "gap", "pool"):
                if getattr(self, name) is not None:
                    raise FieldError(name, "comes from the prediction. Send one of the two.")
        for name in ("model", "task", "context") if self.prediction_id is None else ():
            if getattr(self, name) is None:
                raise FieldError(
                    name, "expected a value, got nothing. Add it, or name the run's prediction in prediction_id."
                )
        if self.gap is not None and not -1e-9 <= self.baseline.accuracy + self.gap.value <= 1 + 1e-9:
            teacher = self.baseline.accuracy + self.gap.value
            message = (
                f"expected baseline.accuracy + gap.value, the self-teacher's accuracy, from 0 to 1, got {teacher:.4g}."
            )
            raise FieldError("gap.value", message, self.gap.value)
        if self.baseline.se is None and not self.assumes_errors:
            raise FieldError("baseline.se", NO_ERROR)
        return self

    @property
    def assumes_errors(self) -> bool:
        """True if a standard error that is not sent can be assumed."""
        return self.evaluation.problems is not None and self.evaluation.rollouts is not None

    def check_looks(self, looks: Sequence[GivenLook], before: Sequence[GivenLook] = (), first: int = 0) -> None:
        """Refuse looks that are out of order, without a standard error, or on other problems.

        Args:
            looks: of the run.
            before: the run's looks that they come after.
            first: the index by which a fault names the first of `looks`.

        Raises:
            FieldError: names the first such look.
        """
        last = before[-1].step if before else 0
        for index, look in enumerate(looks, start=first):
            if look.step <= last:
                message = f"expected a step after {last}, that of the look before, got {look.step}. Sort the looks."
                raise FieldError(f"looks.{index}.step", message, look.step)
            last = look.step
            if look.se is None and not self.assumes_errors:
                raise FieldError(f"looks.{index}.se", NO_ERROR)
        for name in ("problems", "fingerprint"):
            known = next((one for part in (self.evaluation, *before) if (one := getattr(part, name)) is not None), None)
            for index, look in enumerate(looks, start=first):
                sent = getattr(look, name)
                known = sent if known is None else known
                if sent not in {None, known}:
                    message = (
                        f"expected {shown(known)}, as before, got {shown(sent)}. A curve is of one set of problems: "
                        "evaluate on those of the baseline, or measure the baseline anew and start another run."
                    )
                    raise FieldError(f"looks.{index}.{name}", message, sent)

    @staticmethod
    def check_steps(looks: Sequence[GivenLook], steps: int, first: int = 0) -> None:
        """Refuse a look beyond the run's last step; a fault names the first look by the index `first`.

        Raises:
            FieldError: names the first such look.
        """
        for index, look in enumerate(looks, start=first):
            if look.step > steps:
                message = f"expected at most {steps}, the steps of the run (recipe.steps), got {look.step}."
                raise FieldError(f"looks.{index}.step", message, look.step)


class ForecastRequest(RunElsewhere):
    """A run that is trained elsewhere and its looks so far."""

    looks: list[GivenLook] = Field(min_length=1, max_length=MOST_LOOKS, description="in order of step")

    @model_validator(mode="after")
    def _looks_fit(self) -> Self:
        self.check_looks(self.looks)
        if self.prediction_id is None:
            self.check_steps(self.looks, (self.recipe or Recipe()).steps)
        return self


class ForecastAt(Finite):
    """A run's measured improvement at its last step, as it is expected after one of its looks."""

    step: int
    share: float = Field(description="of the run's steps that are done")
    improvement: Difference = Field(description="measured at this look")
    expected: float = Field(description="the improvement at the last step")
    intervals: list[Interval] = Field(description="of 80 and 95 %, as the end will be measured")
    p_above_min_gain: float = Field(description="probability of an improvement above `min_gain` at the last step")
    without_law: Difference = Field(
        description="the end as the looks and the curves of finished runs alone show it, and its standard deviation"
    )


class PredictedBefore(Finite):
    """The prediction before the first look; value and intervals are null and empty where the law refused."""

    prediction_id: str | None = Field(description="null: the run has no prediction, and the law answered for its gap")
    value: float | None
    intervals: list[Interval]


class KnownCurves(BaseModel):
    """The finished runs of this run's cell, tuning, schedule and length whose curves are stored."""

    runs: int
    cold: bool = Field(
        description="true: fewer than 3 are, so nothing is known of what such runs do after their early gain"
    )


class Forecast(Finite):
    """The expected end of a run, now and after each look so far."""

    object: Literal["forecast"] = "forecast"
    run_id: str | None = Field(
        description="of a run that is trained here, or of an external run; null: nothing of it is stored"
    )
    steps: int = Field(description="of the whole run")
    baseline: float = Field(description="student accuracy before training")
    min_gain: float
    before: PredictedBefore
    curves: KnownCurves
    now: ForecastAt = Field(description="after the newest look")
    looks: list[ForecastAt] = Field(description="in order of step; at most 64, evenly spaced, the newest among them")
    pool: str
    fit_id: str | None = Field(description="the law that speaks; null: no fit is older than the run's end")


class AppliedRule(Finite):
    """The rule that stops a run which will not be worth it: p_above_min_gain below a threshold."""

    min_gain: float
    threshold: float = Field(description="of `p_above_min_gain`, at looks from 5 to 75 % of the steps")
    learnt: bool = Field(description="true: from the good runs that are stored; false: it is `alpha`")
    good_runs: int = Field(description="finished runs of the pool, with curves, that gained more than `min_gain`")
    error: float | None = Field(
        description="share of good runs, like those, that a learnt threshold stops at most; null: nothing is learnt"
    )
    alpha: float = Field(description="the threshold where none can be learnt")
    cold: bool = Field(description="true: it may stop a run of a cold cell, too")


class ForecastGiven(BaseModel):
    """All that a worker's child needs to forecast its run: it has no database.

    `service.law.curve.Grounds` writes and reads `grounds`.
    """

    grounds: JsonObject
    steps: int
    min_gain: float
    predicted: PredictedBefore | None = Field(description="null: nothing was predicted of the run")
    pool: str
    fit_id: str | None
    rule: AppliedRule | None = Field(description="null: the run is not to be stopped")
