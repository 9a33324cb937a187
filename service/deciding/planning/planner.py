"""Plans for a budget, valued by simulation on the same draws: probes, runs, and runs that teach the law (adr 24)."""

from collections.abc import Iterator, Sequence

import numpy as np

from service.deciding.configurations import Configuration
from service.deciding.outlook import Outlook
from service.deciding.planning.outcomes import Learned, Outcomes, Signal
from service.deciding.planning.piloting import Piloting
from service.deciding.planning.plans import TOLERANCE, Limits, Plan, Planned, Prices
from service.deciding.planning.probing import Probe, Probing
from service.deciding.planning.training import Training
from service.law.leaves import IndexArray
from service.law.observations import FloatArray

FIRST = (1, 2)
"""runs that are trained before the others are chosen"""
HOPEFUL = 12
"""configurations that may be trained first: those that may turn out best, as such runs are results, too"""
SHOWN = 5
"""plans that an answer shows"""


def make_plan(
    configurations: Sequence[Configuration],
    view: Outlook,
    prices: Prices,
    limits: Limits,
    trained: Sequence[int] = (),
    *,
    apart: FloatArray | None = None,
    now: bool = False,
    seed: int = 0,
) -> Planned:
    """Value a handful of plans, and take the best.

    Args:
        configurations: P of them.
        view: what is known of them.
        prices: theirs.
        limits: of the budget.
        trained: configurations of the runs that have ended.
        apart: (P,) variance of a run's improvement that another run of its configuration does not share; None: each is
            trained once at most.
        now: True: runs are chosen at once, without another probe.
        seed: of the draws.
    """
    return _Planner(configurations, view, prices, limits, trained, apart, seed).best(now=now)


