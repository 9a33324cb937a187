"""What can be asked of a fit: curve, residuals, scaling, calibration, drift."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from service.fits import analysis, laws
from service.fits import repository as fit_rows
from service.fits import service as fits
from service.fits.presenting import fit_out
from service.kit.database import Database
from service.migrate import migrate
from service.observations.repository import AnyRow
from tests.support.rows import Row, run

Body = dict[str, Any]


def post(client: TestClient, rows: list[Row]) -> list[str]:
    answer = client.post("/v1/observations", json={"observations": rows})
    assert answer.status_code == 201, answer.text
    ids: list[str] = answer.json()["ids"]
    return ids


def current(client: TestClient, pool: str = "default") -> Body:
    fit: Body = client.get("/v1/fits/current", params={"pool": pool}).json()
    return fit


def line(slope: float, n: int, seed: int, **change: Any) -> list[Row]:
    """Runs of one family on a line, with the noise that they name."""
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0, 0.35, n)
    measured = gaps + rng.normal(0, 0.02, n)
    improvements = slope * gaps + rng.normal(0, 0.025, n)
    return [
        run(gap={"value": float(x), "se": 0.02}, improvement={"value": float(y), "se": 0.02}, **change)
        for x, y in zip(measured, improvements, strict=True)
    ]


def asking(gap: float) -> Body:
    return {
        "model": {"name": "m", "family": "qwen3"},
        "task": "livecodebench-v6",
        "context": {"kind": "feedback"},
        "gap": {"value": gap, "se": 0.02, "student": 0.4},
    }


def test_a_curve_has_its_bands_inside_each_other(client: TestClient) -> None:
    post(client, line(1.2, 12, 1))
    path = f"/v1/fits/{current(client)['id']}/curve"
    curve = client.get(path, params={"family": "qwen3", "points": 20, "first": 0, "last": 0.4}).json()
    assert curve["gap"][0] == 0
    assert curve["gap"][-1] == pytest.approx(0.4)
    assert curve["measurement_se"] == pytest.approx(0.02), "the pool's median"
    columns = ("prediction_lower", "confidence_lower", "mean", "confidence_upper", "prediction_upper")
    for values in zip(*(curve[name] for name in columns), strict=True):
        assert list(values) == sorted(values)
    latent = client.get(path, params={"family": "qwen3", "points": 20, "measurement_se": 0}).json()
    wide, narrow = (
        one["prediction_upper"][10] - one["prediction_lower"][10]
        for one in (client.get(path, params={"family": "qwen3", "points": 20}).json(), latent)
    )
    assert narrow < wide
    cold = client.get(path, params={"family": "never-seen"}).json()
    assert cold["confidence_upper"][-1] - cold["confidence_lower"][-1] > 0.1
    wrong = client.get(path, params={"family": "qwen3", "first": 0.3, "last": 0.2})
    assert (wrong.status_code, wrong.json()["param"]) == (422, "last")


def test_residuals_name_the_run_that_does_not_belong(client: TestClient) -> None:
    rows = line(1.2, 15, 2)
    rows[4]["improvement"] = {"value": -0.3, "se": 0.02}
    rows[7]["context_kind"] = "hints"
    ids = post(client, rows)
    fit = current(client)
    found = client.get(f"/v1/fits/{fit['id']}/residuals", params={"outliers": True}).json()
    assert [one["id"] for one in found["data"]] == [ids[4]]
    assert found["outliers"] == 1
    assert {one["name"]: one["n"] for one in found["context_kinds"]} == {"feedback": 13, "hints": 1}
    pages, after = [], None
    while True:
        query = {"limit": 6, "order": "asc"} | ({"after": after} if after else {})
        page = client.get(f"/v1/fits/{fit['id']}/residuals", params=query).json()
        pages += page["data"]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert [one["id"] for one in pages] == ids
    assert all(one["improvement"] - one["expected"] == pytest.approx(one["residual"]) for one in pages)
    client.patch(f"/v1/observations/{ids[4]}", json={"excluded": True, "reason": "collapsed"})
    assert client.get(f"/v1/fits/{current(client)['id']}/residuals").json()["outliers"] == 0
    again = client.get(f"/v1/fits/{fit['id']}/residuals", params={"outliers": True}).json()
    assert [one["id"] for one in again["data"]] == [ids[4]], "the old version keeps its rows"


def test_residuals_of_one_pool_wait_for_no_other_pool(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests for one fit diagnose it once; a request for another pool's fit is answered meanwhile."""
    post(client, line(1.1, 12, 1))
    slow, quick = current(client)["id"], current(client, "lab")["id"]
    began, go, read = threading.Event(), threading.Event(), analysis.observations.fitted
    asked: list[str] = []

    def fitted(session: Session, tenant: str, pool: str, changes: int) -> Sequence[AnyRow]:
        asked.append(pool)
        if pool == "default":
            began.set()
            assert go.wait(60)
        return read(session, tenant, pool, changes)

    monkeypatch.setattr(analysis.observations, "fitted", fitted)
    analysis.diagnosed.cache_clear()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as threads:
        same = [threads.submit(client.get, f"/v1/fits/{slow}/residuals") for _ in range(2)]
        try:
            assert began.wait(60)
            assert client.get(f"/v1/fits/{quick}/residuals").status_code == 200
            assert not any(answer.done() for answer in same)
        finally:
            go.set()
        assert [answer.result().json()["fit_id"] for answer in same] == [slow, slow]
    assert asked == ["default", "lab", "published"], "what the first pool borrows comes after its own rows"


