"""Make the two pictures of README.md: a prediction and a comparison, asked of a real server and taken from its page.

Run `python -m docs.make_pictures` where Chromium, ChromeDriver and the extras `worker` and `dev` are installed:
a minute of one core.
"""

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import complaints
from tests.support.product import eventually, serving

HERE = Path(__file__).parent
WIDTH = 1280
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
HOLDING = """
const boxes = [...document.querySelectorAll(arguments[0])].map((one) => one.getBoundingClientRect());
const top = Math.min(...boxes.map((box) => box.top)) + scrollY;
return { y: top, height: Math.max(...boxes.map((box) => box.bottom)) + scrollY - top };
"""
LAB = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
CONTEXTS = [
    {"kind": "feedback"},
    {"kind": "peer_solution"},
    {"kind": "hints", "options": {"level": 2}},
    {"kind": "hints", "options": {"level": 3}},
]


@contextmanager
def browsing() -> Iterator[webdriver.Chrome]:
    """A browser with a window of the pictures' width."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in [*FLAGS, f"--window-size={WIDTH},1250"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def take(browser: webdriver.Chrome, address: str, drawn: str, parts: str, picture: str) -> None:
    """Open an address, wait until `drawn` is there, and take a picture of the part of the page that holds `parts`."""
    browser.get(address)
    WebDriverWait(browser, 60).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, drawn), f"no {drawn}")
    clip = browser.execute_script(HOLDING, parts) | {"x": 0, "width": WIDTH, "scale": 1}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    (HERE / picture).write_bytes(base64.b64decode(taken["data"]))
    if said := complaints(browser):
        raise SystemExit(f"{picture}: the console says {said}")


def main() -> None:
    """Ask, wait for the answers, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), {}) as (client, _):
        asked = {"kind": "hints", "options": {"level": 2}}
        prediction = client.predictions.create(**LAB, context=asked)
        comparison = client.comparisons.create(base=LAB, vary={"context": CONTEXTS})
        eventually(lambda: client.predictions.get(prediction.id).ended, 300)
        eventually(lambda: client.comparisons.get(comparison.id).ended, 600)
        with browsing() as browser:
            take(
                browser,
                f"{client.url}/predictions/{prediction.id}",
                "#chart .prediction_marks",
                "header, .drawn",
                "page.png",
            )
            ended = "#comparison-now[data-status=ended]"
            take(browser, f"{client.url}/comparisons/{comparison.id}", ended, ".of, .found", "comparison.png")


if __name__ == "__main__":
    main()
