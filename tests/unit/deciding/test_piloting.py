"""Plans that pilot several configurations and finish the best."""

from collections.abc import Sequence

import numpy as np
import pytest

from service.deciding import Limits, Outlook, Planned, Prices, make_plan, outlook
from service.deciding.planning import piloting
from service.deciding.planning.piloting import PILOT_SHARE
from service.deciding.planning.plans import Plan
from service.law import GapLaw
from tests.unit.deciding.conftest import configurations, known

NOT_KNOWN = 1e9
"""standard deviation of a pilot that shows nothing"""


def view_of(law: GapLaw, gaps: Sequence[float]) -> Outlook:
    return outlook([law], configurations(len(gaps)), known(gaps, 512), np.random.SeedSequence(0))


def planned(
    law: GapLaw,
    gaps: Sequence[float],
    *,
    hours: float = np.inf,
    runs: int = 2,
    run: float | Sequence[float] = 1.0,
    rollout: float = 1.0,
    pilots: bool = True,
    now: bool = False,
) -> Planned:
    P = len(gaps)
    prices = Prices(np.broadcast_to(run, P).astype(float), np.full(P, rollout), np.full(P, 128.0 * 12))
    limits = Limits(hours, runs, False, 0.0, np.full(P, 128.0), 0.0004, pilots=pilots)
    return make_plan(configurations(P), view_of(law, gaps), prices, limits, now=now)


def with_pilots(found: Planned) -> list[Plan]:
    return [plan for plan in found.considered if plan.piloted]


ALIKE = [0.30, 0.29, 0.28]


def test_where_runs_scatter_and_two_are_too_dear_three_are_piloted_and_the_best_is_finished(blunt: GapLaw) -> None:
    found = planned(blunt, ALIKE, hours=1.4)
    assert found.plan is not None
    assert (found.plan.piloted, found.plan.runs, found.bottleneck) == (3, 1, "pilots")
    assert found.plan.train == (0, 1, 2)
    assert found.plan.hours == pytest.approx(1.4)
    assert found.plan.gain > found.without + 0.02
    assert found.at_once == pytest.approx(found.without), "one run at once"


def test_where_runs_scatter_little_none_is_piloted(sharp: GapLaw) -> None:
    found = planned(sharp, ALIKE, hours=1.4)
    assert found.plan is not None
    assert (found.plan.piloted, found.plan.runs) == (0, 1)


def test_a_pilot_that_shows_the_end_is_worth_the_best_of_those_piloted(
    blunt: GapLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piloting, "PILOT_SD", 0.0)
    [plan] = with_pilots(planned(blunt, ALIKE, hours=1.4))
    assert plan.gain == pytest.approx(view_of(blunt, ALIKE).draws.max(axis=1).mean(), abs=1e-6)


def test_a_pilot_that_shows_nothing_is_worth_nothing(blunt: GapLaw, monkeypatch: pytest.MonkeyPatch) -> None:
    real = max(plan.gain for plan in with_pilots(planned(blunt, ALIKE, hours=1.4)))
    monkeypatch.setattr(piloting, "PILOT_SD", NOT_KNOWN)
    found = planned(blunt, ALIKE, hours=1.4)
    assert found.plan is not None
    assert found.plan.piloted == 0
    [plan] = with_pilots(found)
    assert plan.gain == pytest.approx(found.without, abs=1e-3)
    assert plan.gain < real - 0.02


@pytest.mark.parametrize("hours", [1.19, 1.4, 2.3])
@pytest.mark.parametrize("rollout", [1.0, 1e-5], ids=["dear probes", "probes"])
def test_hours_stay_within_the_budget(blunt: GapLaw, hours: float, rollout: float) -> None:
    for run in (1.0, [0.9, 1.3, 0.8]):
        found = planned(blunt, ALIKE, hours=hours, runs=3, run=run, rollout=rollout)
        assert all(plan.hours <= hours + 1e-9 for plan in found.considered)
        assert bool(with_pilots(found)) == (hours >= (1.2 if run == 1.0 else 0.2 * (0.9 + 0.8) + 0.8 * 0.9))


@pytest.mark.parametrize(("runs", "piloted"), [(1, 0), (2, 6)])
def test_a_pilot_is_a_share_of_a_run_of_the_budget(blunt: GapLaw, runs: int, piloted: int) -> None:
    found = planned(blunt, [0.3] * 8, runs=runs)
    assert max((plan.piloted for plan in found.considered), default=0) == piloted
    for plan in with_pilots(found):
        assert PILOT_SHARE * plan.piloted + (1 - PILOT_SHARE) * plan.runs <= runs


def test_none_is_piloted_where_that_cannot_be(blunt: GapLaw) -> None:
    assert with_pilots(planned(blunt, ALIKE, hours=1.4))
    assert not with_pilots(planned(blunt, ALIKE, hours=1.4, pilots=False))
    assert not with_pilots(planned(blunt, ALIKE, hours=1.4, now=True))
