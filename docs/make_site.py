"""Build the docs as a site into service/web/site, which `gapcast serve` serves under /docs and the wheel includes.

Run `make docs`. The pages are docs/*.md and docs/adr/*.md as they are, and the reference that is made here from the
live code. A warning is an error. The site needs no network and no other host, and runs under the page's own content
security policy: scripts that the theme writes into its pages are moved to files.
"""

import hashlib
import re
import shutil
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from docs.make_reference import openapi
from docs.python_pages import client_page, command_page, errors_page
from docs.rest_pages import rest_pages

ROOT = Path(__file__).parents[1]
SITE = ROOT / "service" / "web" / "site"
INLINE = re.compile(r"<script>(.+?)</script>", re.DOTALL)
FORBIDDEN = re.compile(
    r"""<[^>]* (?:style|on\w+)=|<style|<(?:script|link|img|iframe)[^>]* (?:src|href)=["']?(?:https?:)?//"""
)
"""what the policy blocks, or what asks another host"""
UNUSED = ("404.html", "sitemap.xml", "sitemap.xml.gz", "assets/javascripts/lunr")
"""pages that know the site's address, which differs from server to server; search in other languages"""
DECISIONS = """# Decisions

For anyone who questions why Gapcast is as it is. After reading a decision you know the question, the answer and
its price.

"""


def make(site: Path) -> None:
    """Build the site into a folder, which is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder)
        nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
        _write_pages(pages, nav)
        build(load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(pages), site_dir=str(site), nav=nav))
    _clean(site)


def _write_pages(pages: Path, nav: list[Any]) -> None:
    """Write all pages into a folder, and name those that are made here in the navigation."""
    docs = ROOT / "docs"
    shutil.copy(ROOT / "service" / "web" / "static" / "icon.svg", pages)
    shutil.copytree(docs, pages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    made = {f"reference/rest/{name}": text for name, text in rest_pages(openapi()).items()}
    made |= {
        "reference/command.md": command_page(),
        "reference/client.md": client_page(),
        "reference/errors.md": errors_page(),
    }
    decisions = {path.name: _title(path.read_text()) for path in sorted((docs / "adr").glob("*.md"))}
    made["adr/index.md"] = DECISIONS + "".join(f"- [{title}]({name})\n" for name, title in decisions.items())
    for name, text in made.items():
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text(text)
    filled = {
        "reference/rest": [{_title(made[name]): name} for name in made if name.startswith("reference/rest/")],
        "adr": ["adr/index.md", *(f"adr/{name}" for name in decisions)],
    }
    for section in nav:
        for rows in section.values():
            for row in rows if isinstance(rows, list) else []:
                row |= {title: filled[name] for title, name in row.items() if name in filled}
    for page in pages.rglob("*.md"):
        page.write_text(_relinked(page, pages))


def _relinked(page: Path, pages: Path) -> str:
    """Return a page whose links fit the site: a folder is its index, and what lies outside of docs comes along."""

    def link(found: re.Match[str]) -> str:
        target = found[1]
        source = (ROOT / "docs" / page.parent.relative_to(pages) / target).resolve()
        if (ROOT / "docs") in source.parents:
            return f"]({target.rstrip('/')}/index.md" if (source / "index.md").exists() or source.is_dir() else found[0]
        copy = pages / "repository" / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        return f"]({Path('../' * len(page.parent.relative_to(pages).parts)) / copy.relative_to(pages)}"

    return re.sub(r"\]\((?!\w+:)([^)#\s]+)", link, page.read_text())


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _clean(site: Path) -> None:
    """Move scripts to files, remove what is not used, and refuse what a browser would block or ask others for."""
    for name in UNUSED:
        path = site / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in site.rglob("*.map"):
        path.unlink()
    for path in site.rglob("*.html"):
        up = "../" * (len(path.relative_to(site).parts) - 1)

        def moved(found: re.Match[str], up: str = up) -> str:
            name = f"assets/javascripts/inline.{hashlib.sha256(found[1].encode()).hexdigest()[:8]}.js"
            (site / name).write_text(found[1])
            return f'<script src="{up}{name}"></script>'

        text = INLINE.sub(moved, path.read_text())
        if bad := FORBIDDEN.search(text):
            sys.exit(f"{path}: the content security policy forbids {text[bad.start() : bad.end() + 60]!r}")
        path.write_text(text)
    licences = [path for path in distribution("mkdocs-material").files or [] if path.name == "LICENSE"]
    (site / "assets" / "LICENSE").write_text("".join(Path(str(path.locate())).read_text() for path in licences[:1]))


if __name__ == "__main__":
    make(SITE)
