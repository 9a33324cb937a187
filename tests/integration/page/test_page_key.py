"""A server with an API key in a real browser, which asks for the key as for a password: once."""

import csv
import io
from collections.abc import Iterator

import httpx2
import pytest
from selenium.webdriver.common.by import By

from gapcast import Client
from tests.support.browser import complaints, strangers, wait_for
from tests.support.markup import Elements
from tests.support.product import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEY = "gapcast-test-key-0123456789abcdef0123456789"
WAITING = {
    "model": "lab/addition-qwen3-s",
    "task": "lab/addition",
    "context": {"kind": "hints"},
    "probe": {"needs": {"labels": ["nowhere"]}},
}
EXPORT = "fetch('/observations.csv?pool=lab').then((answer) => answer.text()).then(arguments[0])"
STREAM = """
const [path, done] = arguments;
const source = new EventSource(path);
source.onopen = () => { source.close(); done("open"); };
source.onerror = () => { source.close(); done("refused"); };
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory, _chromium) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("keyed"), {"GAPCAST_API_KEY": KEY}, key=KEY) as (client, _):
        yield client.url


def typed(address: str, key: str) -> str:
    """An address with what somebody types into the browser's dialog; the browser keeps it as it keeps that."""
    return address.replace("://", f"://me:{key}@")


def test_who_gives_up_after_a_wrong_key_reads_why(address) -> None:
    """The browser asks again in its own dialog, and shows this answer when that is closed."""
    answer = httpx2.get(f"{address}/predictions", auth=("me", f"{KEY}0"), headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "expected the API key of this server, got another key" in Elements(answer.text).text_of("main")


def test_the_key_is_asked_for_once(browser, address) -> None:
    with Client(address, KEY) as client:
        asked = client.predictions.create(WAITING)
        browser.get(f"{typed(address, KEY)}/predictions")
        browser.get(f"{address}/predictions")
        browser.find_element(By.CSS_SELECTOR, f".items a[href='/predictions/{asked.id}']").click()
        wait_for(browser, "#cancel")
        path = browser.find_element(By.TAG_NAME, "main").get_attribute("data-events")
        assert browser.execute_async_script(STREAM, path) == "open"
        rows = list(csv.DictReader(io.StringIO(browser.execute_async_script(EXPORT))))
        assert len(rows) == client.fits.current("lab").n
        browser.find_element(By.ID, "cancel").click()
        wait_for(browser, "#answer-error")
        assert client.predictions.get(asked.id).status == "cancelled"
    browser.get(address)
    wait_for(browser, "[data-figure] svg path")
    assert complaints(browser) == []
    assert strangers(browser, address) == []
