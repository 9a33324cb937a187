"""The page in a real browser: what tests look at and wait for."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser without a screen and with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in [*FLAGS, f"--user-data-dir={profile}", "--window-size=1440,900"]:
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(CHROMEDRIVER)))
        yield driver
        driver.quit()


def read(address: str, path: str) -> Any:
    with urlopen(f"{address}{path}", timeout=10) as response:
        return json.load(response)


def text(browser: webdriver.Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


REDRAWN = [StaleElementReferenceException]
"""what a look at a part meets that takes another's place just then: the next look sees it"""


def wait_for(browser: webdriver.Chrome, selector: str, seconds: float = 20) -> None:
    def shown(driver: webdriver.Chrome) -> bool:
        return any(one.is_displayed() for one in driver.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(browser, seconds, ignored_exceptions=REDRAWN).until(shown, f"{selector} is not shown")


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says, violations of the content security policy among it."""
    return [entry["message"] for entry in browser.get_log("browser")]


AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text
GRAVE = {"serious", "critical"}
RUN_AXE = """
const done = arguments[arguments.length - 1];
const places = ({ nodes }) => nodes.slice(0, 3).map(({ target }) => target.join(" ")).join("; ");
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.map((one) => [one.impact, `${one.id}: ${places(one)}`])),
  (error) => done([["critical", String(error)]]),
);
"""


def barriers(browser: webdriver.Chrome) -> list[str]:
    """What axe finds serious or critical about the page as it stands."""
    browser.execute_script(AXE())
    return [said for impact, said in browser.execute_async_script(RUN_AXE) if impact in GRAVE]


def strangers(browser: webdriver.Chrome, address: str) -> list[str]:
    """The addresses of other hosts that the page has asked."""
    names = browser.execute_script("return performance.getEntriesByType('resource').map(({ name }) => name)")
    return [name for name in names if not name.startswith((f"{address}/", "data:", "blob:"))]


def prefer(browser: webdriver.Chrome, scheme: str) -> None:
    """Show this page and those after it in light or dark, without the fading in which colours are measured wrongly."""
    preferred = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferred})


def faults(browser: webdriver.Chrome, address: str, width: int) -> list[str]:
    """What is wrong with the page that is shown: barriers in light and dark, and what hostile text does to a page."""
    said = []
    for scheme in ("dark", "light"):
        prefer(browser, scheme)
        said += [f"{scheme}: {one}" for one in barriers(browser)]
    if browser.execute_script("return document.documentElement.scrollWidth") > width:
        said.append("wider than the screen")
    for tag in ("h1", "main"):
        if (count := len(browser.find_elements("tag name", tag))) != 1:
            said.append(f"{count} {tag}")
    said += ["made of text" for _ in browser.find_elements("css selector", "img[src=x]")]
    return [*said, *strangers(browser, address), *complaints(browser)]


@contextmanager
def screen(browser: webdriver.Chrome, width: int, scheme: str = "light") -> Iterator[None]:
    """A screen of this width that prefers light or dark."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    prefer(browser, scheme)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
