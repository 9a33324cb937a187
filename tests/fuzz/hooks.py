"""What schemathesis needs to know: how our media types are written."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def ndjson(context: Any, value: Any) -> bytes:
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@schemathesis.serializer("application/vnd.apache.parquet", "text/csv")
def table(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
