"""A fit and what is derived from it, as the API shows them; accuracies, gaps and improvements are shares."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.catalog.strict import Strict
from service.fits import service
from service.fits.models import Fit
from service.fits.summary import DRIFT_ALARM
from service.kit.clock import rfc3339
from service.kit.pagination import Identified
from service.observations.schemas import PoolName


class FitRequest(Strict):
    """Which pool is to be fitted now."""

    pool: PoolName = "default"


class Coefficients(BaseModel):
    """A family's line: mean and 95 % confidence interval of slope and intercept."""

    family: str
    status: Literal["prior_only", "cold", "sparse", "fitted"]
    n: int = Field(description="observations, those known as collapsed left out")
    slope: float
    slope_interval: list[float]
    intercept: float
    intercept_interval: list[float]


class Drift(BaseModel):
    """Whether a family's versions (an observation's `version`) look like families of their own."""

    family: str
    log_bayes_factor: float = Field(description="above 3 is an alarm")
    alarm: bool
    versions: dict[str, int] = Field(description="observations by version; an empty name: none was sent")


class FitOut(Identified):
    """One immutable version of the law over one pool."""

    object: Literal["fit"] = "fit"
    pool: str
    n: int = Field(description="observations that it was made of")
    changes: int = Field(description="the pool's change that it was made at; each import or exclusion is one")
    fingerprint: str
    families: list[Coefficients]
    population: Coefficients
    p_collapse: float
    curvature_p: float | None = Field(description="one-sided test that improvements bend down; null: too few points")
    drift: list[Drift] | None = Field(
        description="families with several versions; null: not tested, in a pool of over 5,000 observations"
    )
    created_at: str


class CurrentFit(FitOut):
    """The newest version of a pool's law."""

    behind: int = Field(description="changes of the pool that it does not know yet; a newer version is being made")


def fit_out(fit: Fit) -> FitOut:
    """Show a stored fit."""
    law = service.law_of(fit)

    def line(family: str, n: int) -> Coefficients:
        found = law.coefficients(family)
        return Coefficients(
            family=family,
            status=law.status(family),
            n=n,
            slope=float(found.slope[0]),
            slope_interval=[float(found.slope[1]), float(found.slope[2])],
            intercept=float(found.intercept[0]),
            intercept_interval=[float(found.intercept[1]), float(found.intercept[2])],
        )

    drift = (fit.summary or {}).get("drift")
    return FitOut(
        id=fit.id,
        pool=fit.pool,
        n=fit.n,
        changes=fit.changes,
        fingerprint=fit.fingerprint,
        families=[line(name, n) for name, n in law.families_.items()],
        population=line("", 0),
        p_collapse=law.p_collapse_,
        curvature_p=law.curvature_ if law.curvature_ == law.curvature_ else None,
        drift=None
        if drift is None
        else [
            Drift(family=name, alarm=found["log_bayes_factor"] > DRIFT_ALARM, **found) for name, found in drift.items()
        ],
        created_at=rfc3339(fit.created_at),
    )


class FitSummary(Identified):
    """A fit in a list."""

    object: Literal["fit"] = "fit"
    pool: str
    n: int
    changes: int
    fingerprint: str
    created_at: str


def fit_summary(fit: Fit) -> FitSummary:
    """Show a stored fit without its coefficients, which need its record."""
    return FitSummary(
        id=fit.id,
        pool=fit.pool,
        n=fit.n,
        changes=fit.changes,
        fingerprint=fit.fingerprint,
        created_at=rfc3339(fit.created_at),
    )


class Finite(BaseModel):
    """Part of an answer without infinity and NaN, which JSON cannot say."""

    model_config = ConfigDict(allow_inf_nan=False)


