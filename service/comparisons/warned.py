"""What to know before trusting a comparison; pure."""

from collections.abc import Sequence

from gapcast.contract.base import Warned
from gapcast.contract.comparisons import Compared, Winner
from gapcast.words import points


def of_winner(winner: Winner, compared: Sequence[Compared], *, probed_again: bool) -> list[Warned]:
    """Say where the winner's second probe does not confirm it, or even the best is not worth a run."""
    warned, name = [], next(one.name for one in compared if one.place == winner.place)
    value = winner.answer.improvement.value
    others = {
        one.name: one.answer.improvement.value
        for one in compared
        if one.place != winner.place and one.answer is not None and one.answer.improvement.value is not None
    }
    ahead = max(others, key=lambda other: others[other], default=None)
    if not probed_again:
        message = (
            f"{name} was not probed again: as the highest of {len(compared)} stored gaps, its gap is too high on "
            "average. Evaluate it once more with fresh samples, and predict from that."
        )
        warned.append(Warned(code="winner_not_probed_again", message=message))
    elif value is not None and ahead is not None and others[ahead] > value:
        message = (
            f"The second probe of {name} predicts {points(value)}, less than the {points(others[ahead])} of {ahead}: "
            "what was measured does not tell the two apart. Compare them alone with a larger budget."
        )
        numbers = {"winner": value, "other": others[ahead]}
        warned.append(Warned(code="winner_not_confirmed", message=message, numbers=numbers))
    if winner.answer.verdict in {"skip", "refused"}:
        message = f"{name} is the best of these, and its verdict is `{winner.answer.verdict}`: none is worth a run yet."
        warned.append(Warned(code="nothing_to_train", message=message))
    return warned
