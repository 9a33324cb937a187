"""A fit and what is derived from it; accuracies, gaps and improvements are shares."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from gapcast.contract.base import Finite, Identified, PoolName, Strict
from gapcast.contract.recipes import Divergence


class FitRequest(Strict):
    """The pool that is to be fitted now."""

    pool: PoolName = "default"


class Rule(StrEnum):
    """How the teacher relates to the student while it trains."""

    FROZEN = "frozen"
    CO_MOVING = "co_moving"
    LIVE = "live"


class OfRecipe(BaseModel):
    """The runs that a law is of: no strength is borrowed between a teacher that moves and one that does not."""

    teacher_rule: Rule = Field(
        description="`frozen` (teachers `frozen` and `trust_region`), `co_moving` (`ema`, or unknown) or `live` "
        "(`live`, and `ema` with a rate of 0.5 or more)"
    )
    divergence: Divergence | None = Field(description="null: unknown")


class LinkWeights(BaseModel):
    """Probability that improvements follow the gap straight on, or saturate at the headroom in one of two ways."""

    linear: float
    tanh: float
    exp: float

    @property
    def saturating(self) -> float:
        """Probability that they saturate."""
        return self.tanh + self.exp


class AtGap(BaseModel):
    """The improvement at one gap, without the spread of single runs: what families can be compared by."""

    gap: float
    improvement: float
    improvement_interval: list[float]


class Curved(BaseModel):
    """A family's curve in numbers, with 95 % confidence intervals."""

    slope: float = Field(description="at gap 0")
    slope_interval: list[float]
    intercept: float = Field(description="the improvement at gap 0")
    intercept_interval: list[float]
    links: LinkWeights
    depends_on_link: bool = Field(
        description="no link has more than .95, and the slope at 0 depends on it: compare `at_common_gap`"
    )

    @property
    def straight(self) -> bool:
        """True if it is a line, of which slope and intercept say all."""
        return not self.depends_on_link and self.links.linear > self.links.saturating


class Compared(Curved):
    """A curve, and what it can be compared by where the slope depends on the link."""

    at_common_gap: AtGap


class Coefficients(OfRecipe, Compared):
    """The law of one family's runs under one teacher rule and divergence."""

    family: str
    status: Literal["prior_only", "cold", "sparse", "fitted"]
    n: int = Field(description="observations, those known as collapsed left out")


class CellCoefficients(Coefficients):
    """The law of one cell's runs; those of a cell that were tuned otherwise than most are a cell of their own."""

    cell: str = Field(description="family|task|recipe class, and the tuning where it is not that of most runs")


class Drift(BaseModel):
    """The test if a family's versions (an observation's `version`) look like families of their own."""

    family: str
    log_bayes_factor: float = Field(description="above 3 is an alarm")
    alarm: bool
    versions: dict[str, int] = Field(description="observations by version; an empty name: none was sent")


class LentPool(BaseModel):
    """A pool that lent its families to a fit."""

    pool: str
    changes: int = Field(description="the lent pool's change at which its rows were read")
    hash: str = Field(description="of the law's version and those rows")
    fit_id: str | None = Field(description="the lent pool's own fit of that change; null: there was none yet")


class Borrowed(BaseModel):
    """Families of other pools that stand beside a fit's own ones, for cold starts."""

    pools: list[LentPool]
    families: dict[str, int] = Field(description="observations of each lent family; they count nowhere else")
    own_rows_only: list[str] = Field(
        description="families that were not lent, because the pool has runs of the same name"
    )


class FitOut(Identified):
    """One immutable version of the law over one pool."""

    object: Literal["fit"] = "fit"
    pool: str
    n: int = Field(description="observations that it was made of")
    changes: int = Field(description="the pool's change that it was made at; each import or exclusion is one")
    fingerprint: str
    families: list[Coefficients] = Field(description="one for each teacher rule and divergence of a family's runs")
    cells: list[CellCoefficients] = Field(
        default_factory=list,
        description="one for each cell, as predictions use it; empty for a pool of more than 200 cells",
    )
    populations: list[Coefficients] = Field(description="the law expected of a new family, likewise")
    p_collapse: float
    curvature_p: float | None = Field(
        description="one-sided test that a straight law bends down; null: too few points, or none is straight"
    )
    drift: list[Drift] | None = Field(
        description="families with several versions; null: not tested, in a pool of over 5,000 observations"
    )
    borrowed: Borrowed | None = Field(None, description="null: the pool borrowed nothing")
    created_at: str


class CurrentFit(FitOut):
    """The newest version of a pool's law."""

    behind: int = Field(description="changes of the pool that it does not know yet; a newer version is being made")


