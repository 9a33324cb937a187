"""What the page is told of stored observations, through the whole application."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from fastapi.testclient import TestClient

from gapcast.words import between, points
from service.fits import analysis, service, summary
from service.fits.models import Fit
from tests.support.markup import Elements
from tests.support.rows import Row, run

pytestmark = pytest.mark.slow

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


FROZEN = {"teacher": "frozen", "divergence": "forward_kl"}
EMA = {"teacher": "ema", "divergence": "reverse_kl"}


def bent(n: int, seed: int, *, widest: float = 0.4, **change: Any) -> list[Row]:
    """Runs under a teacher that moves: they gain three times the gap at first and saturate at 58 points."""
    rng = np.random.default_rng(seed)
    gaps = np.linspace(0, widest, n)
    gains = 0.58 * (1 - np.exp(-3 * gaps / 0.58)) + rng.normal(0, 0.015, n)
    return [
        run(
            gap={"value": float(gap), "se": 0.01},
            improvement={"value": float(gain), "se": 0.02},
            baseline=0.42,
            recipe=EMA,
            **change,
        )
        for gap, gain in zip(gaps, gains, strict=True)
    ]


def predict(client: TestClient, gap: float, student: float = 0.42, **change: Any) -> Body:
    asked = {
        "model": {"name": "m", "family": "qwen3"},
        "task": "livecodebench-v6",
        "context": {"kind": "feedback"},
        "recipe": EMA,
        "gap": {"value": gap, "se": 0.02, "student": student},
        "pool": "team",
    }
    response = client.post("/v1/predictions", json=asked | change)
    assert response.status_code == 200, response.text
    prediction: Body = response.json()
    return prediction


def steps(rows: list[Body]) -> list[float]:
    """How much the curve that is drawn rises from each of its points to the next."""
    return [float(one) for one in np.diff([row["mean"] for row in rows])]


def post(client: TestClient, rows: list[Row]) -> list[str]:
    answer = client.post("/v1/observations", params=POOL, json={"observations": rows})
    assert answer.status_code == 201, answer.text
    current(client)
    ids: list[str] = answer.json()["ids"]
    return ids


def current(client: TestClient) -> str:
    fit: str = client.get("/v1/fits/current", params=POOL).json()["id"]
    return fit


def asked(client: TestClient, law: Body) -> Body:
    return POOL | {"fit": current(client)} | ({"law": urlencode(law)} if law else {})


def about(client: TestClient, **law: str) -> Elements:
    """What the page says of a law: a family's and perhaps a recipe's, or the largest."""
    answer = client.get("/law/about", params=asked(client, law))
    assert answer.status_code == 200, answer.text
    return Elements(answer.text)


def message(client: TestClient, **law: str) -> str:
    return about(client, **law).text_of("p")


def name(client: TestClient, **law: str) -> str:
    """Whose law it is by the key."""
    return about(client, **law).text_of("span")


def read(client: TestClient, figure: str, **law: str) -> Body:
    answer = client.get(f"/law/{figure}.json", params=asked(client, law))
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def scatter(client: TestClient, **law: str) -> dict[str, list[Body]]:
    rows: dict[str, list[Body]] = read(client, "scatter", **law)["spec"]["datasets"]
    return rows


def laws(client: TestClient) -> dict[str, str]:
    """What the page offers to draw, by what it is asked for."""
    page = client.get("/law", params=POOL).text
    return {unescape(query): text for query, text in re.findall(r'<option value="(family=[^"]+)"[^>]*>([^<]+)', page)}


def chart(client: TestClient, prediction: Body) -> Body:
    content: Body = client.get("/web/chart.json", params={"prediction": prediction["id"]}).json()
    return content


def test_excluded_rows_and_outliers_are_told_apart(client: TestClient) -> None:
    rows = line(1.2, 15, 2)
    rows[4] |= {"improvement": {"value": -0.3, "se": 0.02}, "collapsed": False}
    rows[6]["collapsed"] = True
    ids = post(client, rows)
    client.patch(f"/v1/observations/{ids[9]}", json={"excluded": True, "reason": "wrong split"})
    found, fit = scatter(client), current(client)
    marked = {index: (one["mark"], one["note"]) for index, one in enumerate(found["observations"]) if one["mark"]}
    weight = {one["id"]: one["weight"] for one in client.get(f"/v1/fits/{fit}/residuals").json()["data"]}
    assert weight[ids[4]] < 0.01
    assert marked == {
        4: ("outlier", "outlier, weight < 0.01"),
        6: ("outlier", "no, stored as collapsed"),
        9: ("excluded", "no, excluded: wrong split"),
    }
    assert len(found["outliers"]) == 2
    key = about(client).text_of("[class=key]")
    assert "outlier: weight in the fit under 0.5 (2)" in key
    assert "excluded (1)" in key
    assert message(client) == (
        "All 13 observations in pool team are of qwen3. 1 more is stored as collapsed. Straight 93 %, saturating 7 %, "
        "drawn for a student at 40.0 % with 60.0 points to gain."
    )


def test_rows_of_a_large_pool_are_not_fitted_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    post(client, line(1.2, 6, 2) + line(0.8, 6, 3, parameters=1e9))
    monkeypatch.setattr(service, "AT_ONCE", 5)
    monkeypatch.setattr(analysis, "diagnosed", lambda *_: pytest.fail("refitted"))
    monkeypatch.setattr(analysis, "scale", lambda *_: pytest.fail("refitted"))
    assert not [one for one in scatter(client)["observations"] if one["mark"]]
    assert "Outliers of a pool of this size are not marked" in message(client)
    assert read(client, "sizes")["spec"] is None


def test_a_pool_that_is_not_fitted_yet_says_so_on_the_first_page(client: TestClient) -> None:
    client.app.state.gapcast.refitter.stop()  # type: ignore[attr-defined]
    client.post("/v1/observations", params=POOL, json={"observations": line(1.2, 5, 2)})
    page = Elements(client.get("/", params=POOL).text)
    assert "The law of pool team is being fitted." in page.text_of("#law")
    assert not page.named("figure")


def test_an_unknown_pool_is_told_in_the_apis_words(client: TestClient) -> None:
    api = client.get("/v1/fits/current", params={"pool": "nothing"}).json()
    assert api["code"] == "unknown_pool"
    answer = client.get("/", params={"pool": "nothing"})
    assert answer.status_code == 200, "people type its name"
    assert api["detail"] in Elements(answer.text).text_of("#law")


def test_the_first_page_draws_the_law_of_its_pool(client: TestClient) -> None:
    post(client, line(1.2, 5, 2))
    page = Elements(client.get("/", params=POOL).text)
    [figure] = page.named("figure")
    assert (figure["data-figure"], figure["data-query"]) == ("scatter", f"pool=team&fit={current(client)}")
    [address] = page.links("How its predictions turned out")
    assert address == f"/law?pool=team&fit={current(client)}#calibration"


def test_drift_is_an_alarm(client: TestClient) -> None:
    post(client, line(1.5, 12, 8, version="1") + line(1.5, 12, 9, version="2"))
    assert not about(client).has("li")
    post(client, line(0.3, 12, 10, version="3"))
    assert "versions of qwen3 follow different laws: 1 (12), 2 (12) and 3 (12)" in about(client).text_of("li")


def test_a_fit_that_was_not_tested_for_drift_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MOST_ROWS_FOR_DRIFT", 5)
    post(client, line(1.2, 12, 8))
    assert "Drift was not tested." in message(client)


def test_slopes_by_size_are_told_for_each_law_of_several_sizes(client: TestClient) -> None:
    frozen = line(0.6, 12, 3, parameters=1e9) + line(1.6, 12, 4, parameters=1e10)
    moving = bent(10, 1, parameters=1e9) + bent(10, 2, widest=0.2, parameters=3e9)
    post(client, frozen + moving + line(1, 5, 5, family="one"))
    of_moving, of_frozen = sorted(read(client, "sizes")["note"].split("\n"))
    assert of_frozen.startswith("qwen3, frozen, forward KL. Slope by model size (± SE): ")
    assert "at 10B parameters; they differ" in of_frozen
    assert of_moving.startswith("qwen3, co-moving, reverse KL. ")
    assert "at 3B parameters" in of_moving
    assert "The law may bend" in of_moving


def test_each_recipe_is_drawn_as_a_law_of_its_own(client: TestClient) -> None:
    post(client, line(1.0, 12, 1) + bent(14, 2))
    assert list(laws(client).items()) == [
        ("family=qwen3&teacher=ema&divergence=reverse_kl", "qwen3, co-moving, reverse KL (14)"),
        ("family=qwen3&teacher=frozen&divergence=forward_kl", "qwen3, frozen, forward KL (12)"),
    ]
    largest, frozen = scatter(client), scatter(client, family="qwen3", **FROZEN)
    assert steps(largest["curve"])[-1] < 0.3 * steps(largest["curve"])[0], "it bends"
    assert message(client).startswith(
        "All 14 observations in pool team with a co-moving teacher are of qwen3. The pool's other 12 observations "
        "follow another law. Saturating, drawn for"
    )
    assert steps(frozen["curve"])[-1] > 0.8 * steps(frozen["curve"])[0]
    for found, wanted in ((largest, "EMA, reverse KL"), (frozen, "frozen, forward KL")):
        assert {one["recipe"] for one in found["observations"] if one["focus"]} == {wanted}
        assert len(found["observations"]) == 26


def test_a_family_that_is_named_alone_shows_the_recipe_of_most_of_its_runs(client: TestClient) -> None:
    post(client, line(1.0, 8, 1) + bent(5, 2) + bent(14, 3, family="other"))
    assert name(client, family="qwen3") == "law of qwen3, frozen, forward KL"
    assert name(client, family="new") == "law of new, co-moving, reverse KL"
    assert message(client, family="new").startswith(
        "None of the 19 observations in pool team with a co-moving teacher is of new:"
    )


def test_what_a_law_rests_on_is_its_divergence_or_all_of_its_teacher_rule(client: TestClient) -> None:
    reverse = {"teacher": "frozen", "divergence": "reverse_kl"}
    rows = [row for family in ("qwen3", "b", "c") for row in line(1.0, 5, 1, family=family)]
    post(client, rows + [row for family in ("qwen3", "b") for row in line(1.4, 4, 2, family=family, recipe=reverse)])
    own = message(client, family="qwen3", **FROZEN)
    assert own.startswith("5 of the 15 observations in pool team with a frozen teacher and forward KL are of qwen3;")
    assert "The pool's other 8 observations follow another law." in own
    shared = message(client, family="qwen3", **reverse)
    assert shared.startswith("9 of the 23 observations in pool team are of qwen3;"), "one other cell is too few"


def test_runs_without_a_recipe_have_a_law_too(client: TestClient) -> None:
    post(client, line(1.0, 8, 1, recipe=None) + line(1.0, 5, 2))
    assert list(laws(client).items()) == [
        ("family=qwen3&teacher=ema", "qwen3, recipe unknown (8)"),
        ("family=qwen3&teacher=frozen&divergence=forward_kl", "qwen3, frozen, forward KL (5)"),
    ]
    assert name(client) == name(client, family="qwen3", teacher="ema") == "law of qwen3, recipe unknown"


def test_a_prediction_is_drawn_on_its_own_law_for_its_own_student(client: TestClient) -> None:
    post(client, line(1.0, 20, 1) + bent(14, 2))
    able, weak = (predict(client, 0.3, student) for student in (0.65, 0.42))
    found, other = (chart(client, one) for one in (able, weak))
    curves = [one["spec"]["datasets"]["curve"] for one in (found, other)]
    highest = [max(row["mean"] for row in rows) for rows in curves]
    assert highest[0] < 35 < 45 < highest[1]
    assert "All 14 observations in pool team with a co-moving teacher are of qwen3." in found["message"]
    assert (
        "drawn for a student at 65.0 % with 35.0 points to gain; its runs' students are at 42.0 %" in found["message"]
    )
    [point] = found["spec"]["datasets"]["prediction"]
    assert point["mean"] == pytest.approx(100 * able["improvement"]["value"])
    places = [(row["gap"], row["mean"]) for row in curves[0]]
    assert np.interp(30, *zip(*places, strict=True)) == pytest.approx(point["mean"], abs=2)


def test_both_sides_of_an_undecided_law_are_drawn(client: TestClient) -> None:
    post(client, bent(8, 5, widest=0.1))
    prediction = predict(client, 0.3)
    straight, saturating = prediction["improvement"]["branches"]
    drawn = chart(client, prediction)["spec"]["datasets"]
    for side in (straight, saturating):
        [row] = drawn[side["link"]]
        widest = side["intervals"][-1]
        assert (row["gap"], row["value"]) == pytest.approx((30, 100 * side["value"]))
        assert (row["lower"], row["upper"]) == pytest.approx((100 * widest["lower"], 100 * widest["upper"]))
    assert drawn["linear"][0]["value"] > drawn["saturating"][0]["value"]


def test_a_fit_from_before_recipes_were_told_apart_is_one_law_for_all(client: TestClient) -> None:
    post(client, line(1.0, 4, 1, family="f0") + bent(2, 2, family="f0") + line(1.0, 4, 3, family="f1"))
    before = Path(__file__).parents[1] / "law" / "record_of_the_line.json"
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        fit = session.get(Fit, current(client))
        fit.record = json.loads(before.read_text())
    for kept in (service.laws_of, service.fit_and_laws):
        kept.cache_clear()  # type: ignore[attr-defined]
    prediction = predict(client, 0.2, model={"name": "m", "family": "f0"})
    found = chart(client, prediction)
    assert [one.rpartition(" ")[2] for one in laws(client).values()] == ["(6)", "(4)"]
    assert [one["focus"] for one in found["spec"]["datasets"]["observations"]] == [True] * 6 + [False] * 4
    assert len(found["spec"]["datasets"]["prediction"]) == 1
    assert found["message"].startswith("6 of the 10 observations in pool team are of f0; the others say")


def test_outcomes_come_with_the_intervals_that_were_promised(client: TestClient) -> None:
    post(client, line(1.2, 12, 6))
    none = read(client, "calibration")
    assert none["spec"] is None
    assert none["note"].startswith("No prediction has met its outcome in pool team yet. Train one with its button")
    gap = {"value": 0.2, "se": 0.02}
    predicted = [predict(client, 0.2, 0.4, recipe=FROZEN) for _ in range(3)]
    narrow, wide = predicted[0]["improvement"]["intervals"]
    assert (narrow["level"], wide["level"]) == (0.8, 0.95)
    came = [0.24, (narrow["upper"] + wide["upper"]) / 2, 0.59]
    rows = [
        run(gap=gap, improvement={"value": outcome, "se": 0.02}, prediction_id=prediction["id"])
        for prediction, outcome in zip(predicted, came, strict=True)
    ]
    post(client, rows)
    found = read(client, "calibration")
    assert "1 came inside their 80 % interval (33 %, " in found["note"]
    assert "and 2 came inside their 95 % interval (67 %, " in found["note"]
    assert len(found["spec"]["datasets"]["outside"]) == 1
    table = Elements(client.get("/law/calibration.html", params=asked(client, {})).text)
    newest_first = table.rows("table")
    assert [row[-1] for row in newest_first] == ["no", "yes", "yes"]
    assert [row[3] for row in newest_first] == [points(one) for one in came[::-1]]
    links = [one["href"] for one in table.named("a")]
    assert links == [f"/predictions/{one['id']}" for one in predicted[::-1]]
    assert newest_first[2][2] == between(wide["lower"], wide["upper"]).replace("-", "\N{MINUS SIGN}")
