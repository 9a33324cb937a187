"""Write the reference pages that are made from the live code: docs/settings.md and docs/openapi.json.

Run `python docs/make_reference.py`; a test fails when the files are not what it would write.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

HERE = Path(__file__).parent


def settings_page() -> str:
    """The table of settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "empty" if default in ("", None) else ",".join(default) if isinstance(default, list) else str(default)
        rows.append(f"| `GAPCAST_{name.upper()}` | `{name}` | {shown} | {field.description} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "For anyone who runs a server or a worker. After reading this page you can set where it keeps its data,",
            "whom it answers, what it may load, and its limits.",
            "",
            "Every setting is a variable `GAPCAST_...` or a line of `gapcast.toml` in the folder where a command runs",
            "(`GAPCAST_CONFIG` names another file). Variables win over the file. An unknown name in it is an error.",
            "",
            "```toml",
            "# gapcast.toml",
            'database_url = "postgresql://gapcast@db.internal/gapcast"',
            'broker_url = "redis://queue.internal:6379/0"',
            'host = "0.0.0.0"',
            "```",
            "",
            "| variable | in gapcast.toml | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "The client and the commands that speak to a server read `GAPCAST_URL` (default http://127.0.0.1:8321) and",
            "`GAPCAST_API_KEY`.",
            "",
        ]
    )


def openapi() -> dict[str, Any]:
    """The OpenAPI document, as GET /openapi.json answers it."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder)))
    return app.openapi()


def openapi_document() -> str:
    """The same as a file."""
    return json.dumps(openapi(), indent=1, sort_keys=True) + "\n"


PAGES = {"settings.md": settings_page, "openapi.json": openapi_document}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
