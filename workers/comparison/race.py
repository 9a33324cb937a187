"""The rounds of a comparison, as far as one model can run them."""

import time
from collections.abc import Mapping

import numpy as np

from gapcast.contract.comparison_jobs import ComparisonConfiguration, Known, PartResult
from gapcast.contract.events import ComparisonPartial, ComparisonProgressed, ComparisonRound, Emit
from service import deciding
from service.comparisons.rounds import round_of
from service.law import GapLaw
from workers.comparison.bench import Bench
from workers.resources import Resources


class Race:
    """One job of a comparison."""

    def __init__(self, configuration: ComparisonConfiguration, resources: Resources, emit: Emit) -> None:
        self._configuration, self._resources, self._emit = configuration, resources, emit
        self._members = {member.place: member for member in configuration.members}
        self._laws = [GapLaw.from_record(record) for record in configuration.laws]
        self._competitors = [deciding.Configuration(**dict(one)) for one in configuration.competitors]
        self._known: dict[int, Known] = {place: one for place, one in enumerate(configuration.known) if one is not None}
        self._rules = deciding.Rules(**configuration.rules.model_dump(), seed=configuration.members[0].probe.seed)
        self._result = PartResult(eliminated=configuration.eliminated)
        self._began = time.monotonic()
        self._bench: Bench | None = None

    def run(self) -> PartResult:
        """Measure what is planned, and decide and measure on as long as this model can."""
        try:
            if self._configuration.second is not None:
                self._measure_again(self._configuration.second)
            else:
                self._rounds()
            return self._ended()
        finally:
            if self._bench is not None:
                self._bench.close()

    def _rounds(self) -> None:
        plan = self._configuration.plan
        while True:
            if plan is None:
                decision = self._decide()
                if decision.stop is not None:
                    self._result.stop = decision.stop
                    if decision.leader in self._members:
                        self._measure_again(decision.leader)
                    return
                plan = dict(decision.more)
                if not plan.keys() <= self._members.keys():
                    self._result.next = plan
                    return
            self._measure(plan)
            if not self._configuration.decides:
                return
            plan = None

    def _decide(self) -> deciding.Decision:
        """Decide, and tell how everybody stands."""
        number = self._number()
        known = [_seen(self._known.get(place)) for place in range(len(self._competitors))]
        decision = deciding.decide(
            self._laws,
            self._competitors,
            known,
            self._rules,
            budget=self._left(),
            eliminated=frozenset(self._result.eliminated),
            round=number,
        )
        self._result.eliminated = sorted(decision.eliminated)
        told = round_of(decision, known, number, self._spent())
        self._result.rounds.append(told)
        self._emit(ComparisonRound(**dict(told)))
        self._emit(ComparisonPartial(result=self._so_far()))
        return decision

    def _spent(self) -> int:
        return self._configuration.rollouts + self._result.rollouts

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _left(self) -> float:
        """Rollouts that may still be drawn; what minutes are worth is told by those that were."""
        most, seconds = self._configuration.most_rollouts, self._configuration.most_seconds
        left = float("inf") if most is None else float(most - self._spent())
        if seconds is not None and self._result.rollouts:
            still = seconds - self._seconds() * max(1, self._bench.gpus if self._bench is not None else 1)
            left = min(left, self._result.rollouts / self._seconds() * still)
        elif seconds is not None and seconds <= 0:
            left = 0.0
        return max(left, 0.0)

    def _measure(self, plan: Mapping[int, int]) -> None:
        bench = self._loaded()
        have = {place: len(one.differences) for place, one in self._known.items()}
        price = deciding.cost(self._competitors, have, {**have, **plan})
        drawn, share = 0, max(1, sum(self._samples(place, total) for place, total in plan.items()))

        def report(samples: int) -> None:
            nonlocal drawn
            drawn += samples
            self._progress(self._spent() + round(price * min(1.0, drawn / share)))

        report(0)
        bench.measure(plan, report)
        self._known |= {place: bench.known(place) for place in plan}
        self._result.rollouts += price
        self._progress(self._spent())

    def _samples(self, place: int, total: int) -> int:
        """Rollouts that a member's measurement asks for, those that it shares with others among them."""
        return 3 * self._competitors[place].rollouts * total

    def _measure_again(self, place: int) -> None:
        bench, probe = self._loaded(), self._members[place].second
        total, drawn = (3 + len(probe.controls)) * probe.rollouts * probe.problems, 0

        def report(samples: int) -> None:
            nonlocal drawn
            drawn += samples
            self._emit(
                ComparisonProgressed(done=min(drawn, total), total=total, round=self._number(), of_second_probe=True)
            )

        report(0)
        self._result.second = bench.second(place, report)

    def _progress(self, done: int) -> None:
        most = self._configuration.most_rollouts
        self._emit(ComparisonProgressed(done=done, total=max(done, most or 0), round=self._number()))

    def _number(self) -> int:
        return self._configuration.round + len(self._result.rounds) + 1

    def _loaded(self) -> Bench:
        if self._bench is None:
            self._bench = Bench(self._configuration, self._resources)
            self._result.loads += 1
        return self._bench

    def _so_far(self) -> PartResult:
        return self._result.model_copy(
            update={
                "seconds": self._seconds(),
                "gpu_hours": self._seconds() / 3600 * (self._bench.gpus if self._bench is not None else 0),
            }
        )

    def _ended(self) -> PartResult:
        if self._bench is not None:
            self._result.measured = self._bench.results()
        self._result.known = {place: one for place, one in self._known.items() if place in self._result.measured}
        return self._so_far()


def _seen(known: Known | None) -> deciding.Known | None:
    if known is None:
        return None
    return deciding.Known(
        differences=np.asarray(known.differences),
        gap_var=known.gap_var,
        student=known.student,
        gap_spread=known.gap_spread,
    )
