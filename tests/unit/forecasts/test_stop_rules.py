"""The rule that stops a hopeless run, as a pool's finished runs teach it."""

from typing import NamedTuple

import pytest

from gapcast.contract.forecasts import ForecastGiven
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import Recipe
from service.fits.asked import Asked
from service.fits.service import Current, current
from service.forecasts import rules
from service.forecasts.forecasting import Forecaster, Run, Standing
from service.forecasts.standing import About, standing
from service.kit.database import Database
from service.law.curve import ALPHA
from tests.support.training_results import evaluation

LAB = "lab"


class Stop(NamedTuple):
    error: float | None = 0.05
    alpha: float | None = None
    cold: bool = False


@pytest.fixture
def lab(database: Database) -> Current:
    return current(database, "local", LAB)


class TestRuleFor:
    def test_the_lab_pool_teaches_one(self, database: Database, lab: Current) -> None:
        with database.read() as session:
            found = rules.rule_for(session, lab.fit, 0.0, Stop())
            again = rules.rule_for(session, lab.fit, 0.0, Stop())
            stricter = rules.rule_for(session, lab.fit, 0.0, Stop(error=0.2))
            own = rules.rule_for(session, lab.fit, 0.0, Stop(error=None, alpha=0.3))
        assert found == again
        assert (found.learnt, found.good_runs, found.error) == (True, 33, 0.05)
        assert 0 < found.threshold < 1
        assert found.threshold < stricter.threshold
        assert (own.threshold, own.learnt) == (0.3, False)

    def test_too_few_good_runs_teach_none(self, database: Database, lab: Current) -> None:
        with database.read() as session:
            found = rules.rule_for(session, lab.fit, 0.6, Stop())
        assert (found.learnt, found.threshold, found.error) == (False, ALPHA, 0.05)
        assert found.good_runs < 19


class TestGiven:
    def test_a_child_forecasts_as_the_service_does(self, database: Database, lab: Current) -> None:
        asked = Asked(
            family="lab-qwen3",
            task="lab/addition",
            recipe=Recipe(),
            training_problems=128,
            context=None,
            model="lab/addition-qwen3-s",
        )
        with database.read() as session:
            here = standing(session, lab, About(asked, None, 0.05))
            here = here._replace(rule=rules.rule_for(session, lab.fit, 0.05, Stop()))
        there = Standing.read(ForecastGiven.model_validate_json(here.given.model_dump_json()))
        looks = [
            evaluation(step=15 * place, accuracy=0.25, improvement=Difference(value=gain, se=0.025))
            for place, gain in enumerate((0.01, -0.02, 0.0, -0.05, -0.04), start=1)
        ]
        run = Run.of(0.25, Difference(value=0.3, se=0.03), looks, 150)
        one, other = Forecaster(here), Forecaster(there)
        for count in (1, 3, 5):
            seen = Run.of(0.25, Difference(value=0.3, se=0.03), looks[:count], 150)
            assert other.forecast(seen) == one.forecast(seen)
        whole = one.forecast(run)
        first = one.forecast(Run.of(0.25, Difference(value=0.3, se=0.03), looks[:1], 150)).now
        assert whole.looks[0].expected == pytest.approx(first.expected, abs=1e-9)
        assert whole.looks[0].p_above_min_gain == pytest.approx(first.p_above_min_gain, abs=1e-9)
        assert (whole.curves.runs, whole.curves.cold) == (36, False)
        assert here.rule is not None
        assert [there.stops(each) for each in whole.looks] == [
            each.p_above_min_gain < here.rule.threshold for each in whole.looks
        ]
        assert there.stops(whole.now)
        assert not there._replace(rule=None).stops(whole.now)
