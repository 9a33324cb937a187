"""Seeds that depend on what they are for, so that two arms, chunks or problems never share random numbers."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**32) from SHA-256 of the parts; equal parts give equal seeds on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def derive_unit(*parts: str | int) -> float:
    """A number uniform in [0, 1) from the same source."""
    return derive_seed(*parts) / 2**32
