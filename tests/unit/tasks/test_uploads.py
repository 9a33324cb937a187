"""An uploaded task is stored whole, once, and its name means the content that was sent last."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.problems import ProblemIn, TaskHash, TaskIn, canonical
from service.errors import UnknownTask
from service.kit.database import Database
from service.tasks import service as tasks
from service.tasks import uploads
from service.tasks.export import Damaged, export_task
from service.tasks.task_files import scratch
from tests.unit.tasks.conftest import Send, count, lines, problem

TENANT = "local"
MIXED = [
    problem(id="a", hints=["x", "y"], reference_solution="6 x 7 = 42"),
    problem(id="b", answer=7, privileged_context="seven", hints=["x"]),
    problem(id="c", split="held_out", hints=["x"] * 5, reference_solution="42"),
    problem(),
]


def test_a_file_is_stored_and_shown(client: TestClient, send: Send) -> None:
    answer = send(lines(*MIXED), max_tokens=64, preamble="Count.", options='{"relative_tolerance": 0.01}')
    assert answer.status_code == 201
    task = answer.json()
    assert task["id"].startswith("task_")
    assert task.pop("waiting")["queue"] == "probes"
    task["waiting"] = None
    assert task == client.get("/v1/tasks/mine/maths").json() | {"waiting": None}
    assert task == client.get("/v1/tasks").json()["data"][-1]
    kept = {name: task[name] for name in task if name not in {"id", "revision", "created_at", "bytes"}}
    assert kept == {
        "object": "task",
        "name": "mine/maths",
        "source": "upload",
        "verifier": "numeric",
        "verifier_options": {"relative_tolerance": 0.01},
        "train_problems": 3,
        "held_out_problems": 1,
        "max_tokens": 64,
        "preamble": "Count.",
        "hint_levels": 2,
        "with_hints": 2,
        "with_reference_solution": 1,
        "with_privileged_context": 1,
        "status": "ready",
        "accepted": True,
        "self_check": None,
        "progress": None,
        "waiting": None,
        "error": None,
    }


def test_the_revision_is_the_content_and_not_the_file(send: Send) -> None:
    rows = [ProblemIn.model_validate(row) for row in MIXED]
    rows[-1].id = "line-4"
    expected = TaskHash(TaskIn.model_validate({"name": "x", "verifier": {"kind": "numeric"}}))
    for row in rows:
        expected.add(canonical(row))
    first = send(lines(*MIXED)).json()
    assert first["revision"] == expected.revision
    spaced = b"\xef\xbb\xbf" + lines(*MIXED).replace(b"\n", b"\r\n") + b"\n\n"
    again = send(spaced)
    assert (again.status_code, again.json()) == (200, first)
    elsewhere = send(lines(*MIXED), name="theirs").json()
    assert (elsewhere["revision"], elsewhere["id"] == first["id"]) == (first["revision"], False)
    assert send(lines(*MIXED), verifier="exact").json()["revision"] != first["revision"]


def test_the_name_means_what_was_sent_last(client: TestClient, send: Send) -> None:
    first = send(lines(problem())).json()
    second = send(lines(problem(), problem()))
    assert second.status_code == 201
    assert client.get("/v1/tasks/mine/maths").json() == second.json()
    assert [row["name"] for row in client.get("/v1/tasks").json()["data"]].count("mine/maths") == 1
    back = send(lines(problem()))
    assert (back.status_code, back.json()) == (200, first)
    assert client.get("/v1/tasks/mine/maths").json() == first
    assert count(client, "tasks") == 2


def test_problems_can_be_looked_at(client: TestClient, send: Send) -> None:
    long = problem(id="long", prompt="x" * 5000, hints=["h"] * 20)
    send(lines(*MIXED, long))
    page = client.get("/v1/tasks/mine/maths/problems", params={"limit": 2}).json()
    assert ([one["id"] for one in page["data"]], page["last_id"], page["has_more"]) == (["a", "b"], "b", True)
    assert page["data"][1] == {
        "object": "problem",
        "id": "b",
        "number": 2,
        "split": "train",
        "problem": {
            "id": "b",
            "split": "train",
            "prompt": "What is 6 x 7?",
            "answer": "7",
            "privileged_context": "seven",
            "hints": ["x"],
        },
        "shortened": False,
    }
    rest = client.get("/v1/tasks/mine/maths/problems", params={"after": "b"}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (["c", "line-4", "long"], False)
    cut = rest["data"][-1]
    assert cut["shortened"]
    assert (len(cut["problem"]["prompt"]), len(cut["problem"]["hints"])) == (2003, 8)
    held_out = client.get("/v1/tasks/mine/maths/problems", params={"split": "held_out"}).json()
    assert [one["id"] for one in held_out["data"]] == ["c"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/tasks/nobody", "no task"),
        ("/v1/tasks/nobody/problems", "no task"),
        ("/v1/tasks/lab/addition/problems", "come with the workers"),
        ("/v1/tasks/mine/maths/problems?after=zz", "no problem 'zz'"),
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, send: Send, path: str, told: str) -> None:
    send(lines(problem()))
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert told in answer.json()["detail"]


def test_a_repeated_key_answers_with_what_it_made(client: TestClient, send: Send) -> None:
    key = {"Idempotency-Key": "k1"}
    first = send(lines(problem()), headers=key)
    send(lines(problem(), problem()))
    again = send(lines(problem()), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert client.get("/v1/tasks/mine/maths").json()["train_problems"] == 2, "a replay changes nothing"
    other = send(lines(problem(answer=1)), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert send(lines(problem()), headers=key, max_tokens=3).status_code == 422
    assert send(b"{", headers={"Idempotency-Key": "k2"}).status_code == 422
    assert send(lines(problem()), headers={"Idempotency-Key": "k2"}).status_code == 200, "a refused file takes no key"


def upload(database: Database, folder: Path, body: bytes, name: str = "mine", tenant: str = TENANT) -> tuple[Any, bool]:
    task = uploads.header(name, "numeric", None, {})
    with scratch(folder) as raw, scratch(folder) as unpacked, scratch(folder) as out:
        raw.write(body)
        prepared = uploads.prepare(raw, "ndjson", task, unpacked, out, 1 << 30)
        with database.write() as session:
            return uploads.store(session, tenant, prepared, accept=True)


def test_two_uploads_at_once(database: Database, tmp_path: Path) -> None:
    """Same and other content under one name, side by side: each is stored once and whole."""
    bodies = [lines(*[problem(answer=which)] * 300) for which in (1, 2)] * 4
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda body: upload(database, tmp_path, body), bodies))
    assert sorted(is_new for _, is_new in made) == [False] * 6 + [True] * 2
    assert len({task.id for task, _ in made}) == 2
    with database.read() as session:
        stored = session.connection().exec_driver_sql("SELECT task_id, count(*) FROM problems GROUP BY task_id")
        assert {row[0]: row[1] for row in stored} == {task.id: 300 for task, _ in made}
        assert tasks.find_task(session, TENANT, "mine").id in {task.id for task, _ in made}


def test_tenants_have_their_own_tasks(database: Database, tmp_path: Path) -> None:
    upload(database, tmp_path, lines(problem()))
    upload(database, tmp_path, lines(problem(), problem()), tenant="other")
    with database.read() as session:
        assert tasks.find_task(session, TENANT, "mine").train_problems == 1
        assert tasks.find_task(session, "other", "mine").train_problems == 2
        with pytest.raises(UnknownTask, match=r"list them: lab/addition.*POST /v1/tasks"):
            tasks.find_task(session, "third", "mine")


def test_a_revision_is_exported_whole_and_once(database: Database, tmp_path: Path) -> None:
    task, _ = upload(database, tmp_path, lines(*MIXED))
    upload(database, tmp_path, lines(problem()))
    root = tmp_path / "tasks"
    with database.read() as session:
        folder = export_task(session, TENANT, "mine", task.revision, root)
        assert folder is not None
        assert export_task(session, TENANT, "lab/addition", "sha256:any", root) is None
        with pytest.raises(UnknownTask):
            export_task(session, "other", "mine", task.revision, root)
    assert [path.name for path in root.iterdir()] == [folder.name]
    header = TaskIn.model_validate_json((folder / "task.json").read_text())
    digest = TaskHash(header)
    for line in (folder / "problems.jsonl").read_bytes().splitlines():
        digest.add(line)
    assert (header.name, digest.revision) == ("mine", task.revision)
    written = (folder / "task.json").stat().st_mtime_ns
    with database.read() as session:
        assert export_task(session, TENANT, "mine", task.revision, root) == folder
    assert (folder / "task.json").stat().st_mtime_ns == written


def test_a_damaged_task_is_not_exported(database: Database, tmp_path: Path) -> None:
    task, _ = upload(database, tmp_path, lines(*MIXED))
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE problems SET body = '{}' WHERE number = 2")
    with database.read() as session, pytest.raises(Damaged, match=task.revision):
        export_task(session, TENANT, "mine", task.revision, tmp_path / "tasks")
    assert list((tmp_path / "tasks").iterdir()) == []


@pytest.mark.parametrize("name", ["task.json", "problems.jsonl"])
@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"{}"), Path.unlink], ids=["other", "gone"])
def test_an_export_that_was_damaged_is_written_again(
    database: Database, tmp_path: Path, name: str, damage: Callable[[Path], Any]
) -> None:
    task, _ = upload(database, tmp_path, lines(*MIXED))
    root = tmp_path / "tasks"
    with database.read() as session:
        folder = export_task(session, TENANT, "mine", task.revision, root)
        assert folder is not None
        whole = {path.name: path.read_bytes() for path in folder.iterdir()}
        damage(folder / name)
        assert export_task(session, TENANT, "mine", task.revision, root) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert [path.name for path in root.iterdir()] == [folder.name]


def test_what_killed_exports_leave_is_swept(database: Database, tmp_path: Path) -> None:
    task, _ = upload(database, tmp_path, lines(*MIXED))
    old, young, other = (tmp_path / "tasks" / name for name in (".task_1-a", ".task_2-b", "task_3"))
    for folder in (old, young, other):
        folder.mkdir(parents=True)
        (folder / "problems.jsonl").write_bytes(b"half")
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with database.read() as session:
        assert export_task(session, TENANT, "mine", task.revision, tmp_path / "tasks") is not None
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_exports_side_by_side_make_one_folder(database: Database, tmp_path: Path) -> None:
    task, _ = upload(database, tmp_path, lines(*MIXED))

    def export(_: int) -> Path | None:
        with database.read() as session:
            return export_task(session, TENANT, "mine", task.revision, tmp_path / "tasks")

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(export, range(12)))) == 1
    assert len(list((tmp_path / "tasks").iterdir())) == 1


MEASURE = """
import json, resource, sys
from pathlib import Path
from service.tasks import uploads
from service.tasks.export import export_task
from service.tasks.task_files import scratch
from service.kit.database import Database

