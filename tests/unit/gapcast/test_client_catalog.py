import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from gapcast import Client, GapcastError
from tests.support.product import serving

Sum = dict[str, Any]


@pytest.fixture
def name(pool: str) -> str:
    """A task of the test's own."""
    return f"mine/{pool}"


@pytest.fixture
def sums() -> list[Sum]:
    return [{"id": str(n), "prompt": f"{n:03d}+{n:03d}=", "answer": f"{2 * n:04d}", "hints": ["x"]} for n in range(120)]


def write(file: Path, rows: list[Sum]) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def test_models_are_listed_and_read(connected: Client) -> None:
    first = connected.models.list().data[0]
    assert (first.name, first.family, first.source) == ("lab/addition-qwen3-s", "lab-qwen3", "lab")
    assert connected.models.get(first.name) == first
    with pytest.raises(GapcastError) as refused:
        connected.models.get("no/such")
    assert (refused.value.status, refused.value.code) == (404, "not_found")


def test_every_context_kind_has_a_schema_and_an_example(connected: Client) -> None:
    kinds = {one.kind: one for one in connected.contexts.list()}
    assert {"none", "column", "reference_solution", "shuffled_feedback"} <= kinds.keys()
    assert "level" in kinds["hints"].options_schema["properties"]
    assert all(one.example["kind"] == name and one.description for name, one in kinds.items())


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "parquet"])
def test_a_task_file_is_stored_once_whatever_its_format(
    connected: Client, tmp_path: Path, name: str, sums: list[Sum], ending: str
) -> None:
    file = tmp_path / f"sums.{ending}"
    if ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(sums), file)
    else:
        write(file, sums)
    stored = connected.tasks.create(file, name, "exact", accept=True, max_tokens=16, preamble="Add.")
    assert (stored.name, stored.source, stored.verifier, stored.train_problems) == (name, "upload", "exact", 120)
    assert (stored.max_tokens, stored.preamble, stored.with_hints, stored.with_reference_solution) == (
        16,
        "Add.",
        120,
        0,
    )
    assert (
        connected.tasks.create(file, name, "exact", accept=True, max_tokens=16, preamble="Add.").revision
        == stored.revision
    )
    assert connected.tasks.get(name).id == stored.id
    assert [one.id for one in connected.tasks.list() if one.name == name] == [stored.id]


def test_other_content_is_a_new_revision(connected: Client, tmp_path: Path, name: str, sums: list[Sum]) -> None:
    first = connected.tasks.create(write(tmp_path / "a.jsonl", sums), name, "numeric", accept=True)
    second = connected.tasks.create(
        write(tmp_path / "b.jsonl", sums), name, "numeric", accept=True, options={"relative_tolerance": 0.01}
    )
    assert first.revision != second.revision
    assert connected.tasks.get(name).verifier_options == {"relative_tolerance": 0.01}


def test_problems_come_in_the_files_order(connected: Client, tmp_path: Path, name: str, sums: list[Sum]) -> None:
    rows = [row | {"split": "held_out" if index % 2 else "train"} for index, row in enumerate(sums)]
    connected.tasks.create(write(tmp_path / "sums.jsonl", rows), name, "exact", accept=True)
    assert [one.id for one in connected.tasks.problems(name)] == [row["id"] for row in sums]
    held_out = connected.tasks.problems(name, limit=2, after="10", split="held_out").data
    assert [(one.id, one.number, one.split) for one in held_out] == [("11", 12, "held_out"), ("13", 14, "held_out")]
    assert held_out[0].problem["answer"] == "0022"
    assert not held_out[0].shortened


def test_every_mistake_is_named_by_line_and_field(connected: Client, tmp_path: Path, name: str) -> None:
    file = write(
        tmp_path / "x.jsonl", [{"prompt": "1+1=", "answer": "2"}, {"prompt": "1+1="}, {"prompt": 3, "answer": "2"}]
    )
    with pytest.raises(GapcastError) as refused:
        connected.tasks.create(file, name, "exact", accept=True)
    assert (refused.value.code, [one["param"] for one in refused.value.errors]) == (
        "invalid_file",
        ["lines.2.answer", "lines.3.prompt"],
    )
    with pytest.raises(GapcastError, match="no task"):
        connected.tasks.get(name)


def test_a_post_whose_answer_is_lost_is_sent_again_from_its_beginning(
    connected: Client, relay: Callable[..., Any], tmp_path: Path, name: str, sums: list[Sum]
) -> None:
    between = relay(0)
    with Client(between.url) as client:
        stored = client.tasks.create(write(tmp_path / "sums.jsonl", sums), name, "exact", accept=True)
    assert (between.connections, stored.train_problems) == (2, 120)
    assert connected.tasks.get(name).id == stored.id


@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused_before_all_of_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    file.write_text('{"prompt": "a", "answer": "1"}\n' * 200_000)
    with (
        serving(tmp_path / "server", {"GAPCAST_WORKER": "off", "GAPCAST_MAX_TASK_BYTES": "2048"}) as (client, _),
        pytest.raises(GapcastError, match="2048 bytes") as refused,
    ):
        client.tasks.create(file, "mine/large", "exact", accept=True)
    assert refused.value.status == 413


def test_what_cannot_be_sent_is_refused_before(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    (tmp_path / "x.jsonl").touch()
    with Client("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match=r"\.parquet"):
            client.tasks.create(tmp_path / "x.txt", "mine/x", "exact")
        with pytest.raises(ValueError, match="JSON"):
            client.tasks.create(tmp_path / "x.jsonl", "mine/x", "numeric", options={"relative_tolerance": float("nan")})
        with pytest.raises(FileNotFoundError):
            client.tasks.create(tmp_path / "none.jsonl", "mine/x", "exact")
