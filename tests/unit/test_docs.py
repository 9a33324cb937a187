"""What the documents say is what the code does."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

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


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