def test_scaling_tells_sizes_apart_that_do_not_share_a_slope(client: TestClient) -> None:
    rows = line(0.6, 12, 3, parameters=1e9, model="s") + line(1.6, 12, 4, parameters=1e10, model="l")
    rows += line(1.0, 3, 5, parameters=None, model="?")
    post(client, rows)
    scaling = client.get(f"/v1/fits/{current(client)['id']}/scaling").json()
    assert scaling["without_parameters"] == 3
    (family,) = scaling["families"]
    assert [one["n"] for one in family["sizes"]] == [12, 12]
    assert family["trend"]["lower"] < 1.0 < family["trend"]["upper"]
    assert family["homogeneity"]["p_value"] < 0.01
    lab = client.get(f"/v1/fits/{current(client, 'lab')['id']}/scaling").json()
    models = client.get("/v1/models").json()["data"]
    known = {one["parameters"] for one in models if one["family"] == "lab-qwen3"}
    assert [one["parameters"] for one in lab["families"][0]["sizes"]] == sorted(known), "from the catalog"


def bent(n: int, seed: int, *, headroom: float = 0.6, **change: Any) -> list[Row]:
    """Runs that saturate at the headroom, three times as fast as the gap at 0, under a teacher that moves."""
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0, 0.35, n)
    improvements = headroom * (1 - np.exp(-3 * gaps / headroom)) + rng.normal(0, 0.025, n)
    return [
        run(
            gap={"value": float(x), "se": 0.01},
            improvement={"value": float(y), "se": 0.02},
            recipe={"teacher": "ema", "divergence": "reverse_kl"},
            baseline=1 - headroom,
            **change,
        )
        for x, y in zip(gaps, improvements, strict=True)
    ]


def test_a_teacher_that_moves_has_a_law_of_its_own_that_bends(client: TestClient) -> None:
    post(client, line(1.0, 12, 1) + bent(14, 2))
    fit = current(client)
    straight, curved = sorted(fit["families"], key=lambda one: str(one["divergence"]))
    assert (straight["teacher_rule"], straight["divergence"], straight["n"]) == ("frozen", "forward_kl", 12)
    assert (curved["teacher_rule"], curved["divergence"], curved["n"]) == ("co_moving", "reverse_kl", 14)
    assert straight["links"]["linear"] > 0.5 > curved["links"]["linear"]
    assert sum(curved["links"].values()) == pytest.approx(1)
    assert curved["at_common_gap"]["gap"] == 0.15
    assert curved["at_common_gap"]["improvement"] == pytest.approx(0.6 * (1 - np.exp(-0.75)), abs=0.03)
    lower, upper = curved["at_common_gap"]["improvement_interval"]
    assert lower < curved["at_common_gap"]["improvement"] < upper
    assert straight["at_common_gap"]["improvement"] == pytest.approx(0.15, abs=0.03)
    assert [one["divergence"] for one in fit["populations"]] == ["reverse_kl", "forward_kl"]


