"""What the page is told of stored observations, through the whole application."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.fits import analysis, service, summary
from tests.rows import Row, run

Body = dict[str, Any]
POOL = {"pool": "team"}


def line(slope: float, n: int, seed: int, **change: Any) -> list[Row]:
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0, 0.35, n)
    noise = rng.normal(0, 0.02, (2, n))
    return [
        run(
            gap={"value": float(gap + first), "se": 0.02},
            improvement={"value": float(slope * gap + second), "se": 0.02},
            **change,
        )
        for gap, first, second in zip(gaps, *noise, strict=True)
    ]


def post(client: TestClient, rows: list[Row]) -> list[str]:
    answer = client.post("/v1/observations", params=POOL, json={"observations": rows})
    assert answer.status_code == 201, answer.text
    client.get("/v1/fits/current", params=POOL)
    ids: list[str] = answer.json()["ids"]
    return ids


def chart(client: TestClient, **query: str) -> Body:
    content: Body = client.get("/web/chart.json", params=POOL | query).json()
    return content


def of_fit(client: TestClient, name: str) -> Body:
    response = client.get(f"/web/{name}.json", params={"fit": chart(client)["fit"]["id"]})
    assert response.status_code == 200, response.text
    content: Body = response.json()
    return content


def test_excluded_rows_and_outliers_are_told_apart(client: TestClient) -> None:
    rows = line(1.2, 15, 2)
    rows[4]["improvement"] = {"value": -0.3, "se": 0.02}
    rows[6]["collapsed"] = True
    ids = post(client, rows)
    client.patch(f"/v1/observations/{ids[9]}", json={"excluded": True, "reason": "wrong split"})
    client.get("/v1/fits/current", params=POOL)
    found = chart(client)
    marked = {index: (one["mark"], one["note"]) for index, one in enumerate(found["observations"]) if one["mark"]}
    weight = {one["id"]: one["weight"] for one in client.get(f"/v1/fits/{found['fit']['id']}/residuals").json()["data"]}
    assert weight[ids[4]] < 0.01
    assert marked == {
        4: ("outlier", "outlier, weight < 0.01"),
        6: ("outlier", "no, stored as collapsed"),
        9: ("excluded", "no, excluded: wrong split"),
    }
    assert len(found["spec"]["datasets"]["outliers"]) == 2
    assert found["fit"]["n"] == 14
    assert found["message"] == "All 13 observations in pool team are of qwen3. 1 more is stored as collapsed."


def test_rows_of_a_large_pool_are_not_fitted_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    post(client, line(1.2, 6, 2) + line(0.8, 6, 3, parameters=1e9))
    monkeypatch.setattr(service, "AT_ONCE", 5)
    monkeypatch.setattr(analysis, "diagnosed", lambda *_: pytest.fail("refitted"))
    monkeypatch.setattr(analysis, "scale", lambda *_: pytest.fail("refitted"))
    found = chart(client)
    assert not [one for one in found["observations"] if one["mark"]]
    assert "Outliers of a pool of this size are not marked" in found["message"]
    assert of_fit(client, "sizes") == {"families": []}


def test_a_pool_that_is_not_fitted_yet_is_drawn_without_its_law(client: TestClient) -> None:
    client.app.state.gapcast.refitter.stop()  # type: ignore[attr-defined]
    client.post("/v1/observations", params=POOL, json={"observations": line(1.2, 5, 2)})
    found = chart(client)
    assert (found["fit"], found["level"], len(found["observations"])) == (None, None, 5)
    assert "not fitted" in found["message"]


def test_an_unknown_pool_is_told_in_the_apis_words(client: TestClient) -> None:
    api = client.get("/v1/fits/current", params={"pool": "nothing"}).json()
    assert api["code"] == "unknown_pool"
    assert chart(client, pool="nothing")["message"] == api["detail"]


def test_drift_is_an_alarm(client: TestClient) -> None:
    post(client, line(1.5, 12, 8, version="1") + line(1.5, 12, 9, version="2"))
    assert chart(client)["alarms"] == []
    post(client, line(0.3, 12, 10, version="3"))
    [alarm] = chart(client)["alarms"]
    assert "versions of qwen3 follow different lines: 1 (12), 2 (12) and 3 (12)" in alarm


def test_a_fit_that_was_not_tested_for_drift_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MOST_ROWS_FOR_DRIFT", 5)
    post(client, line(1.2, 12, 8))
    assert chart(client)["message"].endswith("Drift was not tested.")


def test_slopes_by_size(client: TestClient) -> None:
    post(client, line(0.6, 12, 3, parameters=1e9) + line(1.6, 12, 4, parameters=1e10) + line(1, 5, 5, family="one"))
    [found] = of_fit(client, "sizes")["families"]
    assert found["name"] == "qwen3"
    assert "at 1B and" in found["message"]
    assert "at 10B parameters; they differ" in found["message"]


def test_outcomes_come_with_the_intervals_that_were_promised(client: TestClient) -> None:
    post(client, line(1.2, 12, 6))
    assert of_fit(client, "outcomes")["spec"] is None
    gap = {"value": 0.2, "se": 0.02}
    asked = {
        "model": {"name": "m", "family": "qwen3"},
        "task": "livecodebench-v6",
        "context": {"kind": "feedback"},
        "gap": gap | {"student": 0.4},
        "pool": "team",
    }
    predicted = [client.post("/v1/predictions", json=asked).json() for _ in range(3)]
    narrow, wide = predicted[0]["improvement"]["intervals"]
    assert (narrow["level"], wide["level"]) == (0.8, 0.95)
    came = [0.24, (narrow["upper"] + wide["upper"]) / 2, 0.59]
    rows = [
        run(gap=gap, improvement={"value": outcome, "se": 0.02}, prediction_id=prediction["id"])
        for prediction, outcome in zip(predicted, came, strict=True)
    ]
    post(client, rows)
    found = of_fit(client, "outcomes")
    assert found["message"].startswith("Of 3 outcomes, 1 came inside their 80 % interval (33 %, ")
    assert "and 2 came inside their 95 % interval (67 %, " in found["message"]
    newest_first = found["outcomes"]
    assert [one["inside"] for one in newest_first] == [False, True, True]
    assert [one["outcome"] for one in newest_first] == pytest.approx(came[::-1])
    assert [one["prediction_id"] for one in newest_first] == [one["id"] for one in predicted[::-1]]
    assert newest_first[2]["interval"] == pytest.approx([wide["lower"], wide["upper"]], abs=1e-6)
    assert len(found["spec"]["datasets"]["outside"]) == 1


def test_a_fit_that_is_not_there_is_a_problem(client: TestClient) -> None:
    for name in ("sizes", "outcomes"):
        assert client.get(f"/web/{name}.json", params={"fit": "fit_1"}).status_code == 404
