"""The page in a real browser against the real product: server, worker and a bundled lab model."""

import re
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from gapcast import Client, GapcastError, words
from gapcast.contract.predictions import PredictionOut
from service.web.rendering import typeset
from tests.support.browser import complaints, read, text, wait_for
from tests.support.rows import run

MINUS = "\N{MINUS SIGN}"
POINTS = re.compile(rf"[+{MINUS}]?\d+\.\d")

pytestmark = pytest.mark.browser


LAW = "figure[data-figure=scatter]"
"""the plot of the law, on the first page and on that of the law"""


def points_drawn(browser: webdriver.Chrome, plot: str = LAW) -> int:
    return len(marks(browser, plot, "observations"))


def marks(browser: webdriver.Chrome, plot: str, name: str) -> list[WebElement]:
    """The marks of a layer by its name."""
    return browser.find_elements(By.CSS_SELECTOR, f"{plot} svg .{name}_marks path")


def shown(share: float) -> str:
    """What the page writes for a share, in accuracy points."""
    number = f"{100 * share:+.1f}"
    return "0.0" if float(number) == 0 else number.replace("-", MINUS)


def test_a_prediction_is_asked_followed_and_read(browser, address) -> None:
    browser.get(address)
    wait_for(browser, f"{LAW} svg path")
    observations = read(address, "/v1/observations?pool=lab&limit=100")["data"]
    assert len(observations) >= 3
    assert points_drawn(browser) == len(observations)
    wait_for(browser, "#law .key")
    assert "observations in pool lab" in text(browser, "#law > div .message")

    Select(browser.find_element(By.NAME, "context.kind")).select_by_value("hints")
    for name, value in {"context.options.level": "1", "probe.problems": "64", "probe.rollouts": "2"}.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)
    assert text(browser, "#probe-size") == "= 128 rollouts per arm"
    browser.find_element(By.ID, "predict").click()
    WebDriverWait(browser, 20).until(lambda driver: "/predictions/pred_" in driver.current_url)
    browser.execute_script(
        """window.progress = [];
        const look = () => window.progress.push(document.getElementById("progress-text").textContent);
        look();
        new MutationObserver(look).observe(document.getElementById("progress"), {childList: true, subtree: true});"""
    )
    wait_for(browser, "#answer, #answer-error", 90)
    assert browser.find_element(By.ID, "answer").is_displayed(), text(browser, "main")

    progress = browser.execute_script("return window.progress")
    assert any(re.search(r"\d+ of [\d,]+ rollouts|Loading the model", line) for line in progress), progress
    prediction = read(address, "/v1/predictions?limit=1")["data"][0]
    assert browser.current_url == f"{address}/predictions/{prediction['id']}"
    assert prediction["request"]["context"]["options"]["level"] == 1
    gap, improvement = prediction["gap"], prediction["improvement"]
    gap_text = f"{shown(gap['value'])} ± {100 * gap['se']:.1f} accuracy points (SE)"
    assert text(browser, "[data-part=gap] .headline") == gap_text
    assert text(browser, "[data-slot=probe]") == "64 problems \N{MULTIPLICATION SIGN} 2 rollouts per arm"
    assert text(browser, "[data-part=improvement] .headline") == f"{shown(improvement['value'])} accuracy points"
    rows = browser.find_elements(By.CSS_SELECTOR, ".intervals tbody tr")
    wanted = [(f"{one['level']:.0%}", shown(one["lower"]), shown(one["upper"])) for one in improvement["intervals"]]
    assert [tuple(row.text.replace(" %", "%").split()) for row in rows] == wanted
    assert len(wanted) == 2
    first = words.in_short(PredictionOut.model_validate(prediction))
    assert text(browser, "[data-slot=verdict]") == typeset(first)
    assert browser.title.endswith("Predictions · Gapcast")
    assert "accuracy points" in text(browser, "[data-slot=verdict-text]")
    assert POINTS.match(text(browser, "[data-slot=control-none]"))
    assert text(browser, "[data-slot=law-fit]") == prediction["law"]["fit_id"]
    spoken = browser.find_element(By.ID, "live").get_attribute("textContent")
    assert spoken == typeset(first)

    WebDriverWait(browser, 10).until(lambda driver: len(marks(driver, "#chart", "prediction")) == 1)
    assert points_drawn(browser, "#chart") == len(observations)
    assert complaints(browser) == []

    browser.get(f"{address}/?prediction={prediction['id']}")
    assert browser.current_url == f"{address}/predictions/{prediction['id']}", "old addresses lead on"
    browser.get(address)
    decided = browser.find_element(By.CSS_SELECTOR, "#glance a[href*=pred_]")
    assert decided.get_attribute("href") == f"{address}/predictions/{prediction['id']}"
    assert complaints(browser) == []


