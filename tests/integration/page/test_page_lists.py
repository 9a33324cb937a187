"""Lists, imports, uploads and the law in a real browser against the real product, with texts meant to break them."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gapcast import Client
from tests.support.browser import REDRAWN, complaints, faults, read, screen, strangers, text, wait_for
from tests.support.rows import run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
BIDI = "\u202edesrever\u202c \u2067isolated \u200f\ufeff"
LONG = "W" * 150
NASTY = f"{MARKUP}{BIDI}{LONG}"[:200]
NAME = f"{MARKUP} \u05e9\u05dc\u05d5\u05dd {LONG}"[:200]
"""names take no control characters"""
PROMPT = f"{MARKUP}{BIDI}{'x' * 100_000}"
GAP = {"value": 0.2, "se": 0.02, "student": 0.4}
HEAD = "external_id,family,task,model,context_kind,baseline,gap.value,gap.se,improvement.value,improvement.se"
ROWS = [f"run-{n},fam,t,m,hints,0.4,{0.05 * n:.2f},0.02,{0.04 * n:.2f},0.02" for n in range(1, 7)]


@pytest.fixture(scope="module")
def stocked(address: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The addresses of pages over a store with something of every kind, all of it named as an attacker would."""
    with Client(address) as client:
        rows = [
            run(
                external_id=f"{n}{NASTY}",
                family=NASTY if n % 2 else "plain",
                task=NASTY,
                model=NASTY if n % 3 else "small",
                parameters=1e9 if n % 2 else 8e9,
                context_name=NASTY,
                name=NAME,
                version=NASTY,
                gap={"value": 0.04 * n, "se": 0.02},
                improvement={"value": 0.04 * n, "se": 0.02},
                provenance={NASTY: PROMPT[:2000]},
            )
            for n in range(1, 9)
        ]
        rows[1] |= {"excluded": True, "excluded_reason": NASTY * 4}
        ids = client.observations.create(rows, "nasty").ids
        client.fits.current("nasty")
        asked: dict[str, Any] = {
            "model": {"name": NASTY, "family": NASTY},
            "task": NASTY,
            "context": {"kind": "static", "options": {"text": NASTY}},
            "pool": "nasty",
            "gap": GAP,
            "name": NAME,
        }
        predicted = [client.predictions.create(asked | {"gap": GAP | {"value": value}}) for value in (0.1, 0.2)]
        outcome = run(external_id="came", family=NASTY, prediction_id=predicted[0].id, name=NAME)
        client.observations.create([outcome], "nasty")
        fit = client.fits.current("nasty")
        watched: dict[str, Any] = {"baseline": {"accuracy": 0.4}, "evaluation": {"problems": 50, "rollouts": 4}}
        of_run = {name: asked[name] for name in ("model", "task", "context", "pool", "name")}
        client.external_runs.create(of_run | watched | {"recipe": {"steps": 10}})
        problems = [{"prompt": f"{n} {PROMPT}", "answer": NASTY} for n in range(4)]
        file = tmp_path_factory.mktemp("task") / "words.jsonl"
        file.write_text("\n".join(json.dumps(one) for one in problems))
        client.tasks.create(file, "nasty/words", verifier="exact", preamble=NASTY)
    lists = ("predictions", "comparisons", "recommendations", "training_runs", "external_runs", "probes")
    return [
        *(f"/{name}" for name in (*lists, "observations", "tasks", "models", "workers")),
        f"/observations/{ids[0]}",
        f"/observations/{ids[1]}",
        "/tasks/nasty/words",
        "/models/lab/addition-qwen3-s",
        f"/predictions/compare?id={predicted[0].id}&id={predicted[1].id}",
        f"/law?pool=nasty&fit={fit.id}",
        "/import/observations",
        "/import/task",
    ]


