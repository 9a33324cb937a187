"""The page that says what went wrong, for those who read with a browser."""

from http import HTTPStatus

from fastapi import Request, Response

from service.kit.errors import GapcastError
from service.web.rendering import page

API = "/v1/"


def error_page(request: Request, error: GapcastError) -> Response | None:
    """Answer with a page that says an error, with its status and headers; None to a program, or of the API."""
    if request.url.path.startswith(API) or "text/html" not in request.headers.get("accept", ""):
        return None
    context = {
        "name": HTTPStatus(error.status).phrase,
        "detail": error.detail.partition(" The API's paths begin")[0],
        "request_id": getattr(request.state, "request_id", None),
    }
    response = page(request, "error.html", "", context, error.status)
    response.headers.update(error.headers)
    return response
