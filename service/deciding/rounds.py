"""One look at a comparison: what is best, how sure that is, and the next round (docs: issue "Decide", adr 23)."""

from collections.abc import Sequence

import numpy as np

from service.deciding.allocating import next_round, worth
from service.deciding.configurations import Configuration, Decision, Known, Rules, Standing, Stop, cost
from service.deciding.eliminating import eliminate
from service.deciding.outlook import Outlook, outlook
from service.law import GapLaw
from service.law.leaves import IndexArray
from service.law.observations import FloatArray

NEGLIGIBLE = 0.1
"""share of the indifference: exact gaps that are worth less in expectation are not measured"""
TAILS = (0.1, 0.9)
"""of the interval that a look shows"""


def decide(
    laws: Sequence[GapLaw],
    configurations: Sequence[Configuration],
    known: Sequence[Known | None],
    rules: Rules,
    *,
    budget: float,
    eliminated: frozenset[int] = frozenset(),
    round: int,
) -> Decision:
    """Look at a comparison after a round; the same input gives the same decision, bit by bit.

    Args:
        laws: fitted laws.
        configurations: P of them.
        known: what has been measured of each; ``None`` before its first problem.
        rules: the comparison's.
        budget: rollouts that may still be spent.
        eliminated: those of earlier looks.
        round: number of this look, from 1; 0 before anything is measured.
    """
    gone = eliminate(configurations, known, rules, eliminated)
    view = outlook(laws, configurations, known, np.random.SeedSequence([rules.seed, round]))
    alive = np.array([row for row in range(len(configurations)) if row not in gone])
    standings = _standings(view, rules.pick, gone)
    leader = int(alive[np.argmax(view.mean[alive])])

    def rank(row: int) -> tuple[bool, bool, float, float, float]:
        each = standings[row]
        return row == leader, not each.eliminated, each.p_best, each.p_picked, each.mean

    picked = tuple(sorted(range(len(configurations)), key=rank, reverse=True)[: rules.pick])
    p_best_picked = sum(standings[row].p_best for row in picked)
    ahead = (view.draws[:, [leader]] - view.draws > rules.indifference).mean(axis=0)
    alike = tuple(int(row) for row in alive if row != leader and ahead[row] < rules.confidence)
    stop, more = _next(configurations, view, rules, alive, picked, p_best_picked, budget, round)
    return Decision(standings, leader, picked, p_best_picked, alike, stop, more, gone)


def _standings(view: Outlook, pick: int, gone: frozenset[int]) -> tuple[Standing, ...]:
    draws = view.draws
    top, P = draws.max(axis=1), draws.shape[1]
    p_best = np.bincount(draws.argmax(axis=1), minlength=P) / len(draws)
    k = min(pick, P)
    p_picked = (draws >= np.partition(draws, P - k, axis=1)[:, [P - k]]).mean(axis=0)
    loss = (top[:, None] - draws).mean(axis=0)
    lower, upper = np.quantile(draws, TAILS, axis=0)
    return tuple(
        Standing(
            mean=float(view.mean[row]),
            lower=float(lower[row]),
            upper=float(upper[row]),
            p_best=float(p_best[row]),
            p_picked=float(p_picked[row]),
            loss=float(loss[row]),
            eliminated=row in gone,
            refused=bool(view.refused[row]),
        )
        for row in range(P)
    )


def _next(
    configurations: Sequence[Configuration],
    view: Outlook,
    rules: Rules,
    alive: IndexArray,
    picked: tuple[int, ...],
    p_best_picked: float,
    budget: float,
    round: int,
) -> tuple[Stop | None, dict[int, int]]:
    """Return the reason to stop, or the next round."""
    have = view.gaps.problems
    most = np.array([each.most for each in configurations])
    wanted = np.minimum(rules.first, most)
    few = {int(row): int(wanted[row]) for row in alive if have[row] < wanted[row]}
    if few:
        now = dict(enumerate(have.astype(int).tolist()))
        return (None, few) if cost(configurations, now, few) <= budget else ("budget", {})
    if p_best_picked >= rules.confidence:
        return "decided", {}
    exact = view.predictions(view.uncertainty())
    if worth(exact[:, alive], rules.pick) <= NEGLIGIBLE * rules.indifference:
        return "law", {}
    chosen, others = exact[:, list(picked)].max(axis=1), exact[:, alive].max(axis=1)
    if (chosen >= others - rules.indifference).mean() >= rules.confidence:
        return "indifferent", {}
    order = _doubt(exact, alive, rules.pick)
    order = order[have[order] < most[order]]
    if not len(order):
        return "most_problems", {}
    more = next_round(configurations, view, alive, order, rules, budget, round)
    return ("budget", {}) if more is None else (None, more)


def _doubt(exact: FloatArray, alive: IndexArray, pick: int) -> IndexArray:
    """Order configurations by the probability that exact gaps move them into the picked ones, or out."""
    values = exact[:, alive]
    P = values.shape[1]
    k = min(pick, P)
    inside = (values >= np.partition(values, P - k, axis=1)[:, [P - k]]).mean(axis=0)
    centre = values.mean(axis=0)
    in_now = centre >= np.partition(centre, P - k)[P - k]
    return alive[np.lexsort((-centre, -np.where(in_now, 1 - inside, inside)))]
