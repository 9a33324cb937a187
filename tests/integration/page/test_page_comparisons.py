"""Comparisons on the page: followed while they run, and read once they have ended, with a real lab model."""

import re
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
ASKED: Body = {
    "name": NASTY,
    "base": {"model": "lab/addition-qwen3-s", "task": "lab/addition"},
    "vary": {
        "context": {
            "hinted": {"kind": "hints"},
            NASTY: {"kind": "feedback"},
            "others": {"kind": "peer_solution"},
        }
    },
}
WATCH = """window.seen = [];
const look = () => document.querySelectorAll(".found [data-slot]").forEach((one) => seen.push(one.textContent));
new MutationObserver(look).observe(document.querySelector(".found"), {childList: true, subtree: true});"""
ENDED = "#comparison-now[data-status=ended]"


def count(browser: webdriver.Chrome, selector: str) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, selector))


def wider_than_the_window(browser: webdriver.Chrome) -> bool:
    return bool(browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth"))


def test_a_comparison_is_followed_and_read(browser, address) -> None:
    with Client(address) as client:
        made = ask(client, "POST", "/v1/comparisons", json=ASKED)
    browser.get(f"{address}/comparisons/{made['id']}")
    browser.execute_script(WATCH)
    wait_for(browser, ".found", 60)
    WebDriverWait(browser, 120).until(lambda driver: count(driver, ENDED), "the comparison has not ended")
    seen = browser.execute_script("return window.seen")
    assert any(re.fullmatch(r"Round \d+, [\d,]+ of at most [\d,]+ rollouts", one) for one in seen), seen

    found = read(address, f"/v1/comparisons/{made['id']}")
    assert found["status"] == "succeeded"
    best = next(one for one in found["configurations"] if one["place"] == found["winner"]["place"])
    value = f"{100 * found['winner']['answer']['improvement']['value']:+.1f}"

    def check() -> None:
        assert best["name"] in text(browser, ".found [data-slot=headline]") + text(browser, ".found [data-slot=reason]")
        assert value.replace("-", "\N{MINUS SIGN}") in text(browser, ".found [data-slot=reason]")
        assert not browser.find_element(By.ID, "comparison-buttons").is_displayed()
        assert count(browser, "#comparison-plot circle.mean") == 4, "three, and the winner's second probe"
        assert count(browser, "#comparison-rows tbody tr") == 4
        names = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#comparison-rows tbody th a")]
        assert names.count(NASTY) == 1
        assert count(browser, "main img") == 0

    check()
    browser.refresh()
    wait_for(browser, "#comparison-plot svg")
    check()
    assert complaints(browser) == []

    browser.get(f"{address}/comparisons")
    row = browser.find_element(By.CSS_SELECTOR, ".items tbody tr")
    assert [
        row.find_element(By.TAG_NAME, "th").text,
        *[one.text for one in row.find_elements(By.CSS_SELECTOR, "td:not(.choice)")][:1],
    ] == [*(NASTY, best["name"])]
    row.find_element(By.TAG_NAME, "a").click()
    wait_for(browser, "#comparison-plot svg")
    check()

    browser.find_element(By.CSS_SELECTOR, "#comparison-rows tr[data-mark=second] a").click()
    wait_for(browser, "#answer")
    assert text(browser, "[data-slot=id]") == found["winner"]["prediction_id"]
    assert text(browser, "#answer [data-slot=improvement]") == value.replace("-", "\N{MINUS SIGN}")
    assert browser.find_element(By.ID, "train").is_displayed(), "the winner can be trained"
    browser.back()
    wait_for(browser, "#comparison-plot svg")

    size = browser.get_window_size()
    try:
        metrics = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert not wider_than_the_window(browser)
        plot = browser.find_element(By.CSS_SELECTOR, "#comparison-plot svg[role=img]")
        assert 300 < plot.size["width"] < 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.set_window_size(size["width"], size["height"])
    assert complaints(browser) == []

    browser.find_element(By.CSS_SELECTOR, "#comparison-train button").click()
    wait_for(browser, "#run-cancel")
    run = read(address, f"/v1/training_runs/{browser.current_url.rpartition('/')[2]}")
    assert run["prediction_id"] == found["winner"]["prediction_id"]
    browser.find_element(By.ID, "run-cancel").click()
    wait_for(browser, "#run-now[data-status=ended]", 60)
    assert complaints(browser) == []


def test_a_running_comparison_is_cancelled(browser, address) -> None:
    contexts = [{"kind": "hints", "options": {"corruption": {"rate": rate / 50}}} for rate in range(1, 31)]
    many = {"base": ASKED["base"], "vary": {"context": contexts}}
    with Client(address) as client:
        made = ask(client, "POST", "/v1/comparisons", json=many)
    browser.get(f"{address}/comparisons/{made['id']}")
    wait_for(browser, "#comparison-cancel", 60)
    browser.find_element(By.ID, "comparison-cancel").click()
    WebDriverWait(browser, 60).until(lambda driver: count(driver, ENDED), "the comparison has not ended")
    assert text(browser, ".found [data-slot=headline]") == "Cancelled"
    assert read(address, f"/v1/comparisons/{made['id']}")["status"] == "cancelled"
    assert complaints(browser) == []