def test_a_curve_is_of_one_recipe_and_bends_at_its_headroom(client: TestClient) -> None:
    post(client, line(1.0, 12, 1) + bent(14, 2))
    path = f"/v1/fits/{current(client)['id']}/curve"

    def curve(**asked: Any) -> Body:
        return dict(client.get(path, params={"family": "qwen3", "first": 0, "last": 0.5, "points": 6} | asked).json())

    def gain(found: Body) -> list[float]:
        return list(np.diff(found["mean"]))

    moving = {"teacher": "ema", "divergence": "reverse_kl"}
    found = curve(**moving)
    assert (found["teacher_rule"], found["divergence"], found["baseline"]) == ("co_moving", "reverse_kl", 0.4)
    assert gain(found)[-1] < 0.5 * gain(found)[0]
    assert found["links"]["linear"] < 0.5
    assert curve(cell="qwen3|livecodebench-v6|ema-reverse_kl")["links"] == found["links"]
    assert curve(**moving, baseline=0.8)["mean"][-1] < 0.25 < found["mean"][-1]
    assert curve()["teacher_rule"] == "co_moving", "as most of the family's runs"
    still = curve(teacher="frozen", divergence="forward_kl")
    assert gain(still)[-1] == pytest.approx(gain(still)[0], rel=0.2)
    for wrong, param in (
        ({"divergence": "js"}, "divergence"),
        ({"cell": "qwen3|livecodebench-v6|ema-reverse_kl", "teacher": "ema"}, "teacher"),
        ({"cell": "nothing"}, "cell"),
        ({"cell": "qwen3|livecodebench-v6|frozen-js"}, "cell"),
        ({"teacher": "a crowd"}, "teacher"),
    ):
        answer = client.get(path, params={"family": "qwen3"} | wrong)
        assert (answer.status_code, answer.json()["param"].rpartition(".")[2]) == (422, param)


def test_every_cell_that_a_fit_shows_has_a_curve(client: TestClient) -> None:
    """Those of a decoding mode and of a tuning, too."""
    many = {"training_problems": 4096}
    thinking = line(1.6, 6, 2)
    for row in thinking:
        row["gap"]["thinking"] = row["improvement"]["thinking"] = True
    post(client, line(1.0, 8, 1) + thinking + line(0.3, 6, 3, **many) + bent(5, 4))
    fit = current(client)
    names = [one["cell"] for one in fit["cells"]]
    assert len(names) == 4
    assert any(name.endswith("|thinking") for name in names)
    (tuned,) = (name for name in names if "|lr~" in name)
    path = f"/v1/fits/{fit['id']}/curve"
    for one in fit["cells"]:
        asked = {"family": "qwen3", "cell": one["cell"], "first": 0, "last": 0.3, "points": 3}
        answer = client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["cell"], found["teacher_rule"]) == (one["cell"], one["teacher_rule"])
        assert found["divergence"] == one["divergence"]
    slopes = {
        name: np.diff(client.get(path, params={"family": "qwen3", "cell": name, "points": 2}).json()["mean"])[0]
        for name in names
    }
    assert slopes[tuned] == min(slopes.values())
    answer = client.get(path, params={"family": "qwen3", "cell": tuned.replace("4096", "2048")})
    assert (answer.status_code, answer.json()["param"]) == (422, "cell")
    assert f"Did you mean '{tuned}'?" in answer.json()["detail"]
    assert client.get(path, params={"family": "qwen4", "cell": tuned}).status_code == 422


def test_a_curve_of_a_fit_is_drawn_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    mixture = analysis.predicting.mixture

    def counted(*given: Any) -> Any:
        drawn.append(given)
        return mixture(*given)

    monkeypatch.setattr(analysis.predicting, "mixture", counted)
    post(client, line(1.2, 6, 1))
    path = f"/v1/fits/{current(client)['id']}/curve"
    asked = {"family": "qwen3", "points": 3}
    first = client.get(path, params=asked).json()
    assert (client.get(path, params=asked).json(), len(drawn)) == (first, 1)
    assert client.get(path, params=asked | {"baseline": 0.7}).json() != first
    post(client, line(0.6, 6, 2))
    path = f"/v1/fits/{current(client)['id']}/curve"
    assert client.get(path, params=asked).json() != first
    assert len(drawn) == 3


def test_sizes_are_compared_within_one_recipe(client: TestClient) -> None:
    post(client, line(1.0, 12, 1, parameters=1e9, model="s") + bent(14, 2, parameters=1e10, model="l"))
    moving, still = client.get(f"/v1/fits/{current(client)['id']}/scaling").json()["families"]
    assert [len(one["sizes"]) for one in (moving, still)] == [1, 1]
    assert (moving["teacher_rule"], still["teacher_rule"]) == ("co_moving", "frozen")
    assert moving["linear_weight"] < 0.5 < still["linear_weight"]


