"""How forecasts and the rule of stopping do on finished runs: figures, their words, and the endpoint that has them."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from gapcast import words
from service.forecasts.calibrating import of_forecasts
from service.forecasts.leaving_out import LeftOut
from service.law.curve import FEWEST, GRID, Cell, Curve, Forecast, cell

SHARES = np.array([0.05, 0.1, 0.2, 0.5, 0.9])
WARM, COLD = Cell(FEWEST, cell([]).weight), cell([])


def run(end: float, expected: float, fold: int, known: Cell = WARM, sd: float = 0.05) -> LeftOut:
    """Make a run whose forecast is the same normal at every look; its looks show half of its end."""
    curve = Curve(SHARES, np.full(5, end / 2), np.full(5, 1e-6), 1e-6)
    density = np.exp(-0.5 * ((GRID - expected) / sd) ** 2)
    whole = np.tile(density / density.sum(), (5, 1))
    return LeftOut(end, curve, Forecast(whole, whole, curve.var, 0.4), known, fold)


GOOD = [run(0.3, 0.28 + place / 500, place % 4) for place in range(40)]
BAD = [run(-0.1, -0.08, place) for place in range(4)]


class TestOfForecasts:
    def test_coverage_and_error_by_share(self) -> None:
        found = of_forecasts([run(0.2, 0.25, 0), run(0.2, 0.4, 1)])
        assert found is not None
        assert [one.share for one in found.at] == [0.05, 0.1, 0.2, 0.5]  # none of 30 %
        assert {one.runs for one in found.at} == {2}
        assert {one.coverage for one in found.at} == {0.5}
        at = found.at[0]
        assert at.mae == pytest.approx(0.125, abs=1e-3)
        assert at.last_value_mae == pytest.approx(0.1)
        assert at.width == pytest.approx(2 * 1.96 * 0.05, rel=0.02)
        assert at.lower < 0.5 < at.upper

    def test_a_rule_that_other_contexts_teach_stops_what_is_bad(self) -> None:
        found = of_forecasts(GOOD + BAD)
        assert found is not None
        stops = found.stops[1]
        assert (stops.min_gain, stops.error, stops.learnt) == (0.05, 0.05, True)
        assert (stops.good, stops.good_stopped, stops.bad) == (40, 1, 4)  # the lowest of them, as others do not know it
        assert stops.saved == pytest.approx(0.95)

    def test_runs_of_cold_cells_are_let_finish_and_teach_nothing(self) -> None:
        found = of_forecasts([one._replace(cell=COLD) for one in GOOD + BAD])
        assert found is not None
        assert found.cold == 44
        assert [one.saved for one in found.stops] == [0.0, 0.0, 0.0]
        assert not any(one.learnt for one in found.stops)

    def test_without_runs_there_is_nothing_to_say(self) -> None:
        assert of_forecasts([]) is None


class TestWords:
    def test_they_say_what_was_held_and_what_was_stopped(self) -> None:
        found = of_forecasts(GOOD + BAD)
        assert found is not None
        said = words.forecasts(found)
        assert said.startswith(
            "Of 44 finished runs, forecast without their context, the 95 % interval held the end of 100 % at 5 %, "
        )
        stopped = "the rule would have stopped 1 of 40 runs that gained more than 0.0"
        assert f"With a stated error of 5 % {stopped} and saved 95 % of the steps of the other 4" in said


@pytest.mark.slow
def test_the_lab_pool_has_it(client: TestClient) -> None:
    fit = client.get("/v1/fits/current", params={"pool": "lab"}).json()
    found = client.get(f"/v1/fits/{fit['id']}/calibration").json()["forecasts"]
    assert (found["runs"], found["cold"]) == (36, 0)
    at = {one["share"]: one for one in found["at"]}
    assert list(at) == [0.1, 0.2, 0.3, 0.5]
    assert all(one["coverage"] >= 0.85 for one in at.values())
    assert at[0.5]["mae"] < at[0.1]["mae"] < 0.08
    assert at[0.3]["mae"] < at[0.3]["last_value_mae"] + 0.01
    assert [one["good"] + one["bad"] for one in found["stops"]] == [36, 36, 36]
    empty = client.get("/v1/fits/current", params={"pool": "published"}).json()
    assert client.get(f"/v1/fits/{empty['id']}/calibration").json()["forecasts"] is None
