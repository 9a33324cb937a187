"""Comparisons: the contract's classes by the client's names; a notebook shows one as a table or a chart."""

from typing import TYPE_CHECKING

from gapcast.contract.comparisons import (
    Budget,
    Compared,
    ComparisonOut,
    ComparisonProgress,
    Round,
    Spent,
    Standing,
    Winner,
)
from gapcast.contract.predictions import Answer

if TYPE_CHECKING:
    import altair
    import pandas

__all__ = ["Budget", "Compared", "Comparison", "ComparisonProgress", "Round", "Spent", "Standing", "Winner"]


class Comparison(ComparisonOut):
    """A comparison: `configurations` are the best first, and `winner` is None until it has succeeded."""

    @property
    def best(self) -> Compared | None:
        """The configuration that has won, or that leads so far; None before the first round has ended."""
        return self.at(self.rounds[-1].leader) if self.rounds else None

    @property
    def to_train(self) -> list[Compared]:
        """The configurations that are picked so far, the best first."""
        return [self.at(place) for place in self.picked]

    def at(self, place: int) -> Compared:
        """Return the configuration of a place in the request."""
        return next(one for one in self.configurations if one.place == place)

    def answer_of(self, one: Compared) -> Answer | None:
        """Return what is predicted of a configuration: of the winner from its second probe, whose samples are fresh."""
        won = self.winner
        return won.answer if won is not None and won.place == one.place else one.answer

    def prediction_of(self, one: Compared) -> str | None:
        """Return the id of that prediction, by which the configuration can be trained; None before the end."""
        won = self.winner
        return won.prediction_id if won is not None and won.place == one.place else one.prediction_id

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the configurations as a table, a row each, the best first; accuracies and improvements are shares.

        `predicted`, `lower` and `upper` (an 80 % interval) are from the rounds, alike for all; `verdict` of the winner
        is that of its second probe.

        Raises:
            ImportError: pandas is not installed.
        """
        from gapcast.display.frames import comparison_frame

        return comparison_frame(self)

    def chart(self) -> "altair.LayerChart":
        """Draw the predicted improvements with their 80 % intervals, the best first.

        Raises:
            ImportError: altair is not installed.
        """
        from gapcast.display.charts import comparison_chart

        return comparison_chart(self)

    def _repr_html_(self) -> str:
        from gapcast.display.tables import comparison_table

        return comparison_table(self)