class Curve(Finite):
    """A family's law over a grid of true gaps: lists of equal length."""

    object: Literal["curve"] = "curve"
    family: str
    cell: str | None
    level: float
    measurement_se: float = Field(
        description="noise of the improvement that the prediction band is for; 0: the latent improvement"
    )
    gap: list[float]
    mean: list[float]
    confidence_lower: list[float] = Field(description="where the line itself lies")
    confidence_upper: list[float]
    prediction_lower: list[float] = Field(description="where the improvement of one run with this gap lies")
    prediction_upper: list[float]


class Residual(Finite, Identified):
    """One observation against what the other rows say of it."""

    object: Literal["residual"] = "residual"
    family: str
    cell: str | None
    model: str
    context_kind: str
    gap: float
    improvement: float
    expected: float = Field(description="what the other rows predict")
    residual: float = Field(description="improvement - expected")
    standardized: float = Field(description="in its own standard deviations")
    leverage: float = Field(description="share of the row in its own fitted value")
    influence: float = Field(
        description="how far the row moves its family's slope, in the slope's posterior standard deviations"
    )
    weight: float = Field(description="probability that the run did not collapse")
    outlier: bool = Field(description="weight < 0.5")


class Group(Finite):
    """The residuals of one context kind or model, runs that probably collapsed left out."""

    name: str
    n: int
    mean_residual: float
    z: float = Field(
        description="sum of standardized residuals / sqrt(n): beyond 2 or 3 the group may have a law of its own"
    )


class Residuals(Finite):
    """One page of residuals, and what all of them say."""

    object: Literal["list"] = "list"
    fit_id: str
    data: list[Residual]
    first_id: str | None
    last_id: str | None
    has_more: bool
    outliers: int
    curvature_p: float | None
    context_kinds: list[Group]
    models: list[Group]


class SizeSlope(Finite):
    """The slope of one model size, by itself, with a 95 % confidence interval."""

    parameters: float
    n: int
    slope: float
    se: float
    lower: float
    upper: float


class Trend(Finite):
    """Change of the slope for ten times the parameters, with a 95 % confidence interval."""

    per_tenfold: float
    se: float
    lower: float
    upper: float


class Homogeneity(Finite):
    """Cochran's Q of the sizes' slopes."""

    q: float
    freedom: int
    p_value: float = Field(description="small: the sizes of this family do not share one slope")


class FamilyScaling(Finite):
    """A family's slopes by size."""

    family: str
    sizes: list[SizeSlope]
    trend: Trend | None
    homogeneity: Homogeneity | None


class Scaling(Finite):
    """Slope against model size; families without a size of 3 usable points are left out."""

    object: Literal["scaling"] = "scaling"
    fit_id: str
    without_parameters: int = Field(description="observations whose model has no known number of parameters")
    families: list[FamilyScaling]


class LevelCalibration(Finite):
    """How often the interval of one level held the outcome."""

    level: float
    coverage: float
    lower: float = Field(description="95 % interval of the coverage, outcomes taken as independent")
    upper: float
    width: float = Field(description="mean width of the intervals: their sharpness")


class Outcome(Finite):
    """One prediction and its outcome."""

    observation_id: str
    prediction_id: str
    fit_id: str = Field(description="the fit that the prediction was made under")
    at: str
    predicted: float
    outcome: float
    pit: float = Field(description="the predictive probability of less than the outcome; uniform when calibrated")
    inside: list[bool] = Field(description="by level")
    coverage_so_far: list[float] = Field(description="by level, over this outcome and all before it")


class Calibration(Finite):
    """How past predictions turned out; figures are null while there is no outcome."""

    object: Literal["calibration"] = "calibration"
    fit_id: str
    n: int = Field(description="outcomes")
    predictions: int = Field(description="predictions behind them: seeds of one configuration share one")
    left_out: dict[str, int] = Field(description="outcomes that do not count, by reason")
    bias: float | None = Field(description="mean of outcome - predicted")
    bias_se: float | None
    mae: float | None
    mean_pit: float | None
    pit_histogram: list[int] = Field(description="10 bins from 0 to 1")
    levels: list[LevelCalibration]
    outcomes: list[Outcome] = Field(description="the newest 1000, oldest first")