def test_a_link_opens_a_prediction_on_a_phone_without_sideways_scrolling(browser, address) -> None:
    prediction = read(address, "/v1/predictions?limit=1")["data"][0]
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(f"{address}/predictions/{prediction['id']}")
        wait_for(browser, "#chart svg path")
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        for summary in browser.find_elements(By.CSS_SELECTOR, "main summary"):
            summary.send_keys(Keys.ENTER)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "unfolded"
        browser.get(f"{address}/?like={prediction['id']}")
        browser.execute_script("document.getElementById('law').scrollIntoView()")
        wait_for(browser, f"{LAW} svg path")
        WebDriverWait(browser, 20).until(
            lambda driver: driver.find_element(By.NAME, "probe.problems").get_attribute("value") == "64"
        )
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert complaints(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_error_of_the_api_stands_beside_its_field(browser, address) -> None:
    browser.get(address)
    browser.execute_script(
        """document.getElementById("form").noValidate = true;
        document.getElementById("probe-problems").value = 1;
        document.getElementById("probe-rollouts").value = 3;"""
    )
    browser.find_element(By.ID, "predict").click()
    wait_for(browser, "#probe-problems-error")
    assert "2" in text(browser, "#probe-problems-error")
    assert browser.find_element(By.ID, "probe-problems").get_attribute("aria-invalid") == "true"
    assert browser.switch_to.active_element.get_attribute("id") == "probe-problems"
    assert browser.find_element(By.ID, "probe-rollouts").get_attribute("value") == "3", "what was sent is kept"
    assert not browser.find_elements(By.ID, "form-error")
    assert browser.current_url == f"{address}/"
    assert all("422" in one for one in complaints(browser)), "the browser's own line about the page"


def test_an_empty_pool_says_that_the_law_is_the_prior_alone(browser, address) -> None:
    browser.get(f"{address}/?pool=default")
    wait_for(browser, "#law > div .message")
    assert "no observations" in text(browser, "#law > div .message")
    assert "prior" in text(browser, "#law > div .message")


def test_an_unknown_pool_is_said_in_the_apis_words(browser, address) -> None:
    with Client(address) as client, pytest.raises(GapcastError) as refused:
        client.fits.current("nothing")
    browser.get(f"{address}/?pool=nothing")
    assert "'nothing'" in text(browser, "#law .error")
    assert text(browser, "#law .error") in str(refused.value)
    assert not browser.find_elements(By.TAG_NAME, "figure")
    assert complaints(browser) == []

    pool = browser.find_element(By.ID, "pool")
    pool.clear()
    pool.send_keys(f"lab{Keys.TAB}")
    wait_for(browser, f"{LAW} svg path")
    wait_for(browser, "#law .key")
    assert "lab-qwen3" in text(browser, "#law")
    assert complaints(browser) == []


NASTY = '</script><script>alert("reason")</script>'


def runs(n: int, **change: Any) -> list[dict[str, Any]]:
    """Runs on a line of slope 1, a little above and below it in turn."""
    gaps = [0.02 + 0.3 * index / n for index in range(n)]
    return [
        run(
            gap={"value": gap, "se": 0.02},
            improvement={"value": gap + (0.02, -0.02)[index % 2], "se": 0.02},
            external_id=f"{index}{change}",
            **change,
        )
        for index, gap in enumerate(gaps)
    ]


def test_excluded_observations_and_outliers_are_marked(browser, address) -> None:
    rows = runs(12)
    rows[3] |= {"improvement": {"value": -0.3, "se": 0.02}, "collapsed": False}
    rows[5] |= {"excluded": True, "excluded_reason": NASTY}
    with Client(address) as client:
        client.observations.create(rows, "marked")
        fit = client.fits.current("marked")
    browser.get(f"{address}/?pool=marked")
    wait_for(browser, f"{LAW} svg path")
    assert points_drawn(browser) == 12
    assert len(marks(browser, LAW, "outliers")) == 1
    hollow = [one for one in marks(browser, LAW, "observations") if one.get_attribute("fill-opacity") == "0"]
    assert len(hollow) == 1
    wait_for(browser, "#law .key")
    key = text(browser, "#law .key")
    assert "outlier: weight in the fit under 0.5 (1)" in key
    assert "excluded (1)" in key

    ActionChains(browser).move_to_element(hollow[0]).perform()
    wait_for(browser, ".tip")
    assert f"no, excluded: {NASTY}" in text(browser, ".tip")

    browser.find_element(By.CSS_SELECTOR, "#law .more a").click()
    wait_for(browser, "#scatter svg path")
    assert fit.id in browser.current_url
    assert points_drawn(browser) == 12
    browser.find_element(By.CSS_SELECTOR, "#scatter summary").send_keys(Keys.ENTER)
    wait_for(browser, "#scatter tbody tr")
    notes = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#scatter tbody td:last-child")]
    assert notes[3] == "outlier, weight < 0.01"
    assert notes[5] == f"no, excluded: {NASTY}"
    assert set(notes[:3] + notes[6:]) == {"yes"}
    assert complaints(browser) == []


def test_families_that_drift_and_sizes_that_differ_are_told(browser, address) -> None:
    rows = runs(12, version="old", parameters=1e9) + runs(12, version="new", parameters=1e10)
    for row in rows[12:]:
        row["improvement"] = {"value": -row["gap"]["value"], "se": 0.02}
    with Client(address) as client:
        client.observations.create(rows, "drifting")
    browser.get(f"{address}/?pool=drifting")
    wait_for(browser, "#law .warnings li")
    assert "versions of qwen3 follow different laws: new (12) and old (12)" in text(browser, "#law .warnings")
    browser.find_element(By.CSS_SELECTOR, "#law .more a").click()
    browser.execute_script("document.getElementById('sizes').scrollIntoView()")
    wait_for(browser, "#sizes svg path")
    assert "at 1B and" in text(browser, "#sizes [role=status]")
    assert "they differ" in text(browser, "#sizes [role=status]")
    assert complaints(browser) == []


def judged(browser: webdriver.Chrome, address: str) -> str:
    """Follow the first page's link to how the predictions of a pool turned out; what is said there."""
    browser.get(f"{address}/?pool=judged")
    browser.find_element(By.LINK_TEXT, "How its predictions turned out").click()
    wait_for(browser, "#calibration")
    said = browser.find_element(By.CSS_SELECTOR, "#calibration [role=status]")
    WebDriverWait(browser, 20).until(lambda _: "Reading" not in said.text)
    return said.text


def test_past_predictions_are_shown_with_what_came(browser, address) -> None:
    with Client(address) as client:
        client.observations.create(runs(12), "judged")
        client.fits.current("judged")
        said = judged(browser, address)
        assert said.startswith("No prediction has met its outcome in pool judged yet.")
        assert "prediction_id" in said
        assert not marks(browser, "#calibration", "inside")

        outcomes, predicted = [], []
        for gap, improvement in ((0.1, 0.11), (0.2, 0.19), (0.3, -0.2)):
            measured = {"value": gap, "se": 0.02}
            configuration = {
                "model": {"name": "Qwen/Qwen3-8B", "family": "qwen3"},
                "task": "livecodebench-v6",
                "context": {"kind": "feedback"},
                "pool": "judged",
                "gap": measured | {"student": 0.4},
            }
            predicted.append(client.predictions.create(configuration))
            outcomes.append(
                run(gap=measured, improvement={"value": improvement, "se": 0.02}, prediction_id=predicted[-1].id)
            )
        client.observations.create(outcomes, "judged")
        client.fits.current("judged")
    said = judged(browser, address)
    assert len(marks(browser, "#calibration", "inside")) == 2
    assert len(marks(browser, "#calibration", "outside")) == 1
    assert "2 came inside their 80 % interval (67 %, 95 % confidence 21 to 94 %)" in said
    assert "accuracy points wide on average" in said
    browser.find_element(By.CSS_SELECTOR, "#calibration summary").send_keys(Keys.ENTER)
    wait_for(browser, "#calibration tbody tr")
    rows = browser.find_elements(By.CSS_SELECTOR, "#calibration tbody tr")
    assert [row.find_elements(By.TAG_NAME, "td")[-1].text for row in rows] == ["no", "yes", "yes"]
    assert [row.find_elements(By.TAG_NAME, "td")[3].text for row in rows] == [shown(one) for one in (-0.2, 0.19, 0.11)]
    assert complaints(browser) == []

    rows[0].find_element(By.TAG_NAME, "a").click()
    wait_for(browser, "#answer")
    assert browser.current_url == f"{address}/predictions/{predicted[2].id}"


def test_what_is_not_there_is_said_on_a_page(browser, address) -> None:
    for path, said in (("predictions/pred_1", "There is no prediction 'pred_1'."), ("nothing", "There is no path")):
        browser.get(f"{address}/{path}")
        assert text(browser, "h1") == "Not Found"
        assert said in text(browser, "main")
    assert all("404" in one for one in complaints(browser)), "the browser's own line about the page"


def test_a_prediction_is_cancelled_with_its_button(browser, address) -> None:
    body = {
        "model": {"name": "lab/addition-qwen3-m"},
        "task": "lab/addition",
        "context": {"kind": "feedback"},
        "probe": {"problems": 512, "rollouts": 128},
    }
    with Client(address) as client:
        created = client.predictions.create(body)
        browser.get(address)
        assert created.id in browser.find_element(By.CSS_SELECTOR, "#glance a").get_attribute("href")
        browser.get(f"{address}/predictions/{created.id}")
        browser.find_element(By.ID, "cancel").click()
        wait_for(browser, "#answer-error", 30)
        assert client.predictions.get(created.id).status == "cancelled"
    assert complaints(browser) == []


def test_what_can_be_asked_again_is_copied(browser, address) -> None:
    prediction = read(address, "/v1/predictions?status=succeeded&limit=1")["data"][0]
    browser.get(f"{address}/predictions/{prediction['id']}")
    browser.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    browser.find_element(By.CSS_SELECTOR, "details:has(#again-curl) summary").send_keys(Keys.ENTER)
    button = browser.find_element(By.CSS_SELECTOR, "[data-copy=again-curl]")
    button.send_keys(Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda _: button.text == "Copied")
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    shown = browser.find_element(By.ID, "again-curl").get_attribute("textContent")
    assert copied.strip() == shown.strip()
    assert copied.startswith(f"curl {address}/v1/predictions ")
    assert complaints(browser) == []


@pytest.mark.parametrize("width", [1280, 400])
def test_every_list_has_a_page_that_fits_a_screen(browser, address, width) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(f"{address}/predictions")
        addresses = [one.get_attribute("href") for one in browser.find_elements(By.CSS_SELECTOR, "nav li a")]
        assert len(addresses) >= 10
        ours = [one for one in addresses if not one.endswith(("/docs/", "/openapi.json"))]
        for one in [*ours, f"{address}/models/lab/addition-qwen3-m"]:
            browser.get(one)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width, one
            assert (
                len(browser.find_elements(By.CSS_SELECTOR, "h1"))
                == len(browser.find_elements(By.TAG_NAME, "main"))
                == 1
            )
            assert browser.title.endswith("Gapcast")
        browser.get(f"{address}/observations?pool=lab&order=asc")
        assert browser.find_element(By.CSS_SELECTOR, ".items .number").is_displayed()
        browser.find_element(By.CSS_SELECTOR, ".items tbody a").click()
        wait_for(browser, ".described")
        assert "points" in text(browser, ".described")
        assert complaints(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
