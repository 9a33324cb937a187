"""External runs: trained elsewhere, reported look by look, forecast after each, and stored at their end."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gapcast.contract.base import FieldError, Identified, Strict
from gapcast.contract.forecasts import Forecast, GivenLook, MeasuredGap, RunElsewhere
from gapcast.contract.labels import Labelled
from gapcast.contract.observations import MOST_LOOKS, ImprovementIn, Notes
from gapcast.contract.stopping import Ruling, StopRule

ExternalStatus = Literal["running", "succeeded", "stopped", "cancelled"]
"""`succeeded`: trained to its last step; `stopped`: ended before it; `cancelled`: ended without an observation."""


class ExternalRunRequest(Labelled, RunElsewhere):
    """A run that is about to be trained elsewhere, and when it should be stopped."""

    external_id: str | None = Field(
        None, min_length=1, max_length=255, description="your name of the run; sent again, it is the same run"
    )
    stop: StopRule | None = Field(None, description="null: the run is forecast, and no rule speaks")
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="of the run; draws the one stop in ten that is not carried out; null: its id"
    )


class ReportedLooks(Strict):
    """Looks to append to a run: one, or several in order of step. A look that is stored already changes nothing."""

    looks: list[GivenLook] = Field(min_length=1, max_length=MOST_LOOKS)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, body: Any) -> Any:  # noqa: ANN401
        if isinstance(body, dict) and "step" in body and "looks" not in body:
            return {"looks": [body]}
        return {"looks": body} if isinstance(body, list) else body


class RunEnd(Strict):
    """The end of a run; its last look is its outcome."""

    stopped: bool = Field(
        False, description="true: the run ended before its last step, and the estimate of its looks is stored"
    )
    gap: MeasuredGap | None = Field(None, description="null: the run's; an observation needs one")
    improvement: ImprovementIn | None = Field(
        None,
        description="at the last step, with its standard error over problems; null: the last look over the baseline, "
        "its error assumed from `evaluation`",
    )
    cov: float | None = Field(None, ge=-1, le=1, description="covariance of its sampling error with the gap's")
    collapsed: bool | None = Field(
        None, description="null: true if more than half of the baseline, and more than two standard errors, is lost"
    )
    provenance: Notes = Field(default_factory=dict, description="whatever else you want to keep with the observation")

    @model_validator(mode="after")
    def _a_stopped_run_has_no_outcome(self) -> Self:
        if self.stopped and self.improvement is not None:
            raise FieldError(
                "improvement", "belongs to a run that was trained to its last step. Leave it out, or stopped."
            )
        return self


class ExternalRunOut(Labelled, Identified):
    """A run that is trained elsewhere, as far as it was reported."""

    object: Literal["external_run"] = "external_run"
    status: ExternalStatus
    external_id: str | None
    request: ExternalRunRequest
    model: str
    task: str
    steps: int = Field(description="of the whole run")
    pool: str = Field(description="the pool of its observation")
    looks: list[GivenLook] = Field(description="in order of step")
    forecast: Forecast | None = Field(
        None, description="after the newest look; null: there is none yet, the run was cancelled, or this is a list"
    )
    ruling: Ruling | None = Field(
        None, description="what the stopping rule says after the newest look; null: the run has no rule, or no look"
    )
    announced: int | None = Field(None, description="the step of the first look at which the rule said to stop")
    observation_id: str | None = Field(None, description="null: the run has not ended, or was cancelled")
    created_at: str
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """True if it never changes again."""
        return self.status != "running"
