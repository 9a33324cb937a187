"""What the documents say is what the code does."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REFERENCE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))


@pytest.mark.parametrize("name", REFERENCE["PAGES"])
def test_the_reference_pages_are_current(name: str) -> None:
    """Frozen: a change of the API or of a setting shows up in the diff of these files."""
    assert (ROOT / "docs" / name).read_text() == REFERENCE["PAGES"][name](), "run python docs/make_reference.py"


def test_every_error_code_is_documented() -> None:
    from service import errors  # noqa: F401
    from service.kit.errors import GapcastError

    def tree(error: type[GapcastError]) -> set[str]:
        return {error.code}.union(*(tree(one) for one in error.__subclasses__()))

    text = (ROOT / "docs" / "api.md").read_text()
    assert {code for code in tree(GapcastError) if f"`{code}`" not in text} == set()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as a code host and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_links_between_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


def test_the_site_has_every_page() -> None:
    """The decisions and the reference are added when it is built, at the two folders that it names."""

    def leaves(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [leaf for one in (part.values() if isinstance(part, dict) else part) for leaf in leaves(one)]

    named = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    made = {"adr", "reference/rest", "reference/command.md", "reference/client.md", "reference/errors.md"}
    assert sorted(named) == sorted({path.name for path in (ROOT / "docs").glob("*.md")} | made)


def test_every_page_begins_with_who_it_is_for() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        title, _, begin = page.read_text().partition("\n\n")
        assert title.startswith("# "), page.name
        first = " ".join(begin.partition("\n\n")[0].split())
        assert re.match(r"For anyone (who|whose) .+\. After reading (this page|a section) you ", first), (
            f"{page.name}: {first}"
        )


def test_lists_are_lists_on_the_site_too() -> None:
    """A code host begins a list right after a line of text; the site's Markdown needs an empty line before it."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^(?![-\d ]|\s*$).*\n- ", text, re.MULTILINE), page.name
        assert not re.search(r"^ {1,3}- ", text, re.MULTILINE), f"{page.name}: indent a list in a list by four"
