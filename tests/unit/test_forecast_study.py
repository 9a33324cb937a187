"""The study of forecasts: its plan can be trained, and what is stored belongs to it."""

import numpy as np
import pytest

from studies.forecasts.plan import LOOKS, Planned, plan
from studies.forecasts.report import SHARES, said
from studies.forecasts.run import stored
from studies.forecasts.seen import looks, rollouts


def test_the_first_runs_are_of_all_worlds_and_contexts() -> None:
    planned = plan()
    assert len({each.name for each in planned}) == len(planned) == 104
    assert len({(each.world, each.teacher, each.context) for each in planned[:24]}) == 24


@pytest.mark.parametrize("planned", plan()[:3])
def test_a_planned_run_has_a_look_at_each_share(planned: Planned) -> None:
    configuration = planned.configuration("0" * 40, "1")
    steps, every = configuration.recipe.steps, configuration.evaluate_every
    assert steps % every == 0
    assert steps // every == LOOKS
    assert all((share * steps) % every == pytest.approx(0) for share in SHARES)


def test_what_is_stored_was_planned_and_has_all_its_looks() -> None:
    planned = {each.name: each for each in plan()}
    rows = stored()
    assert len({row["name"] for row in rows}) == len(rows) > 24
    for row in rows:
        assert {part: row[part] for part in Planned._fields} == planned[row["name"]]._asdict()
        assert len(row["curve"]) == LOOKS
        curve = looks(row)
        np.testing.assert_allclose(curve.t, np.arange(1, LOOKS) / LOOKS)
        own = rollouts(row, 0.1)
        assert own is not None
        assert own.t.max() < 0.1


def test_the_score_of_a_normal_is_its_own() -> None:
    rng = np.random.default_rng(0)
    draws = np.sort(rng.normal(0.2, 0.1, 200_000))
    found = said(0.2, np.quantile(draws, np.arange(1, 200) / 200), 0.3)
    assert found.crps == pytest.approx(0.1 * 0.6024, rel=0.02)  # of a normal one sd off (Gneiting and Raftery, 2007)
    assert found.lower == pytest.approx(0.004, abs=0.005)
    assert found.upper == pytest.approx(0.396, abs=0.005)
