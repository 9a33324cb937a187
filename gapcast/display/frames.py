"""A comparison or a recommendation as a table of pandas."""

from typing import TYPE_CHECKING, Any, Literal, get_args

from gapcast import words
from gapcast.client.tables import load_pandas
from gapcast.contract.recommendations import Candidate, RecommendationOut, Step

if TYPE_CHECKING:
    import pandas

    from gapcast.models import Compared, Comparison

PartOfPlan = Literal["plan", "space", "alternatives"]
"""What a table of a recommendation is of."""
HOUR = 3600.0
"""seconds"""


def comparison_frame(comparison: "Comparison") -> "pandas.DataFrame":
    """Return the configurations of a comparison as a table, a row each; what is not known yet is missing.

    Raises:
        ImportError: pandas is not installed.
    """
    frame: pandas.DataFrame = load_pandas().DataFrame([_row(comparison, one) for one in comparison.configurations])
    return frame


def _row(comparison: "Comparison", one: "Compared") -> dict[str, Any]:
    asked, standing, answer = one.request, one.standing, comparison.answer_of(one)
    interval = standing.interval if standing is not None else None
    seconds = answer.cost.training_seconds_estimate if answer is not None else None
    figures = ("gap", "gap_se", "value", "p_best", "p_picked", "loss", "problems", "eliminated")
    known = {name: getattr(standing, name, None) for name in figures}
    return {
        "name": one.name,
        "model": asked.model.name,
        "context": words.context(asked.context),
        "gap": known["gap"],
        "gap_se": known["gap_se"],
        "predicted": known["value"],
        "lower": interval.lower if interval is not None else None,
        "upper": interval.upper if interval is not None else None,
        "p_best": known["p_best"],
        "p_picked": known["p_picked"],
        "loss": known["loss"],
        "problems": known["problems"],
        "eliminated": known["eliminated"],
        "verdict": answer.verdict if answer is not None else None,
        "training_hours": seconds / HOUR if seconds is not None else None,
        "gain_per_hour": one.gain_per_hour,
        "prediction_id": comparison.prediction_of(one),
    }


def recommendation_frame(plan: RecommendationOut, of: PartOfPlan) -> "pandas.DataFrame":
    """Return the steps of a plan, its configurations or the plans considered as a table, a row each.

    Raises:
        ValueError: `of` is something else.
        ImportError: pandas is not installed.
    """
    if of == "plan":
        rows = [_step(plan, one) for one in plan.plan]
    elif of == "space":
        rows = [_candidate(one) for one in sorted(plan.space, key=lambda one: (-one.p_best, one.place))]
    elif of == "alternatives":
        rows = [one.model_dump() for one in plan.alternatives]
    else:
        raise ValueError(f"of: expected {', '.join(get_args(PartOfPlan))}, got {of!r}.")
    frame: pandas.DataFrame = load_pandas().DataFrame(rows)
    return frame


def _step(plan: RecommendationOut, one: Step) -> dict[str, Any]:
    return {
        "action": one.action,
        "configurations": plan.names(one.configurations),
        "choice": one.choice,
        "problems": one.problems,
        "rollouts": one.rollouts,
        "runs": one.runs,
        "share": one.share,
        "finish": one.finish,
        "hours": one.hours,
        "why": one.why,
        "status": one.status,
        "comparison_id": one.comparison_id,
        "training_run_ids": one.training_run_ids,
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "name": one.name,
        "model": one.model,
        "family": one.family,
        "gap": one.gap.value if one.gap is not None else None,
        "gap_se": one.gap.se if one.gap is not None else None,
        "problems": one.problems,
        "predicted": one.value,
        "lower": one.interval.lower,
        "upper": one.interval.upper,
        "p_best": one.p_best,
        "refused": one.refused,
        "run_hours": one.run_hours,
    }
