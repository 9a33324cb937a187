"""Authentication: one API key for the whole server, or none on the loopback interface."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re

from fastapi import Request

from service.kit.errors import Unauthorized

LOCAL_TENANT = "local"
_HOST = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(:[0-9]{1,5})?")
"""RFC 9110's Host: a name or address and a port, with nothing before or behind"""
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="gapcast", charset="UTF-8"'}
_SEND_IT = (
    "Send `Authorization: Bearer KEY`; the `gapcast` command and the Python client take KEY from GAPCAST_API_KEY."
)
_MISSING = f"Authorization: expected the API key of this server, got no such header. {_SEND_IT}"
_UNREADABLE = f"Authorization: expected the API key of this server, got a header without a key. {_SEND_IT}"
_WRONG = (
    "Authorization: expected the API key of this server, got another key. "
    "Use the key that GAPCAST_API_KEY holds where the server runs."
)


def is_loopback(host: str) -> bool:
    """True if a bind address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_name(host_header: str) -> bool:
    """True if a Host header names this machine's loopback, with or without a port."""
    named = _HOST.fullmatch(host_header.strip())
    return named is not None and is_loopback((named["address"] or named["name"]).lower())


def presented_key(header: str) -> str | None:
    """Return the key in an Authorization header: a bearer token, or the password of Basic, which a browser sends."""
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
    """Return the tenant that asks.

    Raises:
        Unauthorized: a key is required, and the request has none or another; no message shows what was sent.
    """
    required: bytes | None = request.app.state.api_key_digest
    if required is not None:
        header = request.headers.get("authorization")
        key = presented_key(header or "")
        if key is None:
            raise Unauthorized(_MISSING if header is None else _UNREADABLE, param="Authorization", headers=_CHALLENGE)
        if not hmac.compare_digest(hashlib.sha256(key.encode()).digest(), required):
            raise Unauthorized(_WRONG, param="Authorization", headers=_CHALLENGE)
    return LOCAL_TENANT
