"""Parquet task files: the same problems as JSON lines, and no more memory than a proper file takes."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from gapcast.launching import module_command, safe_environment
from service.tasks import task_files
from service.tasks.task_files import scratch, unpack
from service.tasks.unpack import ROOM
from tests.unit.tasks.conftest import Send, count, lines, problem, sender

pytestmark = pytest.mark.slow

PARQUET = "application/vnd.apache.parquet"


def parquet_of(values: dict[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(values), out, **options)
    return out.getvalue()


def test_both_forms_of_a_file_are_one_content(send: Send) -> None:
    rows = [
        problem(id="a", prompt=[{"role": "user", "content": "6 x 7?"}], hints=["b", "c"], reference_solution="42"),
        problem(
            id="b", prompt=[{"role": "system", "content": "x"}, {"role": "user", "content": "y"}], split="held_out"
        ),
        problem(id="c", prompt=[{"role": "user", "content": "z"}], tests=[{"input": "1", "output": "2"}]),
    ]
    columns = {name: [row.get(name) for row in rows] for name in {name for row in rows for name in row}}
    first = send(lines(*rows))
    second = send(parquet_of(columns), PARQUET)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["revision"] == second.json()["revision"]


def test_numbers_dictionaries_and_absent_values_are_read(client: TestClient, send: Send) -> None:
    columns = {
        "prompt": pa.array(["a", "b", "a"]).dictionary_encode(),
        "answer": pa.array([1, 2, 3]),
        "privileged_context": pa.array([None, "x", None], pa.large_string()),
        "fn_name": pa.nulls(3),
    }
    task = send(parquet_of(columns, row_group_size=1), PARQUET).json()
    assert (task["train_problems"], task["with_privileged_context"]) == (3, 1)
    shown = client.get("/v1/tasks/mine/maths/problems").json()["data"]
    assert [one["problem"]["answer"] for one in shown] == ["1", "2", "3"]
    assert [one["id"] for one in shown] == ["line-1", "line-2", "line-3"]


def texts(good: bytes, count: int, bad: bytes) -> pa.StringArray:
    """`count` texts and one that is none; pyarrow takes the bytes for text without a look."""
    parts = [good] * count + [bad]
    offsets = np.cumsum([0, *map(len, parts)]).astype("int32")
    return pa.StringArray.from_buffers(len(parts), pa.py_buffer(offsets), pa.py_buffer(b"".join(parts)))


BROKEN: list[tuple[bytes, str | None, str]] = [
    (b"", None, "not Parquet, or is damaged"),
    (b"PAR1 and then nothing", None, "not Parquet, or is damaged"),
    (lines(problem()), None, "not Parquet, or is damaged"),
    (parquet_of({"prompt": ["a"], "answer": ["1"], "colour": ["red"]}), "columns.colour", "The columns are prompt"),
    (parquet_of({"prompt": [b"a"], "answer": ["1"]}), "columns.prompt", "got the type binary"),
    (parquet_of({"prompt": ["a"], "answer": [{"x": [b"1"]}]}), "columns.answer", "got the type struct"),
    (
        parquet_of({"prompt": pa.array([], pa.string()), "answer": pa.array([], pa.string())}),
        None,
        "does not contain a problem",
    ),
    (
        parquet_of({"prompt": ["a", None], "answer": ["1", "2"]}),
        "rows.2.prompt",
        "row 2: expected a text or a list, got nothing",
    ),
    (parquet_of({"prompt": ["a", "b"], "answer": ["1", "x"]}), "rows.2.answer", "row 2: expected a number, got 'x'"),
    (parquet_of({"prompt": ["a"], "answer": [float("nan")]}), "rows.1.answer", "NaN"),
    (parquet_of({"prompt": ["a"] * 200_001, "answer": ["1"] * 200_001}), None, "at most 200000"),
    (
        parquet_of({"prompt": ["x" * 5_000_000], "answer": ["1"]}),
        "rows.1.prompt",
        "row 1: expected a text of 1 to 262144 characters, got a text of 5000000",
    ),
    (parquet_of({"prompt": ["a"] * 18, "answer": texts(b"1", 17, b"\xff")}), "rows.18.answer", "row 18: is not UTF-8"),
    (
        parquet_of({"prompt": ["a"], "hints": pa.ListArray.from_arrays([0, 2], texts(b"a", 1, b"\xc3("))}),
        "rows.1.hints",
        "UTF-8",
    ),
]


QUICK = {0, 3, 7, 12}
"""One of each kind; each file is read by a process of its own."""


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [pytest.param(*case, id=str(n), marks=() if n in QUICK else pytest.mark.slow) for n, case in enumerate(BROKEN)],
)
def test_a_broken_file_is_refused(refusing: TestClient, body: bytes, param: str | None, told: str) -> None:
    answer = sender(refusing)(body, PARQUET)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "invalid_file", param)
    assert told in answer.json()["detail"]
    assert count(refusing, "tasks") == count(refusing, "problems") == 0


@pytest.mark.slow
def test_no_part_of_a_file_is_taken_for_the_whole(refusing: TestClient) -> None:
    whole = parquet_of({"prompt": ["a", "b"], "answer": ["1", "x"]}, write_page_checksum=True)
    for size in range(0, len(whole), len(whole) // 7):
        assert sender(refusing)(whole[:size], PARQUET).status_code == 422
    for place in range(4, len(whole), len(whole) // 7):
        hurt = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        assert sender(refusing)(hurt, PARQUET).status_code == 422
    assert count(refusing, "tasks") == 0


@pytest.mark.slow
def test_a_file_that_unpacks_to_more_than_is_taken(client: TestClient, send: Send) -> None:
    client.app.state.gapcast.settings.max_task_bytes = 1 << 20  # type: ignore[attr-defined]
    said = parquet_of({"prompt": [f"{index}" + "x" * 10_000 for index in range(200)], "answer": ["1"] * 200})
    unsaid = parquet_of({"prompt": ["x" * 10_000] * 200, "answer": ["1"] * 200})
    assert len(unsaid) < len(said) < 100_000
    for body in (said, unsaid, lying(said)):
        answer = send(body, PARQUET)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_file")
        assert "unpacks to more than 1048576 bytes" in answer.json()["detail"]
        assert answer.json()["param"] == ("columns.prompt" if body is said else "rows.105")


def bomb() -> bytes:
    """One row whose hints are twenty million times the same thousand characters; its metadata tell of a few bytes."""
    many = 20_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(many, dtype="int32")), pa.array(["x" * 1000]))
    hints = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), texts)
    return parquet_of({"prompt": ["a"], "answer": ["1"], "hints": hints}, compression="zstd")


def lying(body: bytes) -> bytes:
    """The same file with a footer that says of every size over a kilobyte that it is one byte."""
    size = int.from_bytes(body[-8:-4], "little")
    footer = bytearray(body[-8 - size : -8])
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    sizes = {metadata.row_group(0).column(index).total_uncompressed_size for index in range(metadata.num_columns)}
    for number in sizes | {metadata.row_group(0).total_byte_size}:
        if number > 1000:
            found = zigzag(number)
            assert found in footer
            footer = footer.replace(found, bytes([0x82, *[0x80] * (len(found) - 2), 0]))  # 1, written as long
    return body[: -8 - size] + bytes(footer) + body[-8:]


def zigzag(number: int) -> bytes:
    """Thrift's compact integer."""
    rest, out = number << 1, []
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


