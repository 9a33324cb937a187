"""The built docs in a real browser: what `make docs` wrote, as `gapcast serve` serves it."""

import os
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from service.web.docs import SITE
from tests.support.browser import complaints, wait_for

pytestmark = pytest.mark.browser

PAGES = ("", "law/", "reference/client/", "reference/rest/predictions/")
"""prose, tables and pictures, code, the API's reference; the builder looks through all for what the policy forbids"""
ASKED = "return performance.getEntriesByType('resource').map((one) => one.name)"
FOUND = "a.md-search-result__link"


@pytest.fixture(autouse=True)
def _built() -> None:
    if (SITE / "index.html").exists():
        return
    if os.environ.get("GAPCAST_REQUIRE_SERVICES") == "1":
        pytest.fail("the docs are required here and not built: make docs")
    pytest.skip("the docs are not built: make docs")


def hosts_asked(browser: webdriver.Chrome) -> set[str]:
    return {urlsplit(url).netloc for url in browser.execute_script(ASKED)}


def test_the_docs_are_read_and_searched_without_another_host(browser: webdriver.Chrome, address: str) -> None:
    for path in PAGES:
        browser.get(f"{address}/docs/{path}")
        wait_for(browser, "article h1")
        assert hosts_asked(browser) == {urlsplit(address).netloc}, path
        assert complaints(browser) == [], path

    browser.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("context_gained_little")
    wait_for(browser, FOUND)
    found = [one.get_attribute("href") for one in browser.find_elements(By.CSS_SELECTOR, FOUND)]
    assert any(urlsplit(link).path == "/docs/law/" for link in found), found
    assert hosts_asked(browser) == {urlsplit(address).netloc}
    assert complaints(browser) == []
