"""Versions of the law, what can be asked of each, and the size of a probe."""

from gapcast.contract.fits import AtGap as AtGap
from gapcast.contract.fits import LinkWeights as LinkWeights
from gapcast.models.shared import Answered


class Curved(Answered):
    """A family's curve in numbers, with 95 % confidence intervals."""

    slope: float
    """at gap 0"""
    slope_interval: tuple[float, float]
    intercept: float
    """the improvement at gap 0"""
    intercept_interval: tuple[float, float]
    links: LinkWeights
    depends_on_link: bool
    """no link has more than .95, and the slope depends on it: compare `at_common_gap`"""
    at_common_gap: AtGap | None = None
    """None in predictions from before it was told"""

    @property
    def straight(self) -> bool:
        """Whether it is a line, of which slope and intercept say all."""
        return not self.depends_on_link and self.links.linear > self.links.saturating


class OfRecipe(Answered):
    """The runs that a law is of: no strength is borrowed between a teacher that moves and one that does not."""

    teacher_rule: str
    """`frozen` (teachers `frozen` and `trust_region`) or `co_moving` (`ema`, or unknown)"""
    divergence: str | None
    """None: unknown"""


class Coefficients(OfRecipe, Curved):
    """What one family's runs under one teacher rule and divergence say."""

    family: str
    status: str
    n: int


class Drift(Answered):
    """Whether a family's versions look like families of their own."""

    family: str
    log_bayes_factor: float
    alarm: bool
    versions: dict[str, int]


class Fit(Answered):
    """One immutable version of the law over one pool."""

    id: str
    pool: str
    n: int
    changes: int
    fingerprint: str
    families: list[Coefficients]
    """one for each teacher rule and divergence of a family's runs"""
    populations: list[Coefficients]
    """what the law says of a family that it has not seen, likewise"""
    p_collapse: float
    curvature_p: float | None
    drift: list[Drift] | None
    """None: not tested, the pool is too large for it"""
    created_at: str


class Residual(Answered):
    """One observation against what the other rows say of it."""

    id: str
    family: str
    cell: str | None
    model: str
    context_kind: str
    gap: float
    improvement: float
    expected: float
    residual: float
    standardized: float
    leverage: float
    influence: float
    weight: float
    """probability that the run did not collapse"""
    outlier: bool


class Group(Answered):
    """The residuals of one context kind or model, runs that probably collapsed left out."""

    name: str
    n: int
    mean_residual: float
    z: float


class Residuals(Answered):
    """One page of residuals, and what all of them say."""

    fit_id: str
    data: list[Residual]
    first_id: str | None
    last_id: str | None
    has_more: bool
    outliers: int
    curvature_p: float | None
    context_kinds: list[Group]
    models: list[Group]


class Curve(OfRecipe):
    """A family's law over a grid of true gaps: lists of equal length."""

    family: str
    cell: str | None
    baseline: float
    """student accuracy that it is drawn for: it bends towards 1 - baseline"""
    links: LinkWeights
    level: float
    measurement_se: float
    gap: list[float]
    mean: list[float]
    confidence_lower: list[float]
    confidence_upper: list[float]
    prediction_lower: list[float]
    prediction_upper: list[float]


class SizeSlope(Answered):
    """The slope of one model size, by itself, with a 95 % confidence interval."""

    parameters: float
    n: int
    slope: float
    se: float
    lower: float
    upper: float


class Trend(Answered):
    """Change of the slope for ten times the parameters, with a 95 % confidence interval."""

    per_tenfold: float
    se: float
    lower: float
    upper: float


class Homogeneity(Answered):
    """Cochran's Q of the sizes' slopes; a small `p_value` says that they do not share one."""

    q: float
    freedom: int
    p_value: float


class FamilyScaling(OfRecipe):
    """A family's slopes by size."""

    family: str
    linear_weight: float
    """probability that improvements follow the gap straight on, as slopes say"""
    sizes: list[SizeSlope]
    trend: Trend | None
    homogeneity: Homogeneity | None


class Scaling(Answered):
    """Slope against model size, by family."""

    fit_id: str
    without_parameters: int
    families: list[FamilyScaling]


class LevelCalibration(Answered):
    """How often the interval of one level held the outcome, with a 95 % interval of that share."""

    level: float
    coverage: float
    lower: float
    upper: float
    width: float


class Outcome(Answered):
    """One prediction and its outcome; `inside` is by level."""

    observation_id: str
    prediction_id: str
    fit_id: str
    at: str
    predicted: float
    outcome: float
    pit: float
    inside: list[bool]
    coverage_so_far: list[float]


class Calibration(Answered):
    """How past predictions turned out; figures are None while there is no outcome."""

    fit_id: str
    n: int
    predictions: int
    left_out: dict[str, int]
    bias: float | None
    bias_se: float | None
    mae: float | None
    mean_pit: float | None
    pit_histogram: list[int]
    levels: list[LevelCalibration]
    outcomes: list[Outcome]


class Expected(Answered):
    """What a probe is expected to find, and who says so: `request`, `pilot`, `family` or `prior`."""

    gap: float
    student: float
    source: str


class Variation(Answered):
    """Var(gap) = sigma_d2 / problems + (w_student + w_self_teacher) / (problems x rollouts)."""

    sigma_d2: float
    w_student: float
    w_self_teacher: float
    source: str
    """`pilot` or `assumed`"""


class ProbeSize(Answered):
    """The cheapest probe that reaches a target; problems and rollouts are None where nothing does."""

    verdict: str
    message: str
    problems: int | None
    rollouts: int | None
    cost: float | None
    gap_se: float | None
    half_width: float | None
    floor: float
    """half-width with an exactly known gap: no probe gets below"""
    level: float
    measurement_se: float
    expected: Expected
    variation: Variation
    fit_id: str

    @property
    def reachable(self) -> bool:
        """Whether some probe reaches the target."""
        return self.verdict == "reachable"
