"""The page in a real browser: what tests look at and wait for."""

import json
from typing import Any
from urllib.request import urlopen

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def read(address: str, path: str) -> Any:
    with urlopen(f"{address}{path}", timeout=10) as response:
        return json.load(response)


def text(browser: webdriver.Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def wait_for(browser: webdriver.Chrome, selector: str, seconds: float = 20) -> None:
    def shown(driver: webdriver.Chrome) -> bool:
        return any(one.is_displayed() for one in driver.find_elements(By.CSS_SELECTOR, selector))

    redrawn = [StaleElementReferenceException]
    WebDriverWait(browser, seconds, ignored_exceptions=redrawn).until(shown, f"{selector} is not shown")


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says, violations of the content security policy among it."""
    return [entry["message"] for entry in browser.get_log("browser")]
