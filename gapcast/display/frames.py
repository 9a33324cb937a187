"""A comparison as a table of pandas."""

from typing import TYPE_CHECKING, Any

from gapcast import words
from gapcast.client.tables import load_pandas

if TYPE_CHECKING:
    import pandas

    from gapcast.models import Compared, Comparison

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