folder, database = Path(sys.argv[1]), Database("sqlite:///" + sys.argv[1] + "/test.db")
for n, name in ((1_000, "small"), (100_000, "large")):
    with scratch(folder) as raw, scratch(folder) as unpacked, scratch(folder) as out:
        for index in range(n):
            row = {"id": f"{index:06d}" * 8, "prompt": f"problem {index} " * 40, "answer": index, "hints": ["look"] * 3}
            raw.write(json.dumps(row).encode() + b"\\n")
        prepared = uploads.prepare(raw, "ndjson", uploads.header(name, "numeric", None, {}), unpacked, out, 1 << 30)
        with database.write() as session:
            task, _ = uploads.store(session, "local", prepared, accept=True)
    with database.read() as session:
        export_task(session, "local", name, task.revision, folder / "tasks")
    print(task.train_problems, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_hundred_thousand_problems_take_little_memory(tmp_path: Path, migrated: Path) -> None:
    """Upload and export; what grows is a hash and a line number for each id."""
    (tmp_path / "test.db").write_bytes(migrated.read_bytes())
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ)).stdout
    (_, small), (stored, large) = (map(int, line.split()) for line in printed.splitlines())
    assert stored == 100_000
    assert large - small < 64 * 1024, "KiB; the file alone has 70 MB"
    exported = [path for path in (tmp_path / "tasks").iterdir() if json.loads((path / "task.json").read_text())]
    assert max((path / "problems.jsonl").stat().st_size for path in exported) > 60_000_000


