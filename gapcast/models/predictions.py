"""Predictions: the contract's classes by the client's names."""

from gapcast.contract.predictions import Branch, Cost, Improvement, Interval
from gapcast.contract.predictions import LawUsed as Law
from gapcast.contract.predictions import PredictionOut as Prediction

__all__ = ["Branch", "Cost", "Improvement", "Interval", "Law", "Prediction"]
