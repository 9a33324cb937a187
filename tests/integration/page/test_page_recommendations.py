"""Recommendations on the page: a plan that is executed is followed to its best run, with a real lab model."""

from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gapcast import Client
from tests.support.browser import complaints, read, text, wait_for
from tests.support.product import ask

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Body = dict[str, Any]

NASTY = "<img src=x onerror=alert(1)> & </svg>"
SPACE: Body = {
    "name": NASTY,
    "base": {
        "model": "lab/addition-qwen3-s",
        "task": "lab/addition",
        "recipe": {"steps": 4, "problems_per_step": 8},
        "training": {"problems": 32, "evaluation_problems": 32},
    },
    "vary": {"context": {"hinted": {"kind": "hints"}, NASTY: {"kind": "feedback"}, "low": {"kind": "peer_solution"}}},
}
WATCH = """window.seen = [];
const look = () => {
  for (const one of document.querySelectorAll(".found [data-slot]")) seen.push(one.textContent);
};
const found = document.querySelector(".found");
new MutationObserver(look).observe(found, {childList: true, subtree: true});"""
ENDED = "#recommendation-now[data-status=ended]"


def count(browser: webdriver.Chrome, selector: str) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, selector))


def asked(address: str, **more: Any) -> Body:
    with Client(address) as client:
        made: Body = ask(client, "POST", "/v1/recommendations", json=SPACE | more)
    return made


def test_an_executed_plan_is_followed_and_read(browser, address) -> None:
    made = asked(address, execute=True)
    browser.get(f"{address}/recommendations/{made['id']}")
    browser.execute_script(WATCH)
    wait_for(browser, ".found", 60)
    WebDriverWait(browser, 240).until(lambda driver: count(driver, ENDED), "the plan has not ended")
    seen = browser.execute_script("return window.seen")
    assert any(one.startswith("Round 1, ") for one in seen), seen
    assert any(one.startswith("Step 2 of 2: Train ") for one in seen), seen
    found = read(address, f"/v1/recommendations/{made['id']}")
    assert found["status"] == "succeeded"
    best = found["space"][found["best"]["place"]]["name"]

    def check() -> None:
        assert text(browser, ".found [data-slot=reason]").startswith(f"Best run: {best}, ")
        assert not browser.find_element(By.ID, "recommendation-buttons").is_displayed()
        assert count(browser, "#recommendation-plot rect") == 3
        assert count(browser, "#recommendation-steps tbody tr") == 2
        names = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#recommendation-space tbody th")]
        assert NASTY in names
        assert count(browser, "main img") == 0

    check()
    browser.get(f"{address}/recommendations")
    row = browser.find_element(By.CSS_SELECTOR, ".items tbody tr")
    assert row.find_element(By.TAG_NAME, "th").text == NASTY
    row.find_element(By.TAG_NAME, "a").click()
    wait_for(browser, "#recommendation-plot svg")
    check()

    browser.find_element(By.CSS_SELECTOR, "#recommendation-steps tr:nth-child(1) a").click()
    wait_for(browser, "#comparison-plot svg")
    assert text(browser, "[data-slot=id]") == found["plan"][0]["comparison_id"]
    browser.back()
    wait_for(browser, "#recommendation-plot svg")

    try:
        metrics = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert not browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
        plot = browser.find_element(By.CSS_SELECTOR, "#recommendation-plot svg[role=img]")
        assert 300 < plot.size["width"] < 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert complaints(browser) == []


def test_a_running_plan_is_cancelled(browser, address) -> None:
    contexts = [{"kind": "hints", "options": {"corruption": {"rate": rate / 50}}} for rate in range(1, 31)]
    made = asked(address, execute=True, vary={"context": contexts})
    browser.get(f"{address}/recommendations/{made['id']}")
    wait_for(browser, "#recommendation-cancel", 60)
    browser.find_element(By.ID, "recommendation-cancel").click()
    WebDriverWait(browser, 60).until(lambda driver: count(driver, ENDED), "the plan has not ended")
    assert text(browser, ".found [data-slot=headline]") == "Cancelled"
    assert read(address, f"/v1/recommendations/{made['id']}")["status"] == "cancelled"
    assert complaints(browser) == []
