"""The study of docs/measurements.md: its plan can be asked for, and what is stored belongs to it."""

from gapcast.contract.training import TrainingRunRequest
from studies.links.plan import CELLS
from studies.links.run import PROBES, RUNS, observed, stored


def test_every_cell_is_a_run_that_can_be_asked_for() -> None:
    assert len({cell.id for cell in CELLS}) == len(CELLS)
    asked = [TrainingRunRequest.model_validate(cell.request) for cell in CELLS]
    assert len({(one.model_dump_json()) for one in asked}) == len(CELLS)


def test_what_is_stored_is_what_was_planned() -> None:
    planned = {cell.id: cell for cell in CELLS}
    runs = stored(RUNS)
    for name, row in runs.items():
        assert {part: row[part] for part in planned[name]._fields} == planned[name]._asdict()
    assert runs.keys() == planned.keys()
    models = {cell.model for cell in CELLS}
    assert {probe["model"] for probe in stored(PROBES).values()} == models


def test_a_stored_run_keeps_what_the_law_asks_for() -> None:
    estimate = {"value": 0.1, "se": 0.02, "problems": 128}
    row = dict.fromkeys(("family", "cell", "parameters", "baseline", "cov", "collapsed"), 1)
    told = {"held_out": {"improvement": estimate}, "steps": 150, "cost": {"seconds": 12.34}}
    kept = observed(row | {"gap": estimate, "improvement": estimate, "provenance": told})
    assert kept["gap"] == {"value": 0.1, "se": 0.02}
    assert (kept["steps"], kept["seconds"]) == (150, 12.3)
