"""A page of another site in the same browser: what it sends arrives and changes nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium import webdriver

from tests.support.browser import complaints, read, text, wait_for
from tests.support.rows import run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BODY = json.dumps({"observations": [run()]})
SEND = """
const [url, body, kind, done] = arguments;
const sent = new Blob([body], { type: kind });  // a blob of no type has no Content-Type
fetch(url, { method: "POST", mode: "no-cors", body: sent }).then((answer) => done(answer.type), done);
"""
CANCEL = """
fetch("/v1/predictions/pred_x/cancel", { method: "POST" }).then((answer) => arguments[0](answer.status));
"""
SUBMIT = """
const form = document.createElement("form");
Object.assign(form, { method: "post", enctype: "text/plain", action: arguments[0] });
document.body.append(form);
form.submit();
"""


class Blank(BaseHTTPRequestHandler):
    """A site with one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>elsewhere</title><body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(params=["127.0.0.1", "localhost"])  # to a browser the same site on another port, and another site
def elsewhere(request: pytest.FixtureRequest, browser: webdriver.Chrome, port: int) -> None:
    browser.get(f"http://{request.param}:{port}/")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_what_it_sends_is_not_stored(browser: webdriver.Chrome, address: str, kind: str) -> None:
    answer = browser.execute_async_script(SEND, f"{address}/v1/observations", BODY, kind)
    assert answer == "opaque", "it was sent, and answered"
    assert read(address, "/v1/observations?pool=default")["data"] == []


@pytest.mark.usefixtures("elsewhere")
def test_it_cannot_cancel_anything(browser: webdriver.Chrome, address: str) -> None:
    """A request without a body needs no type that a browser would ask the server about first."""
    browser.execute_script(SUBMIT, f"{address}/v1/predictions/pred_x/cancel")
    wait_for(browser, "pre")
    assert '"foreign_origin"' in text(browser, "pre")
    complaints(browser)


def test_our_own_page_is_served(browser: webdriver.Chrome, address: str) -> None:
    browser.get(address)
    code = browser.execute_async_script(CANCEL)
    assert code == 404
    complaints(browser)
