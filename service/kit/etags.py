"""Answers that a client may have already."""

from fastapi import Request


def has_current(request: Request, tag: str) -> bool:
    """True if the request names the answer's ETag in `If-None-Match`."""
    wanted = request.headers.get("if-none-match", "").split(",")
    # weakly, as RFC 9110 says: a proxy that compresses makes a strong tag weak
    return any(one.strip().removeprefix("W/") in {"*", f'"{tag}"'} for one in wanted)
