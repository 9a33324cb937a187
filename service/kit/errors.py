"""The root of the errors that a user can meet, and those that know nothing of gaps and runs."""

from typing import Any, Self

from pydantic import BaseModel, Field

from gapcast.contract.faults import naming


class FieldProblem(BaseModel):
    """One field that does not fit."""

    param: str = Field(description="the field, as a dotted path from the body's root, or a query or header name")
    message: str
    value: Any = Field(None, description="the value that was sent, truncated")

    @property
    def with_value(self) -> str:
        """The problem in one line, which names what was sent."""
        return f"{self.param}: {naming(self.message, self.value)}"


class GapcastError(Exception):
    """Something went wrong."""

    status = 500
    code = "internal_error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        param: str | None = None,
        value: object = None,
        errors: list[FieldProblem] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.param = param
        message = self.detail.removeprefix(f"{param}: ")  # as a field's message is where several fields are named
        self.errors = errors or ([FieldProblem(param=param, message=message, value=value)] if param else [])
        self.headers = headers or {}
        super().__init__(self.detail)


class NotFound(GapcastError):
    """This resource does not exist."""

    status = 404
    code = "not_found"


class InvalidRequest(GapcastError):
    """The request is not valid; `errors` names each field that is wrong."""

    status = 422
    code = "invalid_request"


class IdempotencyMismatch(InvalidRequest):
    """This Idempotency-Key was used with another body; send a new key with a new body."""

    code = "idempotency_key_reused"


class MalformedJson(GapcastError):
    """The body is not JSON."""

    status = 400
    code = "malformed_json"


class TwoLengths(GapcastError):
    """The request has both Content-Length and Transfer-Encoding; send one of them."""

    status = 400
    code = "two_lengths"


class Unauthorized(GapcastError):
    """This server needs an API key, sent as `Authorization: Bearer KEY`."""

    status = 401
    code = "unauthorized"


class Conflict(GapcastError):
    """The resource is not in a state that allows this."""

    status = 409
    code = "conflict"


class BodyTooLarge(GapcastError):
    """The body is larger than this server accepts."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(GapcastError):
    """This endpoint does not read this media type."""

    status = 415
    code = "unsupported_media_type"

    @classmethod
    def of(cls, content_type: str | None, *expected: str) -> Self:
        """Return the error of a body that came with this Content-Type, or without one."""
        sent = content_type[:80] if content_type else None
        got = "nothing" if sent is None else repr(sent)
        what = f"Content-Type: expected {' or '.join(expected)}, got {got}."
        return cls(f"{what} Send this header with the type of the body.", param="Content-Type", value=sent)


class ForeignOrigin(GapcastError):
    """A page of another site sent this request."""

    status = 403
    code = "foreign_origin"


class Unavailable(GapcastError):
    """The database or the queue does not answer; try again."""

    status = 503
    code = "unavailable"


class Overloaded(GapcastError):
    """This server is handling as many requests as it can; try again in a second."""

    status = 503
    code = "overloaded"


class MisdirectedRequest(GapcastError):
    """Without an API key this server answers only to 127.0.0.1, localhost and [::1]; set GAPCAST_API_KEY for more."""

    status = 421
    code = "misdirected_request"
