"""Training runs on the page: asked for, followed, steered and read, with real runs of a lab model."""

import re
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gapcast import Client
from gapcast.contract.base import Warned
from gapcast.words import warning
from service.web.rendering import typeset
from tests.support.browser import REDRAWN, complaints, read, text, wait_for
from tests.support.product import ask

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Body = dict[str, Any]

CONFIGURATION: Body = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 6, "problems_per_step": 4, "group_size": 2},
    "probe": {"problems": 8, "rollouts": 2},
    "training": {"problems": 8},
}
WATCH = """window.seen = [];
const look = () => {
  for (const one of document.querySelectorAll("#run-facts [data-slot]")) window.seen.push(one.textContent);
};
new MutationObserver(look).observe(document.getElementById("run-facts"), {childList: true, subtree: true});"""


def headline(browser: webdriver.Chrome) -> str:
    return text(browser, "#run-facts [data-slot=headline]")


def wait_until_it_says(browser: webdriver.Chrome, said: str, seconds: float = 60) -> None:
    wait = WebDriverWait(browser, seconds, ignored_exceptions=REDRAWN)
    wait.until(lambda driver: headline(driver) == said, f"never said {said!r}")


def marks(browser: webdriver.Chrome, plot: str, layer: str) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, f"{plot} svg .{layer}_marks path"))


def cells(browser: webdriver.Chrome, address: str, run: Body) -> list[str]:
    """The run's row in the list of runs."""
    browser.get(f"{address}/training_runs")
    link = browser.find_element(By.CSS_SELECTOR, f".items a[href='/training_runs/{run['id']}']")
    return [one.text for one in link.find_elements(By.XPATH, "./ancestor::tr/td[not(@class='choice')]")]


def measured(one: Body) -> str:
    return f"{100 * one['value']:+.1f} ± {100 * one['se']:.1f}".replace("-", "\N{MINUS SIGN}")


def test_a_prediction_is_trained_and_judged(browser, address) -> None:
    seconds_long = CONFIGURATION["recipe"] | {"steps": 60}  # so that the page has time to show a step
    body = CONFIGURATION | {"recipe": seconds_long, "pool": "lab"}
    with Client(address) as client:
        prediction = ask(client, "POST", "/v1/predictions", json=body, headers={"Prefer": "wait=60"})
    browser.get(f"{address}/predictions/{prediction['id']}")
    wait_for(browser, "#train")
    assert text(browser, "#train-note").startswith("60 steps")
    browser.find_element(By.CSS_SELECTOR, "#train button").click()
    wait_for(browser, "#run-now")
    browser.execute_script(WATCH)
    WebDriverWait(browser, 120).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#run-now[data-status=ended]"), "the run has not ended"
    )
    run = read(address, f"/v1/training_runs/{browser.current_url.rpartition('/')[2]}")
    assert (run["status"], run["prediction_id"], run["seed"]) == ("succeeded", prediction["id"], 0)
    seen = browser.execute_script("return window.seen")
    assert any(re.fullmatch(r"step \d+ of 60", one) for one in seen), seen
    assert any("nats per token" in one and "accuracy" in one for one in seen), seen

    def check() -> None:
        WebDriverWait(browser, 20).until(lambda driver: marks(driver, "#run-chart", "looks") == len(run["evaluations"]))
        assert marks(browser, "#run-loss", "losses") == 60
        assert len(browser.find_elements(By.CSS_SELECTOR, "#run-chart svg [class*=forecast_] line")) == 2
        [narrow] = [one for one in run["predicted"]["intervals"] if one["level"] == 0.8]
        where = "inside" if narrow["covered"] else "outside"
        assert headline(browser) == f"{where.capitalize()} its 80 % interval"
        assert text(browser, "#run-facts [data-slot=measured]") == f"{measured(run['improvement'])} points (± 1 SE)"
        observation = browser.find_element(By.CSS_SELECTOR, "#run-facts [data-slot=observation]")
        assert observation.get_attribute("href") == f"{address}/observations/{run['observation_id']}"
        warned = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#run-warnings li")]
        assert warned == [typeset(warning(Warned.model_validate(one))) for one in run["warnings"]]

    check()
    browser.refresh()
    wait_for(browser, "#run-chart svg path")
    check()
    row = cells(browser, address, run)
    assert row[0] == measured(run["improvement"])
    assert row[2] == "Succeeded"
    assert row[7:9] == ["0", "60 of 60"]
    assert complaints(browser) == []

    browser.get(f"{address}/predictions/{prediction['id']}")
    assert text(browser, "[data-slot=came]").startswith(f"Seed 0 gained {measured(run['improvement'])} points; ")
    table = browser.find_elements(By.CSS_SELECTOR, "[data-part=runs] tbody tr")
    assert [one.text for one in table[0].find_elements(By.XPATH, "./*")][:3] == [
        *("seed 0", "Succeeded", measured(run["improvement"]))
    ]
    seed = browser.find_element(By.ID, "train-seed")
    assert seed.get_attribute("value") == "1", "seed 0 has been run"
    seed.clear()
    seed.send_keys("0")
    browser.find_element(By.CSS_SELECTOR, "#train button").click()
    wait_for(browser, "#refused")
    assert f"seed 0 is {run['id']} (succeeded)" in text(browser, "#refused")
    assert all("409" in one for one in complaints(browser)), "the browser's own line about the answer"