LAUNCHER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[2:], stdin=open(sys.argv[1], "rb"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
print(json.dumps([done.returncode, done.stderr.decode(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def unpacked(body: bytes, folder: Path) -> tuple[int, str, int]:
    """Exit status, what was told, and the most memory in KiB, measured from a small process of its own."""
    (folder / "file").write_bytes(body)
    unpacking = module_command("service.tasks.unpack", "parquet", str(1 << 40), "null")
    command = [sys.executable, "-P", "-c", LAUNCHER, str(folder / "file"), *unpacking]
    environment = safe_environment(os.environ) | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    status, told, memory = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    )
    return status, told, memory


@pytest.mark.slow
def test_a_few_kilobytes_that_unpack_to_gigabytes_take_no_gigabytes(tmp_path: Path) -> None:
    body = bomb()
    assert len(body) < 10_000
    status, told, memory = unpacked(body, tmp_path)
    assert (status, "row 1: column 'hints' unpacks to more memory" in told) == (1, True)
    assert memory * 1024 < ROOM + (200 << 20), "what Python and pyarrow take, and no more than the room beyond it"


@pytest.mark.slow
def test_a_bomb_is_told_as_a_fault_of_the_file(refusing: TestClient) -> None:
    answer = sender(refusing)(bomb(), PARQUET)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "invalid_file", "columns.hints")
    assert "row 1: column 'hints' unpacks to more memory" in answer.json()["detail"]


@pytest.mark.slow
def test_few_files_are_unpacked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take most of a gigabyte, and clients can send as many as they like."""
    body = parquet_of({"prompt": ["a"], "answer": ["1"]})
    lock, run, two = Lock(), subprocess.run, Barrier(2)
    begun = now = most = 0

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal begun, now, most
        with lock:
            begun, now = begun + 1, now + 1
            most, first = max(most, now), begun <= 2
        if first:
            two.wait(120)
        try:
            return run(*given, **named)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(task_files.subprocess, "run", counted)

    def unpack_one(_: int) -> bytes:
        with scratch(tmp_path) as packed, scratch(tmp_path) as unpacked:
            packed.write(body)
            unpack("parquet", packed, unpacked, 1 << 20, None)
            unpacked.seek(0)
            return unpacked.read()

    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(unpack_one, range(3)))
    assert set(made) == {b'{"prompt":"a","answer":"1"}\n'}
    assert (begun, most) == (3, 2)
