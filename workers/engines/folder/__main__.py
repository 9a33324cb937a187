"""`python -m workers.engines.folder PATH --name N --family F`: a model's entry for gapcast.toml, or why it has none."""

import argparse
import json
import math
import struct
import sys
from pathlib import Path

from workers.engines.failures import model_not_loadable, require_context
from workers.engines.folder import folder_revision, read_json, refuse_unsafe
from workers.failures import JobError

MAX_HEADER = 100_000_000
"""Bytes: the limit of the safetensors format itself."""


def entry(folder: Path, name: str, family: str) -> str:
    """The `[[models]]` table of a folder.

    Raises:
        JobError: the folder is not one that would be loaded.
    """
    folder = folder.absolute()
    refuse_unsafe(folder, name)
    template = chat_template(folder)
    config = read_json(folder / "config.json")
    rows: dict[str, str | int | bool] = {
        "name": name,
        "family": family,
        "path": str(folder),
        "revision": folder_revision(folder),
        "parameters": sum(parameters(file) for file in sorted(folder.glob("*.safetensors"))),
        "chat_template": bool(template),
        "thinking": "enable_thinking" in template,
        "context_length": require_context({**config, **config.get("text_config", {})}, None),
    }
    # a JSON string, number or truth value is also one of TOML
    return "\n".join(["[[models]]", *(f"{key} = {json.dumps(value)}" for key, value in rows.items())])


def parameters(file: Path) -> int:
    """Numbers in a safetensors file, counted from its header.

    Raises:
        JobError: `model_not_loadable`.
    """
    try:
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8))
            if length > MAX_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(content.read(length))
        header.pop("__metadata__", None)
        if 8 + length + max(tensor["data_offsets"][1] for tensor in header.values()) != file.stat().st_size:
            raise ValueError("its size is not what its header says")
        return sum(math.prod(tensor["shape"]) for tensor in header.values())
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, struct.error) as error:
        raise model_not_loadable(f"{file.name} is not a safetensors file: {error}") from error


def chat_template(folder: Path) -> str:
    """The text of the model's chat template; empty where there is none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text()
    config = folder / "tokenizer_config.json"
    template = read_json(config).get("chat_template") if config.is_file() else None
    return template if isinstance(template, str) else json.dumps(template or "").strip('"')


def main() -> None:
    """Print the entry."""
    parser = argparse.ArgumentParser(prog="python -m workers.engines.folder", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--name", required=True, help="as `model.name` will ask for it")
    parser.add_argument("--family", required=True, help="the law's group")
    asked = parser.parse_args()
    try:
        sys.stdout.write(entry(asked.path, asked.name, asked.family) + "\n")
    except (JobError, OSError) as error:
        sys.exit(f"{error.code}: {error.message}" if isinstance(error, JobError) else str(error))


if __name__ == "__main__":
    main()
