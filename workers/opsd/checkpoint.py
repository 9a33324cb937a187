"""Checkpoints: a folder a step, whole or not there at all, and never believed without its hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from gapcast.contract.base import JsonObject

MANIFEST, STATE = "manifest.json", "state.json"
WEIGHTS = ".safetensors"
PIECE = 1 << 20
"""Bytes that are hashed at a time."""

Tensors = Mapping[str, torch.Tensor]


class BrokenCheckpoint(Exception):
    """A folder that is no whole checkpoint; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on as if it had never stopped."""

    step: int
    """Optimizer steps that are done."""
    state: JsonObject
    """JSON: what was measured so far."""
    tensors: dict[str, dict[str, torch.Tensor]]
    """By file: `student`, `teacher`, `optimizer`; on the CPU. None at step 0: they are the model's own."""


@dataclass(frozen=True)
class Written:
    """A checkpoint on the disk."""

    step: int
    path: Path
    bytes: int
    sha256: str
    """Of its manifest, which has the hashes of all its files."""

    def as_dict(self) -> JsonObject:
        """As the child tells it."""
        return {"step": self.step, "path": str(self.path), "bytes": self.bytes, "sha256": self.sha256}


def write_checkpoint(folder: Path, step: int, state: JsonObject, tensors: Mapping[str, Tensors]) -> Written:
    """Writes `folder/step_N` under a hidden name, flushes it to the disk, and renames it: it is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden, final = folder / f".step_{step}.unfinished", folder / f"step_{step}"
    for leftover in (hidden, final):
        shutil.rmtree(leftover, ignore_errors=True)
    hidden.mkdir()
    for name, content in tensors.items():
        save_file({key: tensor.contiguous() for key, tensor in content.items()}, hidden / f"{name}{WEIGHTS}")
    (hidden / STATE).write_text(json.dumps({"step": step, **state}, allow_nan=False))
    names = sorted(file.name for file in hidden.iterdir())
    sizes = {name: (hidden / name).stat().st_size for name in names}
    files = {name: {"bytes": size, "sha256": _sha256(hidden / name)} for name, size in sizes.items()}
    digest = _digest(files)
    (hidden / MANIFEST).write_text(json.dumps({"files": files, "sha256": digest}, indent=1))
    for file in (*hidden.iterdir(), hidden):
        flush(file)
    hidden.rename(final)
    flush(folder)
    return Written(step, final, sum(sizes.values()), digest)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Reads a checkpoint after every file's hash was found right.

    Raises:
        BrokenCheckpoint: it is not there, or not as it was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files, digest = manifest["files"], manifest["sha256"]
        if digest != _digest(files):
            raise BrokenCheckpoint(f"{MANIFEST} is damaged")
        for name, told in files.items():
            if (folder / name).stat().st_size != told["bytes"] or _sha256(folder / name) != told["sha256"]:
                raise BrokenCheckpoint(f"{name} is damaged or cut off")
        state = json.loads((folder / STATE).read_bytes())
        tensors = {name.removesuffix(WEIGHTS): load_file(folder / name) for name in files if name.endswith(WEIGHTS)}
        return Checkpoint(state.pop("step"), state, tensors)
    except FileNotFoundError as error:
        raise BrokenCheckpoint(f"{Path(error.filename or folder).name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenCheckpoint(f"{MANIFEST} is damaged ({type(error).__name__})") from error


def last_good(folders: Sequence[Path]) -> tuple[Checkpoint | None, list[str]]:
    """The first of these (newest first) that is whole, and what is wrong with each that was passed over."""
    broken: list[str] = []
    for folder in folders:
        try:
            return read_checkpoint(folder), broken
        except BrokenCheckpoint as error:
            broken.append(f"{folder.name}: {error}")
    return None, broken


def keep_only(folder: Path, steps: Iterable[int]) -> None:
    """Removes the folder's other checkpoints."""
    kept = {f"step_{step}" for step in steps}
    for path in folder.glob("step_*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def forget_earlier(folder: Path, kept: str | None, *, whole: bool) -> None:
    """Removes what attempts before this one (folders with lower numbers beside it) left.

    Args:
        folder: this attempt's.
        kept: a checkpoint that stays, the best one's.
        whole: whether their whole checkpoints go, too, and not only those that were never finished.
    """
    for attempt in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if not attempt.name.isdecimal() or int(attempt.name) >= int(folder.name):
            continue
        for path in (*attempt.glob(".step_*"), *(attempt.glob("step_*") if whole else ())):
            if str(path) != kept:
                shutil.rmtree(path, ignore_errors=True)


def _digest(files: Any) -> str:  # noqa: ANN401 - whatever a damaged manifest holds
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def flush(path: Path) -> None:
    """What was written there survives a power cut; for a folder, its names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
