"""Typed ids: a short prefix and a UUIDv7, so that ids sort by the time of their creation."""

import uuid_utils


def new_id(prefix: str) -> str:
    """Return a fresh id such as `pred_0199...` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"