def test_a_prediction_beyond_the_data_says_what_either_link_would(client: TestClient) -> None:
    post(client, bent(3, 4))

    def predicted(gap: float) -> Body:
        asked = asking(gap) | {"recipe": {"teacher": "ema", "divergence": "reverse_kl"}}
        return dict(client.post("/v1/predictions", json=asked).json())

    near, far, small = predicted(0.2), predicted(0.55), predicted(0.03)
    assert near["improvement"]["branches"] == []
    straight, bending = far["improvement"]["branches"]
    assert (straight["link"], bending["link"]) == ("linear", "saturating")
    assert straight["weight"] + bending["weight"] == pytest.approx(1)
    assert bending["value"] < far["improvement"]["value"] < straight["value"]
    assert [one["level"] for one in bending["intervals"]] == [0.8, 0.95]
    assert far["law"]["links"]["linear"] == pytest.approx(straight["weight"])
    assert {"link_undecided", "extrapolation"} <= {one["code"] for one in far["warnings"]}
    assert "small_gap" in {one["code"] for one in small["warnings"]}
    assert far["law"]["depends_on_link"]
    assert far["law"]["at_common_gap"]["improvement"] > 0.2


@pytest.mark.slow
def test_predictions_that_met_their_outcome_are_judged(client: TestClient) -> None:
    post(client, line(1.2, 12, 6))
    rng = np.random.default_rng(7)
    rows, inside = [], 0
    for gap in rng.uniform(0.02, 0.3, 12):
        prediction = client.post("/v1/predictions", json=asking(float(gap))).json()
        outcome = float(1.2 * gap + rng.normal(0, 0.03))
        low, high = (prediction["improvement"]["intervals"][1][end] for end in ("lower", "upper"))
        inside += low <= outcome <= high
        rows.append(
            run(
                gap=asking(float(gap))["gap"] | {"student": None},
                improvement={"value": outcome, "se": 0.02},
                prediction_id=prediction["id"],
            )
        )
    for row in rows:
        row["gap"] = {"value": row["gap"]["value"], "se": row["gap"]["se"]}
    collapsed = run(improvement={"value": -0.3, "se": 0.02}, collapsed=True, prediction_id=rows[0]["prediction_id"])
    before = current(client)
    ids = post(client, [*rows, collapsed])
    late = client.post("/v1/predictions", json=asking(0.2)).json()
    fit = current(client)
    found = client.get(f"/v1/fits/{fit['id']}/calibration").json()
    assert (found["n"], found["predictions"]) == (12, 12)
    assert found["left_out"] == {"collapsed": 1, "refused": 0, "known_before": 0, "without_quantiles": 0}
    by_level = {one["level"]: one for one in found["levels"]}
    assert by_level[0.95]["coverage"] == pytest.approx(inside / 12)
    assert by_level[0.95]["lower"] < inside / 12 <= by_level[0.95]["upper"]
    assert by_level[0.5]["width"] < by_level[0.8]["width"] < by_level[0.95]["width"]
    assert [one["observation_id"] for one in found["outcomes"]] == ids[:12]
    assert found["outcomes"][-1]["coverage_so_far"][-1] == pytest.approx(inside / 12)
    assert sum(found["pit_histogram"]) == 12
    errors = [one["outcome"] - one["predicted"] for one in found["outcomes"]]
    assert found["bias"] == pytest.approx(np.mean(errors))
    assert client.get(f"/v1/fits/{before['id']}/calibration").json()["n"] == 0, "it did not know the outcomes"

    (told,) = post(client, [run(prediction_id=late["id"], external_id="x")])
    client.patch(f"/v1/observations/{ids[0]}", json={"excluded": True, "reason": "wrong split"})
    found = client.get(f"/v1/fits/{current(client)['id']}/calibration").json()
    assert found["n"] == 12, "one more, one less"
    assert told in [one["observation_id"] for one in found["outcomes"]]
    wide = client.get(f"/v1/fits/{fit['id']}/calibration", params={"level": 0.999})
    assert (wide.status_code, wide.json()["param"]) == (422, "level")


def test_a_prediction_made_after_its_outcome_does_not_count(client: TestClient) -> None:
    post(client, [run(external_id="a")])
    prediction = client.post("/v1/predictions", json=asking(0.2)).json()
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql(f"UPDATE observations SET prediction_id = '{prediction['id']}'")
    found = client.get(f"/v1/fits/{current(client)['id']}/calibration").json()
    assert (found["n"], found["left_out"]["known_before"]) == (0, 1)


