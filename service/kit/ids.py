"""Typed ids: a short prefix and a UUIDv7, so that ids sort by the time of their creation."""

import re

import uuid_utils

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """Return a fresh id such as `pred_0199...` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def is_id(text: str) -> bool:
    """Whether the text has the shape of one of our ids."""
    return _ID.fullmatch(text) is not None
