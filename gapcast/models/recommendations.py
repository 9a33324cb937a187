"""Recommendations: the contract's classes by the client's names; a notebook shows one as a table or a chart."""

from typing import TYPE_CHECKING

from gapcast.contract.recommendations import (
    Candidate,
    Considered,
    HoursAndRuns,
    KnownCost,
    RecommendationOut,
    Step,
    Trained,
)

if TYPE_CHECKING:
    import altair
    import pandas

    from gapcast.display.frames import PartOfPlan

__all__ = ["Candidate", "Considered", "HoursAndRuns", "KnownCost", "Recommendation", "Step", "Trained"]


class Recommendation(RecommendationOut):
    """A plan for a budget: `plan` are its steps, and `space` the configurations by place."""

    def to_dataframe(self, of: "PartOfPlan" = "plan") -> "pandas.DataFrame":
        """Return the steps of the plan as a table, a row each; gains and improvements are shares.

        Args:
            of: "plan": the steps. "space": the configurations, the most promising first. "alternatives": the plans
                that were considered, the chosen one first.

        Raises:
            ValueError: `of` is something else.
            ImportError: pandas is not installed.
        """
        from gapcast.display.frames import recommendation_frame

        return recommendation_frame(self, of)

    def chart(self) -> "altair.LayerChart":
        """Draw the expected gain of the plan beside probing all alike, and beside training the first by the law alone.

        Raises:
            ImportError: altair is not installed.
        """
        from gapcast.display.charts import recommendation_chart

        return recommendation_chart(self)

    def _repr_html_(self) -> str:
        from gapcast.display.tables import recommendation_table

        return recommendation_table(self)
