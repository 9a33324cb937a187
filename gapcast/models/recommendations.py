"""Recommendations: the contract's classes by the client's names."""

from gapcast.contract.recommendations import (
    Candidate,
    Considered,
    HoursAndRuns,
    KnownCost,
    RecommendationOut,
    Step,
    Trained,
)

__all__ = ["Candidate", "Considered", "HoursAndRuns", "KnownCost", "Recommendation", "Step", "Trained"]


class Recommendation(RecommendationOut):
    """A plan for a budget: `plan` are its steps, and `space` the configurations by place."""

    def names(self, places: list[int]) -> list[str]:
        """Return the names of configurations."""
        return [self.space[place].name for place in places]
