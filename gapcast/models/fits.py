"""Fits: the contract's classes by the client's names, those that a notebook draws with their charts."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from gapcast.contract import fits as contract
from gapcast.contract.fits import (
    AtGap,
    Borrowed,
    Calibration,
    Coefficients,
    ContextEffect,
    ContextEffects,
    ContextSpread,
    Curved,
    Drift,
    FamilyScaling,
    FitSummary,
    ForecastCalibration,
    ForecastsCalibration,
    Group,
    Homogeneity,
    LentPool,
    LevelCalibration,
    LinkWeights,
    OfRecipe,
    Outcome,
    Residual,
    Residuals,
    Scaling,
    SizeSlope,
    StopCalibration,
    Trend,
)

if TYPE_CHECKING:
    import altair

__all__ = [
    "AtGap",
    "Borrowed",
    "Calibration",
    "Coefficients",
    "ContextEffect",
    "ContextEffects",
    "ContextSpread",
    "CurrentFit",
    "Curve",
    "Curved",
    "Drift",
    "FamilyScaling",
    "Fit",
    "FitSummary",
    "ForecastCalibration",
    "ForecastsCalibration",
    "Group",
    "Homogeneity",
    "LentPool",
    "LevelCalibration",
    "LinkWeights",
    "OfRecipe",
    "Outcome",
    "Residual",
    "Residuals",
    "Scaling",
    "SizeSlope",
    "StopCalibration",
    "Trend",
]


class Drawn(BaseModel):
    """An answer that a notebook shows as a chart, and without altair as a table."""

    @abstractmethod
    def chart(self) -> "altair.LayerChart":
        """Return the chart of an altair that is installed (`pip install 'gapcast[notebook]'`)."""

    @abstractmethod
    def _repr_html_(self) -> str: ...

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:  # noqa: ANN401
        try:
            return self.chart()._repr_mimebundle_(include, exclude)
        except ImportError:
            return {"text/plain": repr(self), "text/html": self._repr_html_()}


class Fit(contract.FitOut, Drawn):
    """One immutable version of the law over one pool."""

    def chart(self) -> "altair.LayerChart":
        """Draw the improvement of each family and recipe at one gap.

        Raises:
            ImportError: altair is not installed.
        """
        from gapcast.display.charts import fit_chart

        return fit_chart(self)

    def _repr_html_(self) -> str:
        from gapcast.display.tables import fit_table

        return fit_table(self)


class CurrentFit(contract.CurrentFit, Fit):
    """The newest version of a pool's law."""


class Curve(contract.Curve, Drawn):
    """A family's law over a grid of true gaps: lists of equal length."""

    def chart(self) -> "altair.LayerChart":
        """Draw the curve with its confidence band and the prediction band around it.

        Raises:
            ImportError: altair is not installed.
        """
        from gapcast.display.charts import curve_chart

        return curve_chart(self)

    def _repr_html_(self) -> str:
        from gapcast.display.tables import curve_table

        return curve_table(self)
