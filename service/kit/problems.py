"""RFC 9457 problem details: one shape for every error, whatever raised it."""

import json
import math
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gapcast.contract.faults import ABSENT, sentence
from service.kit.errors import (
    FieldProblem,
    GapcastError,
    InvalidRequest,
    MalformedJson,
    Unavailable,
    UnsupportedMediaType,
)

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"

Responses = dict[int | str, dict[str, Any]]
"""The `responses=` of an endpoint, as FastAPI takes them: by status, its model and its description."""


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    param: str | None = None
    errors: list[FieldProblem] = Field(default_factory=list)
    request_id: str | None = None


def problems(*errors: type[GapcastError]) -> Responses:
    """Return the `responses=` of an endpoint that can raise these errors."""
    described: Responses = {}
    for error in errors:
        entry = described.setdefault(error.status, {"model": Problem, "description": ""})
        entry["description"] = " ".join(
            [entry["description"], f"`{error.code}`: {(error.__doc__ or '').strip()}"]
        ).strip()
    return described


def problem_response(request: Request, error: GapcastError) -> Response:
    """Render an error."""
    problem = Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        code=error.code,
        param=error.param,
        errors=error.errors,
        request_id=getattr(request.state, "request_id", None),
    )
    # ASCII, because what was sent and is shown again may hold half a surrogate pair, which UTF-8 cannot say
    body = json.dumps(problem.model_dump())
    return Response(body, error.status, error.headers, media_type=MEDIA_TYPE)


def _shorten(value: Any) -> Any:  # noqa: ANN401
    """Show a value without echoing a huge one: numbers as they are, anything else as at most 80 characters."""
    if isinstance(value, float) and math.isfinite(value):
        return value
    if value is None or isinstance(value, bool | int):
        return value if value is None or abs(value) < 10**15 else f"{str(value)[:77]}..."
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def field_problems(errors: Sequence[Any], root: str = "") -> list[FieldProblem]:
    """Return each of pydantic's errors as a problem of a field; `root` is the path of what was validated."""
    rows = []
    for row in errors:
        place = row["loc"][1:] if row["loc"] and row["loc"][0] in {"body", "query", "path", "header"} else row["loc"]
        raised, value = row.get("ctx", {}).get("error"), row.get("input")
        if hasattr(raised, "param"):  # a validator's error about one field
            place, value = (*place, raised.param), raised.value
        param = ".".join(str(part) for part in (root, *place) if part != "") or "body"
        value = None if row["type"] in ABSENT else value
        rows.append(FieldProblem(param=param, message=sentence(row), value=_shorten(value)))
    return rows


def from_validation(error: RequestValidationError, content_type: str | None) -> GapcastError:
    """Turn FastAPI's validation errors into one of ours, naming each field and its value."""
    for row in error.errors():
        if row["type"] == "json_invalid":
            return MalformedJson(f"The body is not JSON: {row['ctx']['error']} at character {row['loc'][-1]}.")
        if isinstance(row.get("input"), bytes):  # FastAPI reads a body as JSON only where its Content-Type says so
            return UnsupportedMediaType.of(content_type, "application/json")
    rows = field_problems(error.errors()[:20])
    detail = " ".join(row.with_value for row in rows[:3])
    return InvalidRequest(detail, param=rows[0].param if rows else None, errors=rows)


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods that a path takes; Starlette names those of the first of its routes alone."""
    routes = [route for route in app.routes if isinstance(route, Route) and route.path_regex.match(path)]
    routes = [route for route in routes if route.path == path] or routes  # GET /v1/probes/size would be a probe's path
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _detail(request: Request, error: HTTPException, allowed: str) -> str:
    """Return the sentence about a path or a method that the API does not have; Starlette's for anything else."""
    path = repr(request.url.path[:80])
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is no path {path}. The API's paths begin with /v1/; GET /openapi.json lists them."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"method: expected {allowed} for the path {path}, got {request.method}. Use one of those."
    return str(error.detail)


def install(app: FastAPI, for_people: Callable[[Request, GapcastError], Response | None] = lambda *_: None) -> None:
    """Answer every error of the application as a problem, unless `for_people` has an answer of its own."""

    def answer(request: Request, error: GapcastError) -> Response:
        return for_people(request, error) or problem_response(request, error)

    @app.exception_handler(GapcastError)
    def _ours(request: Request, error: GapcastError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> Response:
        return answer(request, from_validation(error, request.headers.get("content-type")))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's answer to a body that no parser can read
            return answer(request, MalformedJson("The body is not JSON: wrong encoding, or nested too deeply."))
        allowed = ", ".join(_methods(app, request.url.path))
        ours = GapcastError(_detail(request, error, allowed), headers=dict(error.headers or {}))
        ours.status = error.status_code
        ours.code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            ours.headers["Allow"] = allowed
        return answer(request, ours)

    @app.exception_handler(DataError)
    def _unstorable(request: Request, error: DataError) -> Response:
        log.info("unstorable_value", error=f"{type(error).__name__}: {error}"[:300])
        detail = "A text contains a character that cannot be stored (NUL, or half a surrogate pair); leave it out."
        return answer(request, InvalidRequest(detail))

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(PoolTimeout)
    def _database(request: Request, error: Exception) -> Response:
        log.error("database_unavailable", error=f"{type(error).__name__}: {error}"[:300])
        unavailable = Unavailable("The database does not answer; try again.", headers={"Retry-After": "5"})
        return answer(request, unavailable)

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> Response:
        request_id = getattr(request.state, "request_id", None)
        log.error("unexpected_error", path=request.url.path, id=request_id, exc_info=error)
        unexpected = GapcastError("An unexpected error occurred; the server's log has it under the request's id.")
        # this answer is made outside of our middleware, so it carries the id by itself
        unexpected.headers = {"X-Request-Id": request_id} if request_id else {}
        return answer(request, unexpected)
