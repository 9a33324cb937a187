"""How often a configuration that is as good as all others is eliminated: `python -m studies.comparisons.null`.

2,000 comparisons a row, all configurations with the same gap; their group is looked at 40 times, from 32 problems on.
The configuration that is watched is named beforehand. `any` counts comparisons that eliminate at least one.
"""

import numpy as np

from service.deciding import Configuration, Known, Rules
from service.deciding.eliminating import eliminate
from studies.comparisons.playing import simulated

COMPARISONS, LOOKS = 2000, 40
CASES = [
    # configurations, student, gap, rollouts, problems added at each look
    (2, 0.3, 0.15, 4, 8),
    (2, 0.3, 0.15, 4, 64),
    (2, 0.3, 0.15, 1, 8),
    (2, 0.03, 0.03, 4, 8),
    (6, 0.3, 0.15, 4, 8),
]


def rates(count: int, student: float, gap: float, rollouts: int, step: int) -> tuple[float, float]:
    """Shares of comparisons that eliminate the first configuration, and any."""
    rng, rules = np.random.default_rng([count, rollouts, step]), Rules()
    configurations = [Configuration(0, {}, "one", "one", str(row), rollouts, 10**6) for row in range(count)]
    named = anyone = 0
    for _ in range(COMPARISONS):
        scores, _ = simulated(rng, student, np.full(count, gap), 32 + step * (LOOKS - 1), rollouts)
        differences, gone = scores.arms - scores.student, frozenset[int]()
        for look in range(LOOKS):
            known = [Known(each[: 32 + step * look], 0.0, student, None) for each in differences]
            gone = eliminate(configurations, known, rules, gone)
        named += 0 in gone
        anyone += bool(gone)
    return named / COMPARISONS, anyone / COMPARISONS


def main() -> None:
    """Print the table."""
    print("| configurations | student | gap | rollouts | problems a look | named beforehand | any |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        named, anyone = rates(*case)
        print(
            f"| {' | '.join(f'{each:g}' for each in case)} | {100 * named:.2f} % | {100 * anyone:.2f} % |", flush=True
        )


if __name__ == "__main__":
    main()