class FitSummary(Identified):
    """A fit in a list."""

    object: Literal["fit"] = "fit"
    pool: str
    n: int
    changes: int
    fingerprint: str
    created_at: str


class Curve(OfRecipe, Finite):
    """A family's law over a grid of true gaps: lists of equal length."""

    object: Literal["curve"] = "curve"
    family: str
    cell: str | None
    baseline: float = Field(description="student accuracy that the curve is drawn for: it bends towards 1 - baseline")
    links: LinkWeights
    level: float
    measurement_se: float = Field(
        description="noise of the improvement that the prediction band is for; 0: the latent improvement"
    )
    gap: list[float]
    mean: list[float]
    confidence_lower: list[float] = Field(description="lower bound of the line itself")
    confidence_upper: list[float]
    prediction_lower: list[float] = Field(description="lower bound of the improvement of one run with this gap")
    prediction_upper: list[float]


class Residual(Finite, Identified):
    """One observation against what the other rows say of it."""

    object: Literal["residual"] = "residual"
    external_id: str | None = Field(None, description="your own id of the run")
    name: str | None = Field(None, description="your name of the run")
    family: str
    cell: str | None
    model: str
    context_kind: str
    gap: float
    improvement: float
    expected: float = Field(description="the improvement that the other rows predict")
    residual: float = Field(description="improvement - expected")
    standardized: float = Field(description="in its own standard deviations")
    leverage: float = Field(description="share of the row in its own fitted value")
    influence: float = Field(
        description="how far the row moves its family's slope, in the slope's posterior standard deviations"
    )
    weight: float = Field(description="probability that the run did not collapse")
    outlier: bool = Field(description="weight < 0.5")
    unusual: bool = Field(
        False, description="outlier, or 2.8 of its standard deviations off the law: one of 200 runs is by chance"
    )


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
    unusual: int = 0
    curvature_p: float | None
    context_kinds: list[Group]
    models: list[Group]


class ContextEffect(OfRecipe, Finite):
    """How far the runs of a context end from the line, beside what their gap says."""

    family: str
    cell: str | None
    context: str = Field(description="key of what the self-teacher was shown: its kind, its options, its template")
    model: str | None = Field(description="null: of the context as a whole")
    n: int = Field(description="stored runs, collapsed ones left out")
    effect: float = Field(description="a share: 0.05 is 5 accuracy points more than the gap says")
    effect_interval: list[float] = Field(description="95 % confidence")


class ContextSpread(OfRecipe, Finite):
    """How much contexts of one gap differ under a teacher rule and divergence."""

    contexts_sd: float = Field(description="standard deviation, a share; 0: no two runs share a context")
    contexts_sd_interval: list[float] = Field(description="95 % confidence")


class ContextEffects(Finite):
    """The effects of the contexts that a version of the law has runs of."""

    object: Literal["list"] = "list"
    fit_id: str
    spread: list[ContextSpread]
    data: list[ContextEffect]


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


class FamilyScaling(OfRecipe, Finite):
    """A family's slopes by size."""

    family: str
    linear_weight: float = Field(description="probability that improvements follow the gap straight on, as slopes say")
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


class ForecastCalibration(Finite):
    """How often forecasts held the end of finished runs, after a share of their steps."""

    share: float = Field(description="of the steps; the last look up to there")
    runs: int = Field(description="with such a look")
    coverage: float = Field(description="share of the measured ends that were inside their 95 % interval")
    lower: float = Field(description="95 % interval of the coverage, runs taken as independent")
    upper: float
    width: float = Field(description="mean width of the intervals")
    mae: float = Field(description="mean absolute error of the expected end")
    last_value_mae: float = Field(description="that of the look's own improvement, in its place")


class StopCalibration(Finite):
    """What the rule of stopping would have done to finished runs, its threshold learnt from those of other contexts."""

    min_gain: float
    error: float = Field(description="stated: the share of good runs that it may stop")
    learnt: bool = Field(description="false: too few good runs are known for some, whose threshold was the usual one")
    good: int = Field(description="runs that gained more than `min_gain`")
    good_stopped: int
    bad: int
    saved: float | None = Field(description="share of the bad runs' steps that it would have saved; null: none is bad")


class ForecastsCalibration(Finite):
    """How forecasts of finished runs turn out, each by a law and curves that do not know the run's context."""

    runs: int = Field(description="finished runs with curves, the newest 400 at most")
    cold: int = Field(description="those of them whose cell is cold without their context: the rule lets them finish")
    at: list[ForecastCalibration]
    stops: list[StopCalibration]


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
    forecasts: ForecastsCalibration | None = Field(
        None, description="null: no finished run of the pool has a curve, or the server is older"
    )