def unfold(browser: webdriver.Chrome) -> None:
    """Open all that is folded and wait until each figure and table is read."""
    browser.execute_script("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    browser.execute_script("document.querySelectorAll('figure').forEach((one) => one.scrollIntoView())")
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure[data-figure]"):
        browser.execute_script("arguments[0].scrollIntoView()", figure)
        WebDriverWait(browser, 30).until(
            lambda _, figure=figure: "Reading" not in figure.find_element(By.XPATH, "..").text
        )


def visit(browser: webdriver.Chrome, address: str, path: str) -> None:
    browser.get(f"{address}{path}")
    wait_for(browser, "h1")
    unfold(browser)


@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_text_is_text_and_no_page_breaks_or_has_barriers(browser, address, stocked, width) -> None:
    found = {}
    with screen(browser, width):
        for path in stocked:
            visit(browser, address, path)
            found[path] = faults(browser, address, width)
            if path.startswith("/law"):
                assert len(browser.find_elements(By.CSS_SELECTOR, "#scatter .observations_marks path")) == 9
        browser.get(f"{address}/observations?pool=nasty")
        assert MARKUP in text(browser, ".items")
    assert {path: said for path, said in found.items() if said} == {}


def test_on_a_phone_a_prediction_says_its_point_first(browser, address, stocked) -> None:
    with screen(browser, 400):
        browser.get(f"{address}/predictions")
        heads = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".items thead th") if one.is_displayed()]
        assert [one.split("\n")[0] for one in heads] == [
            "Choose",
            "Prediction",
            "Improvement (narrowest interval)",
            "Verdict",
        ]
        verdict = browser.find_element(By.CSS_SELECTOR, ".items tbody tr:first-child td.text")
        assert verdict.rect["x"] + verdict.rect["width"] <= 400


def type_in(browser: webdriver.Chrome, name: str, value: str) -> None:
    field = browser.find_element(By.NAME, name)
    field.clear()
    field.send_keys(value)


def press(browser: webdriver.Chrome, button: str) -> None:
    browser.find_element(By.XPATH, f"//main//button[normalize-space()='{button}']").click()


def test_a_csv_with_two_faults_is_mended_and_changes_the_law(browser, address, tmp_path: Path) -> None:
    wrong = [ROWS[0].replace(",0.02", ",zero", 1), ROWS[1].replace("hints", "hnits"), *ROWS[2:]]
    file = tmp_path / "runs.csv"
    file.write_text("\n".join([HEAD, *wrong]))
    browser.get(f"{address}/import/observations?pool=mended")
    browser.find_element(By.ID, "file").send_keys(str(file))
    WebDriverWait(browser, 10).until(
        lambda driver: "hnits" in driver.find_element(By.ID, "text").get_attribute("value")
    )
    press(browser, "Check")
    wait_for(browser, "#outcome table")
    faults = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#outcome tbody tr")]
    assert len(faults) == 2
    assert faults[0].startswith("gap.se row 1 (line 2)")
    assert faults[1].startswith("context_kind row 2 (line 3)")
    assert browser.find_elements(By.XPATH, "//button[.='Store']") == []

    type_in(browser, "text", "\n".join([HEAD, *ROWS]))
    press(browser, "Check")
    WebDriverWait(browser, 10, ignored_exceptions=REDRAWN).until(
        lambda driver: "No faults." in text(driver, "#outcome")
    )
    assert read(address, "/v1/observations?family=fam")["data"] == []
    press(browser, "Store")
    wait_for(browser, "#outcome .change table")
    assert "6 observations stored" in text(browser, "#outcome")
    [law] = browser.find_elements(By.CSS_SELECTOR, ".change tbody tr")
    assert [cell.text.split(",")[0] for cell in law.find_elements(By.TAG_NAME, "td")] == ["none", "6 observations"]
    assert read(address, "/v1/fits/current?pool=mended")["id"] in browser.find_element(
        By.CSS_SELECTOR, ".change a"
    ).get_attribute("href")
    assert complaints(browser) == []
    assert strangers(browser, address) == []

    stored = read(address, "/v1/observations?pool=mended&order=asc&limit=1")["data"][0]
    browser.get(f"{address}/observations/{stored['id']}")
    type_in(browser, "reason", "another split")
    press(browser, "Exclude it from the law")
    wait_for(browser, ".change table")
    [law] = browser.find_elements(By.CSS_SELECTOR, ".change tbody tr")
    counts = [cell.text.split(",")[0] for cell in law.find_elements(By.TAG_NAME, "td")]
    assert counts == ["6 observations", "5 observations"]
    browser.get(f"{address}/law?pool=mended")
    wait_for(browser, "#scatter svg path")
    assert "(5)" in text(browser, "#law")
    slider = browser.find_element(By.ID, "version")
    browser.execute_script(
        "arguments[0].value = 0; for (const type of ['input', 'change']) arguments[0].dispatchEvent(new Event(type))",
        slider,
    )
    WebDriverWait(browser, 10).until(lambda driver: "fit=fit_" in driver.current_url)
    wait_for(browser, "#scatter svg path")
    assert "6 observations" in text(browser, "#version-text")
    assert complaints(browser) == []


