"""The client's calls for observations: past runs in and out."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import httpx2

from gapcast.connection import Connection, Query, segment, without_nones
from gapcast.models import Batch, Observation
from gapcast.reading import read

Format = Literal["json", "ndjson", "csv", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
ENDINGS: dict[str, Format] = {
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
}
STORING = httpx2.Timeout(75.0, read=600.0)
"""seconds; 100,000 rows, the most that one import takes, need about a minute where two cores are busy"""


class Filters(TypedDict, total=False):
    """Which observations are meant; what is left out or None does not narrow them."""

    pool: str | None
    family: str | None
    task: str | None
    model: str | None
    context_kind: str | None
    source: str | None
    version: str | None
    external_id: str | None
    prediction_id: str | None
    excluded: bool | None
    collapsed: bool | None


def format_of(path: Path) -> Format:
    """The format of a table by its file's ending.

    Raises:
        ValueError: no format has this ending.
    """
    form = ENDINGS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"{path}: the ending says what a file holds, and must be one of {', '.join(ENDINGS)}")
    return form


def _query(filters: Mapping[str, Any]) -> Query:
    unknown = sorted(set(filters) - set(Filters.__annotations__))
    if unknown:  # the server would ignore it and answer with more than was asked for
        raise TypeError(f"no filter {unknown[0]!r}; there are {', '.join(Filters.__annotations__)}")
    return without_nones(filters)


class ObservationCalls(Connection):
    """What a client asks of `/v1/observations`."""

    def add_observations(
        self, rows: Iterable[Mapping[str, Any]], pool: str | None = None, idempotency_key: str | None = None
    ) -> Batch:
        """Store past runs, all of them or none (the rows of `POST /v1/observations`).

        Posting again with the same `idempotency_key` answers with what the first post stored. Without one a fresh key
        is used, and a post whose answer is lost on the way is repeated once under it.

        Args:
            rows: nested as in JSON: `{"family": "qwen3", ..., "gap": {"value": 0.2, "se": 0.02}, ...}`; shares.
            pool: of the rows that name none; None: `default`.
            idempotency_key: names this post.

        Raises:
            GapcastError: the server refused (`errors` names row and field of each mistake), or no answer came.
            ValueError: a row holds what JSON cannot say, such as NaN.
        """
        texts = []
        for number, row in enumerate(rows, start=1):
            try:
                texts.append(json.dumps(dict(row), allow_nan=False))
            except (TypeError, ValueError) as error:
                raise ValueError(f"row {number} holds what JSON cannot say (a NaN, a date?): {error}") from error
        return self._import(f'{{"observations": [{", ".join(texts)}]}}'.encode(), "json", pool, idempotency_key)

    def import_observations(self, path: str | os.PathLike[str], pool: str | None = None) -> Batch:
        """Store the past runs of a file, all of them or none: .csv, .ndjson or .jsonl, .json, .parquet.

        Args:
            path: the file; its ending says what it holds.
            pool: of the rows that name none; None: `default`.

        Raises:
            GapcastError: the server refused (`errors` names row and field of each mistake), or no answer came.
            ValueError: the file's ending is none of these.
            OSError: the file cannot be read.
        """
        file = Path(path)
        form = format_of(file)
        return self._import(file.read_bytes(), form, pool, None)

    def _import(self, body: bytes, form: Format, pool: str | None, idempotency_key: str | None) -> Batch:
        answer = self.post_safely(
            "/v1/observations",
            idempotency_key=idempotency_key,
            headers={"Content-Type": MEDIA_TYPES[form]},
            params=without_nones({"pool": pool}),
            content=body,
            timeout=STORING,
        )
        return read(Batch, answer)

    def export_observations(
        self, path: str | os.PathLike[str], format: Format | None = None, **filters: Unpack[Filters]
    ) -> Path:
        """Write the observations that the filters name to a file that can be imported again, to the same fit.

        The file is there whole or not at all: it is written beside `path` and then takes its name.

        Args:
            path: where to; what is there is replaced.
            format: None: by the path's ending.
            filters: which observations.

        Returns:
            The path, links resolved.

        Raises:
            GapcastError: the server refused, no answer came, or it broke off.
            ValueError: the path's ending says no format.
            OSError: the file cannot be written.
        """
        form = format or format_of(Path(path))
        query = _query(filters) | {"format": form}
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise FileExistsError(f"{path} is no file that could be replaced")
        if not target.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {target.parent}")
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with part.open("xb") as file:
                for piece in self.download("/v1/observations/export", query):
                    file.write(piece)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def list_observations(
        self,
        limit: int = 20,
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
        **filters: Unpack[Filters],
    ) -> list[Observation]:
        """Read up to `limit` observations, newest first unless `order` is `asc`; more than 100 in several requests.

        Args:
            limit: how many.
            after: the id after which they begin: the last one of the call before.
            order: by time of creation.
            filters: which observations.
        """
        query = _query(filters) | {"order": order}
        return list(self.listed(Observation, "/v1/observations", query, limit, after))

    def get_observation(self, observation_id: str) -> Observation:
        """Read an observation."""
        return read(Observation, self.request("GET", f"/v1/observations/{segment(observation_id)}"))

    def exclude_observation(self, observation_id: str, reason: str) -> Observation:
        """Leave an observation out of its pool's fits from now on; one that is out already keeps its first reason."""
        return self._change(observation_id, {"excluded": True, "reason": reason})

    def include_observation(self, observation_id: str) -> Observation:
        """Let an excluded observation count again."""
        return self._change(observation_id, {"excluded": False})

    def _change(self, observation_id: str, patch: Mapping[str, Any]) -> Observation:
        path = f"/v1/observations/{segment(observation_id)}"
        return read(Observation, self.request("PATCH", path, json=dict(patch)))