class _Planner:
    def __init__(
        self,
        configurations: Sequence[Configuration],
        view: Outlook,
        prices: Prices,
        limits: Limits,
        trained: Sequence[int],
        apart: FloatArray | None,
        seed: int,
    ) -> None:
        self._limits, self._prices = limits, prices
        self._outcomes = Outcomes(view, apart, limits.noise, limits.had, seed)
        self._training = Training(self._outcomes, prices, limits, trained)
        self._piloting = Piloting(self._outcomes, self._training, limits)
        self._order, self._runs = self._training.order, self._training.runs
        self._probing = Probing(configurations, view.gaps.problems, prices, self._order)
        self._unprobed = self._probing.probe((), 0)

    def best(self, *, now: bool) -> Planned:
        probes = [self._unprobed] if now else [self._unprobed, *self._probes()]
        plans = [plan for probe in probes for plan in self._after(probe)]
        if not now:
            plans += [plan for probe in probes for plan in self._piloting.plans(self._shown(probe), probe)]
        if self._limits.learns and not now:
            plans += list(self._runs_first())
        top = max(plan.gain for plan in plans)
        chosen = min((plan for plan in plans if plan.gain >= top - TOLERANCE), key=_effort)
        kinds: dict[tuple[bool, bool, int, int, bool], Plan] = {}
        for plan in sorted(plans, key=lambda plan: (-plan.gain, plan.hours)):
            kinds.setdefault(plan.kind, plan)
        others = [plan for plan in kinds.values() if plan.kind != chosen.kind]
        exact = self._outcomes.signal(None)
        leader = self._order[0]
        return Planned(
            plan=chosen if chosen.gain >= max(self._limits.least, self._limits.had + TOLERANCE) else None,
            considered=(chosen, *others[: SHOWN - 1]),
            naive=self._naive(),
            without=max(float(self._outcomes.centre[leader]), self._limits.had),
            at_once=max(plan.gain for plan in plans if not plan.waits),
            more=self._one_more(chosen),
            law_share=float(np.clip(exact.left[leader, leader] / self._outcomes.cov[leader, leader], 0.0, 1.0)),
        )

    def _probes(self) -> Iterator[Probe]:
        """Probes of all, and of the more promising half, that leave the hours of a run."""
        half = max(2, -(-len(self._order) // 2), self._runs + 1)
        room = self._limits.hours - self._training.least()
        for size in dict.fromkeys((len(self._order), min(half, len(self._order)))):
            if size >= 2:
                yield from self._probing.grown(self._order[:size], room)

    def _after(self, probe: Probe) -> Iterator[Plan]:
        """Train after a probe: all runs at once, or some in turn."""
        signal = self._shown(probe)
        yield from self._training.plans(signal, self._runs, probe)
        if not self._limits.learns or not probe.rollouts:
            return  # without a probe, the runs of `_runs_first` are better chosen
        for turn in FIRST:
            if turn < self._runs and self._training.fits(turn, probe.hours):
                trained = self._training.best(signal.mean, turn)
                told = self._outcomes.learned(signal, trained)
                yield from self._training.plans(told, self._runs, probe, trained=trained)

    def _shown(self, probe: Probe) -> Signal:
        return self._outcomes.signal(probe.totals) if probe.rollouts else self._outcomes.nothing()

    def _runs_first(self) -> Iterator[Plan]:
        """Train the runs that teach most, then probe those that look best by them, and train the rest."""
        outcomes, first = self._outcomes, tuple[int, ...]()
        upper = outcomes.centre + np.sqrt(np.diag(outcomes.cov))
        hopeful = sorted(self._order, key=lambda row: -upper[row])[:HOPEFUL]
        for number in FIRST:
            if number >= self._runs or not self._training.fits(number, 0.0):
                return
            first = max(((*first, row) for row in hopeful if row not in first), key=self._taught)
            trained = self._trained(first)
            told = outcomes.learned(outcomes.nothing(), trained)
            yield from self._training.plans(told, self._runs, self._unprobed, trained=trained, first=first)
            others = [row for row in self._order if row not in first]
            room = self._limits.hours - float(self._prices.run[list(first)].sum()) - self._training.least()
            half = max(2, -(-len(others) // 2), self._runs - number + 1)
            for size in dict.fromkeys((len(others), min(half, len(others)))):
                if size < 2:
                    continue
                places = self._training.best(told.mean, size, first)
                for probe in self._probing.grown(others[:size], room):
                    totals = self._probing.totals(others, probe.problems)
                    probed = outcomes.learned(outcomes.signal(totals), trained)
                    both = self._of(told, probed, places)
                    yield from self._training.plans(both, self._runs, probe, trained=trained, first=first)

    def _of(self, told: Learned, probed: Learned, places: IndexArray) -> Learned:
        """Take what each draw has probed, the (m, p) places, from ``probed``, and all else from ``told``."""
        both = told._replace(mean=told.mean.copy(), var=told.var.copy())
        rows = np.arange(len(places))[:, None]
        for of_seed in range(0, both.mean.shape[1], len(self._prices.run)):
            both.mean[rows, places + of_seed] = probed.mean[rows, places + of_seed]
            both.var[rows, places + of_seed] = probed.var[rows, places + of_seed]
        return both

    def _trained(self, first: tuple[int, ...]) -> IndexArray:
        """(m, p) the same runs in each draw."""
        return np.broadcast_to(np.array(first), (len(self._outcomes.draws), len(first)))

    def _taught(self, first: tuple[int, ...]) -> float:
        trained = self._trained(first)
        told = self._outcomes.learned(self._outcomes.nothing(), trained)
        plans = self._training.plans(told, self._runs, self._unprobed, trained=trained, first=first)
        return max((plan.gain for plan in plans), default=-np.inf)

    def _naive(self) -> float:
        """Every configuration's own probe, or as much of it as the budget leaves, and the first is trained."""
        room = self._limits.hours - float(self._prices.run[self._order].max())
        most = int(self._limits.own[self._order].max())
        signal, probed = self._outcomes.nothing(), self._unprobed
        for problems in (most, *(size for size in reversed(list(self._probing.sizes())) if size < most)):
            totals = self._probing.totals(self._order, np.minimum(problems, self._limits.own))
            probe = self._probing.priced(self._order, problems, totals)
            if probe.hours <= room or not np.isfinite(room):
                signal, probed = self._outcomes.signal(totals), probe
                break
        return next(self._training.plans(signal, 1, probed)).gain

    def _one_more(self, chosen: Plan) -> float:
        """What a run more than the limit would add, after the chosen plan's probes, however long it takes."""
        if chosen.runs < self._limits.runs or chosen.runs >= self._training.most:
            return 0.0
        probe = self._probing.probe(chosen.probed, chosen.problems)
        plans = list(self._training.plans(self._shown(probe), chosen.runs + 1, probe, hours=np.inf))
        return max(plans[-1].gain - chosen.gain, 0.0)


def _effort(plan: Plan) -> tuple[float, bool, float]:
    """Order plans by their hours in two digits; then those come last that wait for some runs before others go on."""
    return float(f"{plan.hours:.2g}"), plan.waits, plan.hours
