"""Predictions: the contract's classes by the client's names; a notebook shows a prediction as a table."""

from gapcast.contract.predictions import Branch, Cost, Improvement, Interval, PredictionOut
from gapcast.contract.predictions import LawUsed as Law

__all__ = ["Branch", "Cost", "Improvement", "Interval", "Law", "Prediction"]


class Prediction(PredictionOut):
    """A prediction; everything from `gap` to `cost` is None until it has succeeded."""

    def _repr_html_(self) -> str:
        from gapcast.display.tables import prediction_table

        return prediction_table(self)
