"""Probes that a plan may begin with, and what they cost."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from service.deciding.configurations import Configuration, cost
from service.deciding.planning.plans import Prices
from service.law.observations import FloatArray

SMALLEST = 32
"""problems of a probe: fewer do not know their own standard error"""


class Probe(NamedTuple):
    """One probe of some configurations.

    Attributes:
        probed: those.
        problems: of each, in total; 0 where nothing is drawn.
        totals: (P,) problems of all configurations afterwards.
        rollouts, hours: of it, with the winner's second probe.
    """

    probed: tuple[int, ...]
    problems: int
    totals: FloatArray
    rollouts: int
    hours: float


class Probing:
    """Prices probes.

    Args:
        configurations: P of them.
        have: (P,) problems measured.
        prices: theirs.
        rows: those that may be probed.
    """

    def __init__(
        self, configurations: Sequence[Configuration], have: FloatArray, prices: Prices, rows: Sequence[int]
    ) -> None:
        self._configurations, self._have, self._prices, self._rows = configurations, have, prices, list(rows)
        self._most = np.array([each.most for each in configurations], dtype=float)

    def totals(self, rows: Sequence[int], problems: int | FloatArray) -> FloatArray:
        """(P,) problems once each of these rows has so many, as far as its task has them."""
        totals, of = self._have.copy(), list(rows)
        totals[of] = np.maximum(totals[of], np.minimum(problems, self._most)[of])
        return totals

    def probe(self, rows: Sequence[int], problems: int) -> Probe:
        """Price a probe of so many problems of each."""
        return self.priced(rows, problems, self.totals(rows, problems))

    def priced(self, rows: Sequence[int], problems: int, totals: FloatArray) -> Probe:
        """Price a probe after which the configurations have these totals."""
        have, rollouts, hours = dict(enumerate(self._have.astype(int).tolist())), 0, 0.0
        for price in np.unique(self._prices.rollout[list(rows)]) if rows else ():
            same = {row: int(totals[row]) for row in rows if self._prices.rollout[row] == price}
            drawn = cost(self._configurations, {row: have[row] for row in same}, same)
            rollouts, hours = rollouts + drawn, hours + drawn * float(price)
        if rollouts:
            again = max(rows, key=lambda row: self._prices.again[row] * self._prices.rollout[row])
            rollouts += int(self._prices.again[again])
            hours += float(self._prices.again[again] * self._prices.rollout[again])
        return Probe(tuple(rows), problems if rollouts else 0, totals, rollouts, hours)

    def sizes(self) -> Iterator[int]:
        """Problems that are tried: each twice as many as before, up to all of a task."""
        problems, most = SMALLEST, int(self._most[self._rows].max())
        while problems < most:
            yield problems
            problems *= 2
        yield most

    def grown(self, rows: Sequence[int], hours: float) -> Iterator[Probe]:
        """Probes of these rows that draw something within these hours."""
        for problems in self.sizes():
            probe = self.probe(rows, problems)
            if probe.rollouts and probe.hours <= hours:
                yield probe