def test_a_forecast_moves_and_the_run_is_cancelled(browser, address) -> None:
    long = CONFIGURATION | {"recipe": CONFIGURATION["recipe"] | {"steps": 2000}, "probe": {"rollouts": 2}}
    with Client(address) as client:
        often = {"training": {"problems": 8, "evaluate_every": 5}}
        run = ask(client, "POST", "/v1/training_runs", json=long | often)
        try:
            browser.get(f"{address}/training_runs/{run['id']}")
            wait_for(browser, "[data-slot=forecast]", 60)
            before = text(browser, "[data-slot=forecast]")
            assert "now expected" in before
            wait_for(browser, "#run-chart svg .mark-area path")
            WebDriverWait(browser, 60, ignored_exceptions=REDRAWN).until(
                lambda driver: text(driver, "[data-slot=forecast]") != before, "the forecast does not move"
            )
            browser.find_element(By.ID, "run-cancel").click()
            wait_until_it_says(browser, "Cancelled")
        finally:
            if not client.training_runs.get(run["id"]).ended:
                ask(client, "POST", f"/v1/training_runs/{run['id']}/cancel")
    assert complaints(browser) == []


def test_a_run_grows_and_is_paused_resumed_and_cancelled(browser, address) -> None:
    longer = CONFIGURATION | {"recipe": CONFIGURATION["recipe"] | {"steps": 2000}}
    with Client(address) as client:
        of_a_run = {"probe": {"rollouts": 2}, "training": {"problems": 8, "checkpoint_every": 5}}
        run = ask(client, "POST", "/v1/training_runs", json=longer | of_a_run)
        try:
            browser.get(f"{address}/training_runs/{run['id']}")
            wait_for(browser, "#run-loss svg path", 60)
            before = marks(browser, "#run-loss", "losses")
            WebDriverWait(browser, 60).until(lambda driver: marks(driver, "#run-loss", "losses") > before)

            browser.find_element(By.ID, "run-pause").click()
            wait_until_it_says(browser, "Paused")
            wait_for(browser, "#run-resume")
            assert read(address, f"/v1/training_runs/{run['id']}")["status"] == "paused"
            browser.refresh()
            wait_for(browser, "#run-resume")
            assert headline(browser) == "Paused"
            assert browser.find_elements(By.ID, "run-pause") == []

            browser.find_element(By.ID, "run-resume").click()
            wait_until_it_says(browser, "Training")
            wait_for(browser, "#run-pause")
            browser.find_element(By.ID, "run-cancel").click()
            wait_until_it_says(browser, "Cancelled")
            assert read(address, f"/v1/training_runs/{run['id']}")["status"] == "cancelled"
        finally:
            if client.training_runs.get(run["id"]).status not in {"cancelled", "succeeded"}:
                ask(client, "POST", f"/v1/training_runs/{run['id']}/cancel")
    assert complaints(browser) == []
