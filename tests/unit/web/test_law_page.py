"""The page of the law and its figures, through the whole application."""

import csv
import io
from typing import Any

import altair as alt
import pytest
from fastapi.testclient import TestClient

from service.web.law_figures import SECTIONS
from tests.support.markup import Elements
from tests.support.rows import run

pytestmark = pytest.mark.slow

NASTY = '</script><script>alert("name")</script>'
GIVEN = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "livecodebench-v6",
    "context": {"kind": "feedback"},
    "pool": "team",
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}


def post(client: TestClient, rows: list[dict[str, Any]], pool: str = "team") -> tuple[list[str], str]:
    answer = client.post("/v1/observations", params={"pool": pool}, json={"observations": rows})
    assert answer.status_code == 201, answer.text
    return answer.json()["ids"], client.get("/v1/fits/current", params={"pool": pool}).json()["id"]


def figure(client: TestClient, name: str, form: str, **query: str) -> Any:
    answer = client.get(f"/law/{name}.{form}", params=query)
    assert answer.status_code == 200, answer.text[:300]
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    return answer.json() if form == "json" else answer.text


def lab(client: TestClient) -> dict[str, str]:
    return {"pool": "lab", "fit": client.get("/v1/fits/current", params={"pool": "lab"}).json()["id"]}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_figure_is_drawn_tabulated_and_handed_out(client: TestClient, name: str) -> None:
    asked = lab(client)
    drawn = figure(client, name, "json", **asked)
    rows = list(csv.DictReader(io.StringIO(figure(client, name, "csv", **asked))))
    table = figure(client, name, "html", **asked)
    if drawn["spec"] is None:  # no prediction of the lab's has met an outcome
        assert drawn["note"]
        assert drawn["note"].partition("\n")[0] in table
        return
    alt.LayerChart.validate(drawn["spec"])
    assert drawn["spec"]["description"].endswith("has the same numbers.")
    assert len(Elements(table).rows("table")) == len(rows) > 0


def test_the_page_names_every_figure_and_leads_to_its_data(client: TestClient) -> None:
    page = client.get("/law")
    assert page.status_code == 200
    elements = Elements(page.text)
    fit = lab(client)["fit"]
    assert elements.links("CSV") == [f"/law/{name}.csv?pool=lab&fit={fit}" for name in SECTIONS]
    assert elements.links("Permalink") == [f"/law?pool=lab&fit={fit}#{name}" for name in SECTIONS]
    assert elements.text_of("h1") == "Law"


def test_an_older_version_shows_what_it_knew(client: TestClient) -> None:
    ids, first = post(client, [run(external_id=f"a{n}", gap={"value": 0.05 * n, "se": 0.02}) for n in range(1, 5)])
    client.patch(f"/v1/observations/{ids[0]}", json={"excluded": True, "reason": NASTY})
    client.get("/v1/fits/current", params={"pool": "team"})
    _, second = post(client, [run(external_id="late", name=NASTY)])
    old = figure(client, "scatter", "json", pool="team", fit=first)["spec"]["datasets"]["observations"]
    new = figure(client, "scatter", "json", pool="team", fit=second)["spec"]["datasets"]["observations"]
    assert [row["mark"] for row in old] == [""] * 4
    assert [row["mark"] for row in new] == ["excluded", "", "", "", ""]
    assert new[-1]["href"].startswith("/observations/obs_")
    page = Elements(client.get("/law", params={"pool": "team", "fit": first}).text)
    assert page.links("Newest") == ["/law?pool=team"]
    assert len([one for one in page.named("data") if one["class"] == "version"]) == 3
    table = figure(client, "scatter", "html", pool="team", fit=second)
    assert "<script>alert" not in table
    assert "&lt;script&gt;alert" in table


