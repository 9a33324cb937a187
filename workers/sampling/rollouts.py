"""Rollouts that are remembered on this machine: what was sampled once is not sampled again.

A sample depends on the engine, the model, the prompt, the decoding and its seed alone, so these are its key: six
contexts share their student's rollouts, and a probe that was cancelled goes on where it stopped. It is only a memory:
without it the same rollouts are drawn again.
"""

import hashlib
import json
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from workers.engines import Engine, Prompt, Request, Sample, Sampling

MOST_BYTES = 1 << 30
"""of the memory's file: some 400,000 answers of a thousand tokens; the oldest are forgotten first"""
BATCH = 500
"""keys of one query: SQLite takes 999 variables in its oldest builds"""
FEWEST = 256
"""rollouts that are drawn together at least: a batch of the transformers engine"""
SLICE_SECONDS = 60.0
"""of drawing that a worker which is killed may lose"""
PATIENCE = 30.0
"""seconds to wait for another worker that writes"""


class RolloutStore:
    """A file of samples by key; a file that cannot be used is as good as none, and is said once on standard error."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, keys: Sequence[str]) -> dict[str, list[Sample]]:
        """The samples that are remembered under these keys."""
        found: dict[str, list[Sample]] = {}

        def query(connection: sqlite3.Connection) -> None:
            for start in range(0, len(keys), BATCH):
                some = keys[start : start + BATCH]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, body FROM samples WHERE key IN ({marks})", some)  # noqa: S608
                found.update((key, _unpack(body)) for key, body in rows)

        self._use(query)
        return found

    def write(self, rows: Iterable[tuple[str, list[Sample]]]) -> None:
        """Remember samples; what is too much is forgotten, oldest first."""
        packed = [(key, _pack(samples)) for key, samples in rows]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO samples (key, body) VALUES (?, ?)", packed)
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size > MOST_BYTES:
                count = connection.execute("SELECT count(*) FROM samples").fetchone()[0]
                connection.execute(
                    "DELETE FROM samples WHERE rowid IN (SELECT rowid FROM samples ORDER BY rowid LIMIT ?)",
                    (count // 4 + 1,),
                )

        self._use(insert)

    def _use(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=PATIENCE)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS samples (key TEXT UNIQUE, body BLOB)")
                work(connection)
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            sys.stderr.write(f"rollouts are not remembered: {self._path}: {error}\n")
            # what is only locked, or full, may be there again next time; what is damaged makes room for a new file
            if not isinstance(error, sqlite3.OperationalError | OSError):
                _set_aside(self._path)


def _set_aside(path: Path) -> None:
    """Rename a damaged file, so that the next rollouts are remembered in a new one."""
    with suppress(OSError):
        path.replace(path.with_name(f"{path.name}.damaged"))
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)


def _pack(samples: list[Sample]) -> bytes:
    rows = [[sample.token_ids, sample.text, sample.truncated, sample.logprobs] for sample in samples]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), level=1)


def _unpack(body: bytes) -> list[Sample]:
    try:
        rows = json.loads(zlib.decompress(body))
    except zlib.error as error:
        raise ValueError(f"a damaged row: {error}") from error
    return [Sample(tuple(ids), text, truncated, tuple(logprobs)) for ids, text, truncated, logprobs in rows]


class RememberingEngine:
    """An engine that asks the store before it samples; implements `workers.engines.protocol.Engine`."""

    def __init__(self, engine: Engine, store: RolloutStore, model: dict[str, Any]) -> None:
        self.inner = engine
        self._store = store
        self._scope = json.dumps([model, engine.fingerprint()], sort_keys=True)
        self._at_once = FEWEST
        self.drawn = self.reused = self.prompt_tokens = self.completion_tokens = 0
        """samples, and tokens of what was drawn and not reused"""

    @property
    def context_length(self) -> int:
        """As the engine's."""
        return self.inner.context_length

    @property
    def has_chat_template(self) -> bool:
        """As the engine's."""
        return self.inner.has_chat_template

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """As the engine's."""
        return self.inner.encode(prompt, thinking=thinking)

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """As the engine's."""
        return self.inner.opens_thinking(thinking=thinking)

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        logprobs: bool = False,
        report: Callable[[int], None] = lambda samples: None,
    ) -> list[list[Sample]]:
        """As the engine's; only what is not remembered is drawn."""
        keys = [self._key(request, sampling, logprobs) for request in requests]
        known = self._store.read(list(dict.fromkeys(keys)))
        new = [index for index, key in enumerate(keys) if key not in known]
        reused = sum(request.n for request, key in zip(requests, keys, strict=True) if key in known)
        if reused:
            report(reused)
            self.reused += reused
        for some in self._slices(new, requests):
            fresh = self.inner.generate([requests[i] for i in some], sampling, logprobs=logprobs, report=report)
            drawn = {keys[index]: samples for index, samples in zip(some, fresh, strict=True)}
            self._store.write(drawn.items())
            known.update(drawn)
            self.drawn += sum(len(samples) for samples in fresh)
            self.prompt_tokens += sum(len(requests[index].tokens) for index in some)
            self.completion_tokens += sum(len(sample.token_ids) for samples in fresh for sample in samples)
        return [known[key] for key in keys]

    def _slices(self, new: list[int], requests: Sequence[Request]) -> Iterator[list[int]]:
        """What is drawn before it is written down: as much as took the engine a minute last time."""
        start = 0
        while start < len(new):
            end, rollouts = start, 0
            while end < len(new) and (end == start or rollouts + requests[new[end]].n <= self._at_once):
                rollouts += requests[new[end]].n
                end += 1
            began = time.monotonic()
            yield new[start:end]
            seconds = max(time.monotonic() - began, 1e-3)
            self._at_once = max(FEWEST, int(rollouts * SLICE_SECONDS / seconds))
            start = end

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, ...]]:
        """As the engine's."""
        return self.inner.score(pairs)

    def fingerprint(self) -> dict[str, str]:
        """As the engine's."""
        return self.inner.fingerprint()

    def close(self) -> None:
        """As the engine's."""
        self.inner.close()

    def _key(self, request: Request, sampling: Sampling, logprobs: bool) -> str:
        content = [self._scope, request.tokens, request.n, request.seed, *vars(sampling).values(), logprobs]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()
