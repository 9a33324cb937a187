"""One rule says which runs have collapsed; who sends a row may know better."""

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.collapse import has_collapsed
from gapcast.contract.observations import ObservationIn
from service.observations.measuring import prepare
from tests.support.rows import run


@pytest.mark.parametrize(
    ("improvement", "se", "expected"),
    [(-0.2, 0.02, True), (-0.1, 0.02, False), (-0.2, 0.15, False), (0.3, 0.02, False), (-0.15, 0.02, False)],
)
def test_more_than_half_of_the_baseline_beyond_noise(improvement: float, se: float, expected: bool) -> None:
    assert has_collapsed(0.3, improvement, se) is expected


def test_an_imported_row_is_marked_unless_it_says_it_itself() -> None:
    lost = {"value": -0.3, "se": 0.02}
    for row, is_marked in (
        ({"improvement": lost}, True),
        ({"improvement": lost, "collapsed": False}, False),
        ({"improvement": {"before": [4] * 8, "after": [1] * 8, "rollouts": 4}}, True),
        ({"improvement": None, "held_out": lost}, True),
        ({"improvement": None, "held_out": lost | {"baseline": 0.9}}, False),
        ({"held_out": lost}, False),  # the training problems count where both are known
    ):
        prepared = prepare(ObservationIn.model_validate(run(baseline=0.4, **row)))
        assert (prepared.values.collapsed, prepared.is_marked) == (is_marked, is_marked), row


def test_a_row_from_before_the_rule_is_the_same_row_still(client: TestClient) -> None:
    row = run(external_id="r1", baseline=0.4, improvement={"value": -0.3, "se": 0.02})
    first = client.post("/v1/observations", json={"observations": [row]}).json()
    assert [one["code"] for one in first["warnings"]] == ["marked_collapsed"]
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql("UPDATE observations SET collapsed = false")
    again = client.post("/v1/observations", json={"observations": [row]})
    assert (again.status_code, again.json()["ids"]) == (200, first["ids"])
    said = client.post("/v1/observations", json={"observations": [row | {"collapsed": True}]})
    assert said.status_code == 409, "the row says it now, and said nothing before"
