"""Static files under the page's headers."""

from typing import Any

from fastapi import Response
from fastapi.staticfiles import StaticFiles

from service.web.rendering import PAGE_HEADERS


class PageFiles(StaticFiles):
    """Static files with the page's headers; browsers ask whether a file has changed before they use a copy."""

    async def get_response(self, path: str, scope: Any) -> Response:  # noqa: ANN401
        """Serve one file."""
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS | {"Cache-Control": "no-cache"})
        return response