@pytest.mark.parametrize(("written", "kept"), [("1e2", "1e2"), ("1.50", "1.50"), ("7", "7"), ('"1.0"', "1.0")])
def test_a_number_stands_for_the_text_that_it_was_written_as(
    client: TestClient, send: Send, written: str, kept: str
) -> None:
    assert send(b'{"prompt": "a", "answer": ' + written.encode() + b"}\n", verifier="exact").status_code == 201
    shown = client.get("/v1/tasks/mine/maths/problems").json()["data"][0]
    assert shown["problem"]["answer"] == kept


def test_a_parameter_that_is_not_known_is_refused(client: TestClient, send: Send) -> None:
    answer = send(lines(problem()), max_token=7)
    assert (answer.status_code, answer.json()["param"]) == (422, "max_token")
    assert "max_tokens" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tests": ["assert ("]}, "is not Python"),
        ({"tests": ["import os"]}, "does not run an `assert`"),
        ({"tests": [{"input": "not json", "output": "1", "testtype": "functional"}], "fn_name": "f"}, "is not JSON"),
        ({"tests": ["assert f()"], "fn_name": "class"}, "expected the name of a Python function"),
        (
            {"tests": ["assert f()"], "prompt": [{"role": "system", "content": "x"}]},
            "expected a message of the role user",
        ),
    ],
)
def test_what_could_only_fail_in_a_probe_is_refused(send: Send, change: dict[str, Any], told: str) -> None:
    answer = send(lines({"prompt": "a"} | change), verifier="python_tests")
    assert answer.status_code == 422
    assert told in json.dumps(answer.json())
