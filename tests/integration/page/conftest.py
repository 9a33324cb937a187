"""A browser, and the real product for it."""

import json
import os
from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.support.browser import CHROMEDRIVER, CHROMIUM, chromium, complaints
from tests.support.product import serving

SERVED = {
    "name": "far/away",
    "family": "far",
    "url": "http://127.0.0.1:9/v1",
    "revision": "1",
    "parameters": 8_000_000_000,
    "thinking": True,
}
"""a model that is listed and, behind a port where nothing answers, never asked"""


@pytest.fixture(scope="module", autouse=True)
def _chromium() -> None:
    there = CHROMIUM.exists() and CHROMEDRIVER.exists()
    if not there and os.environ.get("GAPCAST_REQUIRE_SERVICES") == "1":
        pytest.fail("Chromium and ChromeDriver are required here and missing")
    if not there:
        pytest.skip("Chromium and ChromeDriver are not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory, _chromium) -> Iterator[str]:
    """A running `gapcast serve` with its own worker, which lists a model of the operator's."""
    with serving(tmp_path_factory.mktemp("page"), {"GAPCAST_MODELS": json.dumps([SERVED])}) as (client, _):
        yield client.url


@pytest.fixture(scope="module")
def browser(_chromium) -> Iterator[webdriver.Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(autouse=True)
def _quiet(browser) -> None:
    """What the console said in the test before is none of this one's."""
    complaints(browser)
