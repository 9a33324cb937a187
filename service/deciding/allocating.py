"""Where the next problems go: to the set of rivals whose probe is worth most for its rollouts."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from service.deciding.configurations import Configuration, Rules, cost
from service.deciding.outlook import Outlook
from service.law.leaves import IndexArray
from service.law.observations import FloatArray

BLOCK = 8
"""problems: no configuration's round is smaller, and probes grow by as many"""
LOOKS = 40
"""the most rounds that a budget is spread over"""
GROWTH = 16
"""a set that grows gets at least 1/16 more problems: 130 rounds from 32 problems to 100,000"""


def best(values: FloatArray, pick: int) -> FloatArray:
    """Mean of the ``pick`` largest along the last axis."""
    k = min(pick, values.shape[-1])
    return np.asarray(np.partition(values, -k, axis=-1)[..., -k:].mean(axis=-1))


def worth(predictions: FloatArray, pick: int) -> float:
    """Expected gain of choosing after the (m, P) predictions are known, over choosing now; accuracy share."""
    return float(best(predictions, pick).mean() - best(predictions.mean(axis=0), pick))


def next_round(
    configurations: Sequence[Configuration],
    view: Outlook,
    alive: IndexArray,
    order: IndexArray,
    rules: Rules,
    budget: float,
    round: int,
) -> dict[int, int] | None:
    """Choose the next round; ``None`` where the budget is too small for any.

    A plan takes the first few of ``order`` to a common number of problems, or those that lag behind nearer to it. Of
    the plans that are large enough for ``LOOKS`` rounds the one with the largest worth per rollout wins.

    Args:
        configurations: all of the comparison.
        view: what is known of them.
        alive: indices of those that are not eliminated.
        order: those of ``alive`` that can have more problems, the most doubtful first.
        rules: the comparison's.
        budget: rollouts left.
        round: number of this look, from 1.
    """
    have = dict(enumerate(view.gaps.problems.astype(int).tolist()))
    plans = {tuple(plan.items()): plan for plan in _plans(configurations, have, order, rules.first)}
    priced = [(cost(configurations, have, plan), plan) for plan in plans.values()]
    priced = [(price, plan) for price, plan in priced if price <= budget]
    if not priced:
        return None
    least = min(budget / max(LOOKS - round, 1) if np.isfinite(budget) else 0.0, max(price for price, _ in priced))
    now = view.uncertainty()

    def merit(priced_plan: tuple[int, Mapping[int, int]]) -> tuple[float, int]:
        price, plan = priced_plan
        problems = view.gaps.problems.copy()
        problems[list(plan)] = list(plan.values())
        moved = now - view.uncertainty(problems)
        return worth(view.predictions(moved)[:, alive], rules.pick) / max(price, 1), price

    return dict(max((each for each in priced if each[0] >= least), key=merit)[1])


def _plans(
    configurations: Sequence[Configuration], have: Mapping[int, int], order: IndexArray, first: int
) -> Iterator[dict[int, int]]:
    """Totals for the first 1, 2, ... of ``order``; nobody more than doubles, or there would be little to look at."""
    for size in range(1, len(order) + 1):
        rivals = order[:size].tolist()
        level = max(have[row] for row in rivals)
        step = 0
        while step <= max(level, BLOCK):
            aims = {
                row: min(_blocks(min(level + step, max(2 * have[row], first))), configurations[row].most)
                for row in rivals
            }
            plan = {row: aim for row, aim in aims.items() if aim > have[row]}
            if plan:
                yield plan
            step = max(2 * step, _blocks(level // GROWTH), BLOCK)


def _blocks(problems: int) -> int:
    return -(-problems // BLOCK) * BLOCK
