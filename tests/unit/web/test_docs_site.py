"""`/docs`: the site that `make docs` has built, or what to do where it was not."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from service.web.docs import Docs
from service.web.rendering import PAGE_HEADERS


def asking(site: Path) -> TestClient:
    return TestClient(Starlette(routes=[Mount("/docs", Docs(site))]))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in {"index.html": "home", "law/index.html": "the law", "assets/a.js": "1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_pages_have_addresses_and_the_pages_policy(site: Path) -> None:
    client = asking(site)
    for path, text in {
        "/docs": "home",
        "/docs/law/": "the law",
        "/docs/law": "the law",
        "/docs/assets/a.js": "1",
    }.items():
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (200, text)
        assert answer.headers["Content-Security-Policy"] == PAGE_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in PAGE_HEADERS["Content-Security-Policy"]


def test_a_page_that_is_not_there_leads_home(site: Path) -> None:
    answer = asking(site).get("/docs/lawn/")
    assert answer.status_code == 404
    assert 'href="/docs/"' in answer.text
    assert "make docs" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/docs/law/"])
def test_docs_that_were_not_built_say_how_to_build_them(tmp_path: Path, path: str) -> None:
    answer = asking(tmp_path / "site").get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "make docs" in answer.text
    assert "docs/README.md" in answer.text
