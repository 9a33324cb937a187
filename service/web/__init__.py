"""The dashboard: one page, its static files and the plots of the law, of past predictions and of training runs."""

from service.web.endpoints import ChartReader, mount, router, static_directory
from service.web.outcome_plot import outcomes_chart
from service.web.plots import law_chart
from service.web.points import ChartData, Curve, FitVersion, ObservationPoint, OutcomePoint, PredictionPoint
from service.web.rendering import templates

__all__ = [
    "ChartData",
    "ChartReader",
    "Curve",
    "FitVersion",
    "ObservationPoint",
    "OutcomePoint",
    "PredictionPoint",
    "law_chart",
    "mount",
    "outcomes_chart",
    "router",
    "static_directory",
    "templates",
]