def test_chosen_rows_are_exported_and_compared(browser, address, stocked) -> None:
    browser.get(f"{address}/observations?pool=nasty")
    boxes = browser.find_elements(By.CSS_SELECTOR, ".choice input")
    chosen = [box.get_attribute("value") for box in boxes[:2]]
    for box in boxes[:2]:
        box.click()
    form = browser.find_element(By.CSS_SELECTOR, "button[formaction='/observations.csv']")
    asked = browser.execute_script(
        "return arguments[0].formAction + '?' + new URLSearchParams(new FormData(arguments[0].form))", form
    )
    with urlopen(asked, timeout=10) as answer:
        rows = list(csv.DictReader(io.StringIO(answer.read().decode())))
    assert len(rows) == 2
    known = [read(address, f"/v1/observations/{one}")["external_id"] for one in chosen]
    assert {row["external_id"] for row in rows} == set(known)

    browser.get(f"{address}/predictions?pool=nasty")
    for box in browser.find_elements(By.CSS_SELECTOR, ".choice input"):
        box.click()
    press(browser, "Compare")
    wait_for(browser, ".strip")
    assert "/predictions/compare?id=pred_" in browser.current_url
    assert len(browser.find_elements(By.CSS_SELECTOR, ".items tbody tr")) == 2
    press(browser, "Compare by their probes")
    wait_for(browser, ".error")
    assert "has no probe: its gap was given" in text(browser, ".error")


def test_a_figure_is_saved_and_leads_to_its_runs(browser, address, stocked) -> None:
    browser.get(f"{address}/law")
    wait_for(browser, "#scatter svg .observations_marks path")
    saved = """window.saved = [];
    HTMLAnchorElement.prototype.click = function () { window.saved.push([this.download, this.href.slice(0, 22)]); };"""
    browser.execute_script(saved)
    for kind in ("svg", "png"):
        browser.find_element(By.CSS_SELECTOR, f"#scatter [data-save={kind}]").click()
    WebDriverWait(browser, 10).until(lambda driver: len(driver.execute_script("return window.saved")) == 2)
    by_name = dict(browser.execute_script("return window.saved"))
    assert by_name["scatter-lab.png"] == "data:image/png;base64,"
    assert by_name["scatter-lab.svg"].startswith("blob:http://127.0.0.1")
    browser.find_element(By.CSS_SELECTOR, "#scatter summary").click()
    wait_for(browser, "#scatter tbody a")
    name = text(browser, "#scatter tbody a")
    browser.find_element(By.CSS_SELECTOR, "#scatter tbody a").click()
    wait_for(browser, ".described")
    assert name in text(browser, "main")
    assert complaints(browser) == []


def test_a_task_is_uploaded_and_its_self_check_is_read(browser, address, tmp_path: Path) -> None:
    file = tmp_path / "sums.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": f"What is {n} + {n}?", "answer": str(2 * n)}) for n in range(20)))
    browser.get(f"{address}/import/task")
    browser.find_element(By.ID, "file").send_keys(str(file))
    WebDriverWait(browser, 10).until(lambda driver: driver.find_element(By.ID, "text").get_attribute("value"))
    type_in(browser, "name", "mine/sums")
    press(browser, "Upload")
    WebDriverWait(browser, 20).until(lambda driver: driver.current_url.endswith("/tasks/mine/sums"))
    WebDriverWait(browser, 60, ignored_exceptions=REDRAWN).until(
        lambda driver: "100.0 % of 20 problems" in text(driver, ".described")
    )
    assert "ready" in text(browser, ".described").lower()
    browser.find_element(By.CSS_SELECTOR, "details summary").click()
    assert "What is 0 + 0?" in text(browser, "details pre")
    assert complaints(browser) == []
    assert strangers(browser, address) == []
