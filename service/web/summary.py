"""What the page says in words and rows about the observations of a pool."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from service.web.plots import ObservationPoint

SLOPE_NEEDS = 3
"""Fewer observations of a family make no claim about its slope (LAW.md: status `sparse`)."""


def families(observations: Sequence[ObservationPoint]) -> list[dict[str, Any]]:
    """Return each family with its number of observations in the fit, the largest first."""
    counts = Counter(one.family for one in observations if not one.excluded)
    names = sorted({one.family for one in observations}, key=lambda name: (-counts[name], name))
    return [{"name": name, "n": counts[name]} for name in names]


def law_message(pool: str, observations: Sequence[ObservationPoint], family: str | None) -> str:
    """Say in one or two sentences what the law of this family rests on."""
    fitted = [one for one in observations if not one.excluded]
    if not fitted:
        return (
            f"Pool {pool} has no observations in its fit: the law is the prior alone, taken from published slopes "
            "and not from your runs. Import observations or finish a training run to sharpen it."
        )
    total = f"{len(fitted)} observations in pool {pool}"
    if family is None:
        return f"{total}; the law is not fitted to them yet."
    n = sum(one.family == family for one in fitted)
    if n == 0:
        return f"None of the {total} is of {family}: its law is what the other families suggest."
    if n < SLOPE_NEEDS:
        return f"Only {n} of the {total} {'is' if n == 1 else 'are'} of {family}: too few to claim a slope."
    if n == len(fitted):
        return f"All {total} are of {family}."
    return f"{n} of the {total} are of {family}; the others say what slopes to expect."


def observation_rows(observations: Sequence[ObservationPoint]) -> list[dict[str, Any]]:
    """Return the rows of the table that says what the plot shows; accuracies in [0, 1]."""
    return [
        {
            "model": one.model,
            "family": one.family,
            "context": one.context,
            "gap": {"value": one.gap, "se": one.gap_se},
            "improvement": {"value": one.improvement, "se": one.improvement_se},
            "excluded": one.excluded,
        }
        for one in observations
    ]
