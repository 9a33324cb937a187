# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""`client.observations`: past runs in and out."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

from pydantic import BaseModel

from gapcast.client.fields import ListedObservations, ObservationFilters, Order
from gapcast.client.files import MEDIA_TYPES, STORING, Format, format_of, replacing
from gapcast.client.requests import MOST_A_PAGE, Query, query_of, segment, without_nones
from gapcast.client.sync.page import Page
from gapcast.client.sync.resource import Resource
from gapcast.contract.observations import ObservationIn
from gapcast.models import Batch, Observation

ALL = "/v1/observations"


class Observations(Resource):
    """Observations: `/v1/observations`."""

    def create(
        self,
        rows: Iterable[ObservationIn | Mapping[str, Any]],
        pool: str | None = None,
        idempotency_key: str | None = None,
        *,
        tags: Sequence[str] = (),
        map: Mapping[str, str] = MappingProxyType({}),
        defaults: Mapping[str, object] = MappingProxyType({}),
        percent: bool = False,
    ) -> Batch:
        """Store past runs, all of them or none.

        A post whose answer is lost is repeated under the same `idempotency_key`, so it takes effect at most once.
        Posting again with the same key answers with what the first post stored.

        Args:
            rows: nested as in JSON: `{"family": "qwen3", ..., "gap": {"value": 0.2, "se": 0.02}, ...}`; shares.
            pool: of the rows that do not name one; None: `default`.
            idempotency_key: names this post; None: a fresh one.
            tags: that every row gets besides its own.
            map: the field that a column is, such as `{"Name": "external_id"}`; nested fields are columns `gap.value`.
            defaults: the value of a field for rows that lack it.
            percent: True if accuracies, differences and standard errors are in percent.

        Raises:
            InvalidRequest: the server refused; `errors` names row and field of each mistake.
            GapcastError: the server refused, or no answer came.
            ValueError: a row holds what JSON cannot, such as NaN.
        """
        texts = [_json(number, row) for number, row in enumerate(rows, start=1)]
        body = f'{{"observations": [{", ".join(texts)}]}}'
        return self._import(body.encode(), "json", pool, idempotency_key, tags, _words(map, defaults, percent))

    def import_file(
        self,
        path: str | os.PathLike[str],
        pool: str | None = None,
        idempotency_key: str | None = None,
        *,
        tags: Sequence[str] = (),
        map: Mapping[str, str] = MappingProxyType({}),
        defaults: Mapping[str, object] = MappingProxyType({}),
        percent: bool = False,
    ) -> Batch:
        """Store the past runs of a file, all of them or none: .csv, .ndjson or .jsonl, .json, .parquet.

        Args:
            path: the file; its ending gives its format.
            pool: of the rows that do not name one; None: `default`.
            idempotency_key: names this post; None: a fresh one.
            tags: that every row gets besides its own.
            map: the field that a column is, such as `{"Name": "external_id"}`; nested fields are columns `gap.value`.
            defaults: the value of a field for rows that lack it.
            percent: True if accuracies, differences and standard errors are in percent.

        Raises:
            InvalidRequest: the server refused; `errors` names row and field of each mistake.
            GapcastError: the server refused, or no answer came.
            ValueError: the file's ending is none of these.
            OSError: the file cannot be read.
        """
        file = Path(path)
        form = format_of(file)
        words = _words(map, defaults, percent)
        return self._import(file.read_bytes(), form, pool, idempotency_key, tags, words)

    def _import(
        self,
        body: bytes,
        form: Format,
        pool: str | None,
        idempotency_key: str | None,
        tags: Sequence[str],
        words: Query,
    ) -> Batch:
        answer = self._connection.create(
            ALL,
            idempotency_key,
            {"Content-Type": MEDIA_TYPES[form]},
            params=without_nones({"pool": pool, "tag": [*tags] or None, **words}),
            content=body,
            timeout=STORING,
        )
        return self._connection.read(Batch, answer)

    def export_file(
        self, path: str | os.PathLike[str], format: Format | None = None, **filters: Unpack[ObservationFilters]
    ) -> Path:
        """Write observations to a file that can be imported again, to the same fit.

        The file is there whole or not at all: it is written beside `path` and then takes its name.

        Args:
            path: where to; a file that is there is replaced.
            format: None: by the path's ending.
            filters: which observations.

        Returns:
            The path, links resolved.

        Raises:
            GapcastError: the server refused, no answer came, or it broke off.
            ValueError: the path's ending is that of no format.
            TypeError: the filter does not exist.
            OSError: the file cannot be written.
        """
        query = {**query_of(ObservationFilters, filters), "format": format or format_of(Path(path))}
        target = Path(path).resolve()
        with replacing(target) as file:
            for piece in self._connection.download(f"{ALL}/export", query):
                file.write(piece)
        return target

    def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        **filters: Unpack[ListedObservations],
    ) -> Page[Observation]:
        """List observations, newest first; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            filters: which observations.

        Raises:
            GapcastError: the server refused, or no answer came.
            TypeError: the filter does not exist.
        """
        query = query_of(ListedObservations, filters)
        return self._connection.page(Observation, ALL, {**query, "limit": limit, "after": after, "order": order})

    def get(self, observation_id: str) -> Observation:
        """Read an observation."""
        return self._connection.get(Observation, _path(observation_id))

    def exclude(self, observation_id: str, reason: str) -> Observation:
        """Leave an observation out of its pool's fits from now on; one that is out already keeps its first reason."""
        return self._change(observation_id, {"excluded": True, "reason": reason})

    def include(self, observation_id: str) -> Observation:
        """Let an excluded observation count again."""
        return self._change(observation_id, {"excluded": False})

    def set_prediction(self, observation_id: str, prediction_id: str) -> Observation:
        """Name the prediction whose outcome an observation is; only where it has none yet."""
        return self._change(observation_id, {"prediction_id": prediction_id})

    def _change(self, observation_id: str, patch: Mapping[str, Any]) -> Observation:
        return self._connection.act(Observation, "PATCH", _path(observation_id), patch)


def _words(map: Mapping[str, str], defaults: Mapping[str, object], percent: bool) -> Query:
    """What rows mean by their columns, as parameters of the request."""
    return {
        "map": [f"{column}={field}" for column, field in map.items()] or None,
        "default": [f"{field}={value}" for field, value in defaults.items()] or None,
        "percent": True if percent else None,
    }


def _path(observation_id: str) -> str:
    return f"{ALL}/{segment(observation_id)}"


def _json(number: int, row: ObservationIn | Mapping[str, Any]) -> str:
    plain = row.model_dump(mode="json", exclude_none=True) if isinstance(row, BaseModel) else dict(row)
    try:
        return json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"row {number}: expected what JSON can hold, got a NaN, a date or the like ({error})."
        ) from error
