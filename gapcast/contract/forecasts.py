"""Forecasts: where a run that has begun will end, from what was predicted and from its evaluations so far."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from gapcast.contract.base import FieldError, Finite, PoolName, Strict
from gapcast.contract.contexts import Context
from gapcast.contract.measured import Decoding, NamedModel
from gapcast.contract.observations import MOST_LOOKS
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainedProblems

Accuracy = Annotated[float, Field(ge=0, le=1)]
StandardError = Annotated[float, Field(gt=0, le=1)]


class GivenBaseline(Strict):
    """The student before training, on the problems of the looks; shares (0.1 = 10 accuracy points)."""

    accuracy: Accuracy
    se: StandardError = Field(
        description="standard error of `accuracy` over its rollouts, the problems taken as they are"
    )


class GivenLook(Strict):
    """One evaluation of a run that is trained elsewhere."""

    step: int = Field(ge=1, le=1_000_000_000, description="optimizer steps done")
    value: Accuracy = Field(description="accuracy at this step, on the baseline's problems; a share")
    se: StandardError = Field(description="standard error of `value` over its rollouts")


class MeasuredGap(Strict):
    """A gap that was measured before training; shares."""

    value: float = Field(ge=-1, le=1, description="self-teacher accuracy minus student accuracy")
    se: float = Field(gt=0, le=1, description="standard error of the gap")


class ForecastRequest(Strict):
    """A run that is trained elsewhere: a prediction's configuration or one that is sent, and its looks so far."""

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
    looks: list[GivenLook] = Field(min_length=1, max_length=MOST_LOOKS, description="in order of step")
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
        last = 0
        for index, look in enumerate(self.looks):
            if look.step <= last:
                message = f"expected a step after {last}, that of the look before, got {look.step}. Sort the looks."
                raise FieldError(f"looks.{index}.step", message, look.step)
            last = look.step
        if self.prediction_id is None:
            self.check_steps((self.recipe or Recipe()).steps)
        return self

    def check_steps(self, steps: int) -> None:
        """Refuse a look beyond the run's last step.

        Raises:
            FieldError: names the first such look.
        """
        for index, look in enumerate(self.looks):
            if look.step > steps:
                message = f"expected at most {steps}, the steps of the run (recipe.steps), got {look.step}."
                raise FieldError(f"looks.{index}.step", message, look.step)


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
    run_id: str | None = Field(description="null: the run is trained elsewhere")
    steps: int = Field(description="of the whole run")
    baseline: float = Field(description="student accuracy before training")
    min_gain: float
    before: PredictedBefore
    curves: KnownCurves
    now: ForecastAt = Field(description="after the newest look")
    looks: list[ForecastAt] = Field(description="in order of step; at most 64, evenly spaced, the newest among them")
    pool: str
    fit_id: str | None = Field(description="the law that speaks; null: no fit is older than the run's end")
