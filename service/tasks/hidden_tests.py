"""LiveCodeBench's hidden tests: JSON, or base64 of a zlib stream of a pickled text that is JSON."""

import base64
import binascii
import json
import pickletools
import zlib
from typing import Any

from gapcast.contract.base import FieldError
from gapcast.contract.faults import shown

MOST_BYTES = 64 << 20
"""of one problem's tests, unpacked: the largest of the data set take some 30 MB"""
TEXTS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
AROUND = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"}
"""what stands around a text in a pickle, and does nothing"""


def hidden_tests(value: Any) -> list[Any]:  # noqa: ANN401
    """Return the tests of one problem; a pickle is read for its one text and never executed.

    Raises:
        FieldError: it does not have one of the forms.
    """
    if not isinstance(value, str):
        return value or []
    if not value.strip():
        return []
    try:
        found = json.loads(value if value.lstrip().startswith("[") else _packed(value))
    except (ValueError, RecursionError) as error:
        raise FieldError("private_test_cases", f"expected the tests as JSON or packed, got neither: {error}.") from None
    if not isinstance(found, list):
        raise FieldError("private_test_cases", f"expected a list of tests, got {shown(found)}.")
    return found


def _packed(value: str) -> str:
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(value, validate=True), MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof:
        raise ValueError(f"it is cut off, or unpacks to more than {MOST_BYTES} bytes")
    if content[:1] in {b"[", b"{"}:
        return content.decode()
    text = None
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in TEXTS and text is None:
            text = argument
        elif operation.name not in AROUND:
            raise ValueError("the pickle holds something other than a text")
    if text is None:
        raise ValueError("the pickle does not hold a text")
    return str(text)
