"""Where a model's files are, what they hash to, and which files are refused.

Only the files that lie in the folder itself are hashed. What could have a loader read another file is refused: a
sub-folder that it looks into (`READ_FOLDERS`), a key that names code or another model, and a file name with a path. Any
other sub-folder (`original/`, `onnx/`, a download's `.cache/`) is neither hashed nor refused.
"""

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

from gapcast.contract.base import JsonObject
from workers.engines.failures import model_not_loadable
from workers.engines.source import ModelSource
from workers.failures import JobError

LAB_MODELS = Path(__file__).resolve().parents[2] / "lab" / "models"

LAB_PREFIX = "lab/"

REFUSED_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".py", ".pyc", ".so"}
)
"""Files that can carry code: a model's folder that has one is not loaded at all."""

REFUSED_NAMES = frozenset({"adapter_config.json", "modules.json"})
"""An adapter names another folder or repository, the modules of an embedding model name sub-folders: both would be
loaded unchecked."""

READ_FOLDERS = frozenset({"additional_chat_templates", "custom_generate", "speech_tokenizer", "whisper-large-v3"})
"""Sub-folders that transformers (chat templates, a decoding of one's own) or vLLM (parts of audio models) read."""

REFUSED_KEYS = ("auto_map", "trust_remote_code", "_attn_implementation", "attn_implementation", "speculators_config")
"""What begins so in a configuration makes a loader import code, of the folder or of a repository of kernels, or (the
last) makes vLLM load another model in this one's place."""

FILE_KEYS = ("transformers_weights", "fast_tokenizer_files")
"""Keys of configurations that name the files to load."""

INDEX = ".index.json"
"""The end of an index's name, which says which file has which weight."""


def model_folder(name: str) -> Path:
    """The folder of the lab's model called `name`.

    Raises:
        JobError: `model_not_found`.
    """
    short = name.removeprefix(LAB_PREFIX)
    folder = LAB_MODELS / short
    if short == name or "/" in short or short.startswith(".") or not (folder / "config.json").is_file():
        raise JobError("model_not_found", f"There is no model {name!r} on this worker.", "model")
    return folder


def folder_revision(folder: Path) -> str:
    """`sha256:` over the names, sizes and bytes of the folder's own files, sorted by name."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{file.name}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as content:
            hashlib.file_digest(content, lambda: digest)
    return f"sha256:{digest.hexdigest()}"


def checked_folder(source: ModelSource, revision: str) -> Path:
    """The folder of a model whose files are safe to load and hash to the revision asked for.

    Raises:
        JobError: `model_not_found`, `unsafe_model_file`, `model_not_loadable` or `model_revision_mismatch`.
    """
    folder = model_folder(source.name) if source.path is None else source.path
    try:
        refuse_unsafe(folder, source.name)
        found = folder_revision(folder)
    except OSError as error:
        raise model_not_loadable(error) from error
    if found != revision:
        raise JobError(
            "model_revision_mismatch",
            f"The files of model {source.name!r} hash to {found}, not to the revision asked for, {revision}.",
            "model_revision",
            "server",
        )
    return folder


def refuse_unsafe(folder: Path, name: str) -> None:
    """Refuses a folder that is no whole model, or that could run code while it is loaded.

    Raises:
        JobError: `model_not_found`, `unsafe_model_file` or `model_not_loadable`.
    """
    if not folder.is_dir():
        raise JobError("model_not_found", f"Model {name!r} has no folder on this worker.", "model")
    root = root_of(folder.resolve())
    for file in sorted(folder.iterdir()):
        if file.is_dir():
            if file.name.lower() in READ_FOLDERS:
                raise _unsafe(name, f"a folder whose files are not hashed, but could be loaded: {file.name}")
            continue
        if file.suffix.lower() in REFUSED_SUFFIXES or file.name in REFUSED_NAMES:
            raise _unsafe(name, f"a file that is not loaded: {file.name}")
        if not _resolved(file).is_relative_to(root):
            raise _unsafe(name, f"a link that leaves its folder: {file.name}")
        if not file.exists():
            raise model_not_loadable(f"{file.name} is a link to nothing, as a download leaves that was stopped")
        if not stat.S_ISREG(file.stat().st_mode):
            raise _unsafe(name, f"something that is not a file: {file.name}")
        if file.name.lower().endswith(INDEX):
            _refuse_index(file, name)
        elif "config" in file.name and file.suffix == ".json":
            _refuse_config(file, name)
    if not (folder / "config.json").is_file():
        raise model_not_loadable("its folder has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise model_not_loadable("its folder has no *.safetensors, the only format of weights that is loaded")


def _resolved(file: Path) -> Path:
    try:
        return file.resolve()
    except RuntimeError as error:  # how Python before 3.13 says it; later ones find that nothing exists there
        raise model_not_loadable(f"{file.name} is a link that leads back to itself") from error


def root_of(folder: Path) -> Path:
    """What no link may leave: the folder; of a snapshot in Hugging Face's cache the model's part of that cache."""
    snapshots = folder.parent
    if snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--"):
        return snapshots.parent
    return folder


def read_json(file: Path) -> JsonObject:
    """A JSON object from a file.

    Raises:
        JobError: `model_not_loadable`.
    """
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise model_not_loadable(f"{file.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise model_not_loadable(f"{file.name} is not a JSON object")
    return content


def _refuse_config(file: Path, name: str) -> None:
    content = read_json(file)
    for key in _keys(content):
        if key.startswith(REFUSED_KEYS):
            raise _unsafe(name, f"the key {key!r} in {file.name}, which makes a loader run other code or models")
    for key in FILE_KEYS:
        named = content.get(key) or []
        for other in named if isinstance(named, list) else [named]:
            if not _is_bare(other):
                raise _unsafe(name, f"a file in {file.name} that is not in its folder: {other!r}"[:300])


def _refuse_index(file: Path, name: str) -> None:
    weights = read_json(file).get("weight_map")
    if not isinstance(weights, dict):
        raise model_not_loadable(f"{file.name} has no weight_map")
    for other in weights.values():
        if not (_is_bare(other) and other.endswith(".safetensors")):
            raise _unsafe(name, f"weights in {file.name} that are in no *.safetensors of its folder: {other!r}"[:300])
    for other in sorted(set(weights.values())):
        if not (file.parent / other).is_file():
            raise model_not_loadable(f"{other} is not there, which {file.name} names")


def _is_bare(name: object) -> bool:
    """Whether it is the name of a file in the folder itself, and no path."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def _keys(value: object) -> Iterator[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)


def _unsafe(name: str, what: str) -> JobError:
    return JobError("unsafe_model_file", f"Model {name!r} has {what}", "model")
