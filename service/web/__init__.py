"""The dashboard: one page, its static files and the plot of the law."""

from service.web.endpoints import ChartReader, mount, router, static_directory, templates
from service.web.plots import ChartData, Curve, ObservationPoint, PredictionPoint, law_chart

__all__ = [
    "ChartData",
    "ChartReader",
    "Curve",
    "ObservationPoint",
    "PredictionPoint",
    "law_chart",
    "mount",
    "router",
    "static_directory",
    "templates",
]
