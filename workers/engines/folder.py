"""Where a model's files are, what they hash to, and which files are refused."""

import hashlib
from pathlib import Path

from workers.failures import JobError

LAB_MODELS = Path(__file__).resolve().parent.parent / "lab" / "models"

LAB_PREFIX = "lab/"

REFUSED_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".py"})
"""Files that can carry code: a model's folder that has one is not loaded at all."""


def model_folder(name: str) -> Path:
    """The folder of the model called `name`.

    Raises:
        JobError: `model_not_found`.
    """
    short = name.removeprefix(LAB_PREFIX)
    folder = LAB_MODELS / short
    if short == name or "/" in short or short.startswith(".") or not (folder / "config.json").is_file():
        raise JobError("model_not_found", f"There is no model {name!r} on this worker.", "model")
    return folder


def folder_revision(folder: Path) -> str:
    """`sha256:` over the names and bytes of the folder's files, sorted by name."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{file.name}\n{file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def checked_folder(name: str, revision: str) -> Path:
    """The folder of a model whose files are safe to load and hash to the revision asked for.

    Raises:
        JobError: `model_not_found`, `unsafe_model_file` or `model_revision_mismatch`.
    """
    folder = model_folder(name)
    for file in folder.iterdir():
        if file.suffix in REFUSED_SUFFIXES or file.is_symlink() or file.is_dir():
            raise JobError("unsafe_model_file", f"Model {name!r} has a file that is not loaded: {file.name}", "model")
    found = folder_revision(folder)
    if found != revision:
        raise JobError(
            "model_revision_mismatch",
            f"The files of model {name!r} hash to {found}, not to the revision asked for, {revision}.",
            "model_revision",
            "server",
        )
    return folder
