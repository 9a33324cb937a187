"""The docs as a site under `/docs`, from the files that `make docs` writes; without them a page that says so."""

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from service.web.files import PageFiles
from service.web.rendering import page

SITE = Path(__file__).parent / "site"
HERE = "/docs/"
"""the address under which the docs are mounted"""


class Docs(PageFiles):
    """The site's files; they hold no inline script, so the page's own security policy holds for them."""

    def __init__(self, directory: Path = SITE) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self.site = directory

    async def check_config(self) -> None:
        """Accept that the folder is missing: it is where the docs were never built."""

    async def get_response(self, path: str, scope: Any) -> Response:  # noqa: ANN401
        """Serve one file, or the page that says how to find what is asked for."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404:
                raise
        return page(Request(scope), "no_docs.html", HERE, {"built": (self.site / "index.html").exists()}, 404)
