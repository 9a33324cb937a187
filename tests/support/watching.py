"""A law, a cell and a rule for small runs, as a worker gives them to its child."""

from typing import Any

from gapcast.contract.forecasts import AppliedRule, ForecastGiven
from gapcast.contract.training import TrainingConfiguration
from service.forecasts.forecasting import Standing
from service.law import GapLaw, Observations
from service.law.curve import Cell, Finished, Grounds, cell
from workers.opsd.configuration import own_seed
from workers.watch import LawWatch

FAMILY = "lab-qwen3"


def stop_rule(threshold: float, **change: Any) -> AppliedRule:
    """Stops a run whose probability of gaining more than 10 points is below the threshold."""
    fields = {"learnt": False, "good_runs": 0, "error": None, "alpha": threshold, "cold": False, "min_gain": 0.1}
    return AppliedRule(**(fields | change | {"threshold": threshold}))


def warm_cell() -> Cell:
    """Four finished runs that gained 30 points, half of it after a tenth of their steps."""
    curve = [(0.1, 0.15), (0.3, 0.24), (0.6, 0.29), (0.9, 0.30)]
    t, gain = zip(*curve, strict=True)
    runs = [Finished.of_improvements(t, gain, [0.03] * len(t), 0.3, 0.03) for _ in range(4)]
    return cell([run for run in runs if run is not None])


def given_of(
    configuration: TrainingConfiguration, rule: AppliedRule | None = None, *, cold: bool = False
) -> dict[str, Any]:
    """What a worker gives its child, by the law of a dozen runs whose improvements are their gaps."""
    gaps = [0.05 * place for place in range(12)]
    fitted = GapLaw().fit(
        Observations(gap=gaps, gap_var=[4e-4] * 12, improvement=gaps, improvement_var=[4e-4] * 12, family=[FAMILY] * 12)
    )
    question = {"family": FAMILY, "cell": None, "teacher": "frozen", "divergence": "forward_kl"}
    grounds = Grounds(fitted, question, cell([]) if cold else warm_cell())
    least = rule.min_gain if rule is not None else 0.0
    standing = Standing(grounds, configuration.recipe.steps, least, None, "default", None, rule)
    return standing.given.model_dump(mode="json")


def watch_of(
    configuration: TrainingConfiguration,
    rule: AppliedRule | None = None,
    *,
    cold: bool = False,
    seed: int | None = None,
) -> LawWatch:
    """The child's watch; `seed` decides if its stops are carried out."""
    standing = Standing.read(ForecastGiven.model_validate(given_of(configuration, rule, cold=cold)))
    return LawWatch(standing, own_seed(configuration) if seed is None else seed)