def test_an_outcome_of_an_unknown_prediction_is_told(client: TestClient) -> None:
    answer = client.post("/v1/observations", json={"observations": [run(prediction_id="pred_1")]}).json()
    assert [(one["code"], one["rows"]) for one in answer["warnings"]] == [("unknown_prediction", [1])]


def test_a_prediction_can_be_named_afterwards_once(client: TestClient) -> None:
    first, second = (client.post("/v1/predictions", json=asking(gap)).json()["id"] for gap in (0.1, 0.2))
    (one,) = post(client, [run(external_id="a")])
    changes = current(client)["changes"]
    assert client.patch(f"/v1/observations/{one}", json={"prediction_id": "pred_1"}).status_code == 422
    assert client.patch(f"/v1/observations/{one}", json={"prediction_id": first}).json()["prediction_id"] == first
    assert client.patch(f"/v1/observations/{one}", json={"prediction_id": second}).status_code == 409
    fit = current(client)
    assert fit["changes"] == changes, "no fit rests on it"
    assert client.get(f"/v1/fits/{fit['id']}/calibration").json()["n"] == 1

    def again(**change: Any) -> int:
        return client.post("/v1/observations", json={"observations": [run(external_id="a", **change)]}).status_code

    assert again() == 200, "the file that it came with is no conflict now"
    assert again(prediction_id=first) == 200
    assert again(prediction_id=second) == 409
    (other,) = post(client, [run(external_id="b")])
    assert (
        client.post("/v1/observations", json={"observations": [run(external_id="b", prediction_id=second)]}).status_code
        == 200
    )
    assert client.get(f"/v1/observations/{other}").json()["prediction_id"] == second


@pytest.mark.slow
def test_a_family_that_drifts_raises_one_alarm(client: TestClient) -> None:
    post(client, line(1.5, 12, 8, version="1"))
    post(client, line(1.5, 6, 9, version="1"))
    assert current(client)["drift"] == []
    post(client, line(0.3, 12, 10, version="2"))
    (drift,) = current(client)["drift"]
    assert drift["alarm"]
    assert drift["versions"] == {"1": 18, "2": 12}
    post(client, line(0.3, 2, 11, version="2"))
    assert current(client)["drift"][0]["alarm"]
    alarms = client.get("/v1/events", params={"type": "fit.drift"}).json()["data"]
    assert [one["data"]["family"] for one in alarms] == ["qwen3"], "told once, not with every fit"
    new = [one["id"] for one in client.get("/v1/observations?version=2").json()["data"]]
    for one in new:
        client.patch(f"/v1/observations/{one}", json={"excluded": True, "reason": "another law"})
    assert current(client)["drift"] == []
    for one in new:
        client.patch(f"/v1/observations/{one}", json={"excluded": False})
    assert current(client)["drift"][0]["alarm"]
    assert len(client.get("/v1/events", params={"type": "fit.drift"}).json()["data"]) == 2, "it began again"
    warned = client.post("/v1/predictions", json=asking(0.2)).json()["warnings"]
    assert "drift" in [one["code"] for one in warned]


def test_a_tag_is_compared_weakly(client: TestClient) -> None:
    tag = client.get("/v1/fits/current").headers["etag"]
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        assert client.get("/v1/fits/current", headers={"If-None-Match": sent}).status_code == 304
    assert client.get("/v1/fits/current", headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.get("/v1/fits", params={"pool": "nope"}).json()["code"] == "unknown_pool"


def test_an_old_record_is_a_conflict_and_no_crash(client: TestClient) -> None:
    fit = current(client, "lab")
    for kept in (fits.laws_of, fit_out):
        kept.cache_clear()  # type: ignore[attr-defined]
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        session.connection().exec_driver_sql("UPDATE fits SET record = json_set(record, '$.version', 0)")
    answer = client.get(f"/v1/fits/{fit['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "old_fit")


@pytest.mark.slow
def test_a_new_version_of_the_law_fits_every_pool_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fits.current(database, "local", "lab").fit
    for module in (fits, fit_rows, laws):
        monkeypatch.setattr(module, "VERSION", before.law_version + 1)
    migrate(database)
    found = fits.current(database, "local", "lab")
    after = found.fit
    assert after.id != before.id
    assert after.law_version == before.law_version + 1
    assert found.law.families_ == {"lab-qwen3": after.n}