def test_a_version_is_found_by_its_id_alone(client: TestClient) -> None:
    _, fit = post(client, [run(external_id="a")])
    answer = client.get("/law", params={"fit": fit})
    assert answer.status_code == 200
    page = Elements(answer.text)
    assert page.links("Permalink")[0] == f"/law?pool=team&fit={fit}#scatter"
    assert page.links("JSON") == [f"/v1/fits/{fit}"]
    made = client.post("/v1/predictions", json=GIVEN).json()
    assert Elements(client.get(f"/predictions/{made['id']}").text).attributes_of("#link-law-fit")["href"] == (
        f"/law?fit={made['law']['fit_id']}"
    )


def test_size_is_a_shape_and_context_a_colour(client: TestClient) -> None:
    rows = [
        run(external_id=str(size), parameters=size, context_kind=kind) for size, kind in ((8e9, "hints"), (1e9, "all"))
    ]
    _, fit = post(client, [*rows, run(external_id="unknown", parameters=None)])
    spec = figure(client, "scatter", "json", pool="team", fit=fit)["spec"]
    [layer] = [one for one in spec["layer"] if one["mark"].get("style") == "observation"]
    assert layer["encoding"]["shape"]["scale"]["domain"] == ["1B", "8B", "unknown"]
    assert layer["encoding"]["fill"]["scale"]["domain"] == ["all", "feedback", "hints"]


def test_residuals_are_those_of_the_api(client: TestClient) -> None:
    rows = [
        run(external_id=str(n), gap={"value": 0.03 * n, "se": 0.02}, improvement={"value": 0.03 * n, "se": 0.02})
        for n in range(10)
    ]
    _, fit = post(client, rows)
    wanted = {one["id"]: one for one in client.get(f"/v1/fits/{fit}/residuals", params={"limit": 100}).json()["data"]}
    for row in csv.DictReader(io.StringIO(figure(client, "residuals", "csv", pool="team", fit=fit))):
        for name in ("expected", "residual", "standardized", "leverage", "influence"):
            assert float(row[name]) == pytest.approx(wanted[row["id"]][name])


def test_outcomes_have_equal_axes_coverage_and_pit(client: TestClient) -> None:
    post(client, [run(external_id=str(n), gap={"value": 0.03 * n, "se": 0.02}) for n in range(8)])
    predicted = client.post("/v1/predictions", json=GIVEN).json()
    _, fit = post(client, [run(external_id="came", prediction_id=predicted["id"])])
    query = {"pool": "team", "fit": fit}
    drawn = figure(client, "calibration", "json", **query)["spec"]
    assert drawn["width"] == drawn["height"]
    domains = {str(layer["encoding"][axis]["scale"]["domain"]) for layer in drawn["layer"] for axis in ("x", "y")}
    assert len(domains) == 1
    assert sum(row["n"] for row in figure(client, "pit", "json", **query)["spec"]["datasets"]["bins"]) == 1
    levels = figure(client, "coverage", "json", **query)["spec"]["datasets"]["levels"]
    assert [row["level"] for row in levels] == pytest.approx([50, 80, 95])
    assert Elements(figure(client, "calibration", "html", **query)).named("a")[0]["href"] == (
        f"/predictions/{predicted['id']}"
    )


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("pool=nosuch", 422, "nosuch"),
        ("pool=lab&fit=fit_1", 404, "fit_1"),
        ("pool=lab&law=teacher%3Dnobody", 422, "law: expected a law of this page"),
    ],
)
def test_an_address_that_asks_for_nonsense_is_told_on_the_page(client, query: str, status: int, said: str) -> None:
    answer = client.get(f"/law?{query}")
    assert (answer.status_code, said in answer.text) == (status, True)


def test_a_text_that_a_spreadsheet_would_run_is_one(client: TestClient) -> None:
    _, fit = post(client, [run(external_id="1", name="=HYPERLINK(1)")])
    [row] = csv.DictReader(io.StringIO(figure(client, "scatter", "csv", pool="team", fit=fit)))
    assert row["name"] == "'=HYPERLINK(1)"
