"""Logs of inspect-ai: `.json`, and `.eval`, a zip file with a JSON file for each sample.

Source: inspect-ai 0.3 (log/_recorders/eval.py); its zip files are packed with deflate or with Zstandard (method 93).
"""

import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gapcast.elsewhere.scores.lines import Row, ScoresError, field, name_of, objects

SAMPLES = "samples/"
ZSTANDARD = 93
MOST_SAMPLE = 1 << 28
"""bytes that one sample may unpack to: a log is made by the one who reads it, but may be damaged"""
HEADER = 30
"""bytes of a zip entry's own header before its name"""


def inspect_rows(path: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rollouts of a log; a problem is the sample's id, and its epochs are its rollouts.

    Raises:
        ScoresError: it is not a log, a sample was not scored, or has several scorers and none is named.
        OSError: the file cannot be read.
    """
    for where, sample in packed(path) if zipfile.is_zipfile(path) else _plain(path):
        scores = sample.get("scores") or {}
        name = names.get("score")
        if name is None and len(scores) != 1:
            error = sample.get("error")
            why = f" ({str(error.get('message'))[:80]})" if isinstance(error, dict) else ""
            advice = "Name one with --map score=NAME." if scores else "Run these samples again: inspect eval-retry."
            raise ScoresError(f"{where}: expected one scorer, got {', '.join(scores) or 'none'}{why}. {advice}")
        score = field(where, scores, {"score": name or next(iter(scores))}, "score", ())
        problem = field(where, sample, names, "problem", ("id",))
        yield Row(where, name_of(where, problem), score.get("value") if isinstance(score, dict) else score)


def _plain(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, log in objects(path):
        samples = log.get("samples")
        if not isinstance(samples, list):
            raise ScoresError(f"{where}: expected a log of inspect-ai with samples, got one without.")
        yield from ((f"{path}, sample {number}", one) for number, one in enumerate(samples, start=1))


def packed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the samples of an `.eval` file, and where each stands.

    Raises:
        ScoresError: it is damaged.
    """
    import pyarrow as pa  # not at the top: it loads numpy, which every command would wait for

    try:
        with zipfile.ZipFile(path) as log, path.open("rb") as file:
            entries = [one for one in log.infolist() if one.filename.startswith(SAMPLES)]
            for entry in entries:
                where = f"{path}, {entry.filename}"
                if entry.file_size > MOST_SAMPLE:
                    raise ScoresError(f"{where}: expected at most {MOST_SAMPLE} bytes, got {entry.file_size}.")
                packed = entry.compress_type == ZSTANDARD
                text = _unpacked(file, entry) if packed else log.read(entry)
                yield where, json.loads(text)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, pa.ArrowException) as error:
        if isinstance(error, ScoresError):
            raise
        raise ScoresError(f"{path}: expected a log of inspect-ai, got a damaged file ({error}).") from None


def _unpacked(file: Any, entry: zipfile.ZipInfo) -> bytes:  # noqa: ANN401
    """Read an entry that is packed with Zstandard, which Python's own zip files do not know."""
    import pyarrow as pa

    file.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(entry.header_offset + HEADER + name + extra)
    packed = file.read(entry.compress_size)
    return bytes(pa.Codec("zstd").decompress(packed, entry.file_size).to_pybytes())
