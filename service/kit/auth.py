"""Who asks: one API key for the whole server, or nobody in particular on the loopback interface."""

import base64
import binascii
import hashlib
import hmac
import ipaddress

from fastapi import Request

from service.kit.errors import Unauthorized

LOCAL_TENANT = "local"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="gapcast", charset="UTF-8"'}


def is_loopback(host: str) -> bool:
    """Whether a bind address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_name(host_header: str) -> bool:
    """Whether a Host header names this machine's loopback, with or without a port."""
    name = host_header.strip()
    bare = name[1 : name.find("]")] if name.startswith("[") else name.partition(":")[0]
    return is_loopback(bare)


def presented_key(header: str) -> str | None:
    """The key in an Authorization header: a bearer token, or the password of Basic (what a browser's prompt sends)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


async def current_tenant(request: Request) -> str:
    """The tenant that asks; raises Unauthorized where a key is required and absent or wrong."""
    required: bytes | None = request.app.state.api_key_digest
    if required is not None:
        key = presented_key(request.headers.get("authorization", ""))
        digest = hashlib.sha256(key.encode()).digest() if key else b""
        if not hmac.compare_digest(digest, required):
            raise Unauthorized(headers=_CHALLENGE)
    return LOCAL_TENANT
