"""The product in a folder that holds a module of every name that it could import: nothing there runs."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.tasks.task_files import scratch, unpack
from tests.chaos.test_killed_training import ended as run_ended
from tests.conftest import need
from tests.support.asking import run_of
from tests.support.product import GAPCAST, ask, ended, environment, serving, working
from workers.engines.folder import model_folder

pytestmark = pytest.mark.slow

Body = dict[str, Any]

ROOMS = ("gapcast", "service", "workers", "migrations")
READ_BY_OTHERS = {"sitecustomize", "usercustomize", "celeryconfig", "django"}
NAMES = (sys.stdlib_module_names | packages_distributions().keys() | READ_BY_OTHERS) - set(ROOMS)
VARIABLES = ("APP", "LOADER", "CONFIG_MODULE", "CELERY_LOADER", "CELERY_CONFIG_MODULE", "DJANGO_SETTINGS_MODULE")
ELSEWHERE = dict.fromkeys(VARIABLES, "celeryconfig")
"""the shell of somebody whose own project has Celery and Django: these name modules of the current folder"""


class Decoys:
    """The folder; each of its modules writes down that it was imported, and raises."""

    def __init__(self, folder: Path, seen: Path) -> None:
        self.folder, self._seen = folder, seen
        code = f"open({str(seen)!r}, 'a').write(__name__ + '\\n')\nraise RuntimeError(f'{{__name__}} was imported')\n"
        for name in filter(str.isidentifier, NAMES):
            (folder / f"{name}.py").write_text(code)
        for name in ROOMS:
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text(code)

    @property
    def imported(self) -> str:
        return self._seen.read_text() if self._seen.exists() else ""


@pytest.fixture
def decoys(tmp_path: Path) -> Decoys:
    folder = tmp_path / "decoys"
    folder.mkdir()
    return Decoys(folder, tmp_path / "imported")


def test_decoys_work(decoys: Decoys) -> None:
    """Python takes them where it looks for them."""
    names = ["json", "celeryconfig", "torch", "service"]
    for name in names:
        assert subprocess.run([sys.executable, "-c", f"import {name}"], cwd=decoys.folder, stderr=-3).returncode == 1
    assert decoys.imported.split() == names


@pytest.mark.parametrize(
    "arguments",
    [
        ["lab", "--help"],
        ["models", "inspect", str(model_folder("lab/addition-qwen3-s")), "--name", "mine/a", "--family", "a"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_starts_its_room(decoys: Decoys, arguments: list[str]) -> None:
    done = subprocess.run([GAPCAST, *arguments], env=environment({}), cwd=decoys.folder, capture_output=True, text=True)
    assert (done.returncode, decoys.imported) == (0, ""), done.stdout + done.stderr


def test_a_file_is_unpacked(decoys: Decoys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(decoys.folder)
    with scratch(tmp_path) as packed, scratch(tmp_path) as lines:
        parquet.write_table(pa.Table.from_pylist([{"prompt": "1+1=", "answer": "2"}]), packed)
        packed.flush()
        unpack("parquet", packed, lines, 1 << 20, None)
        lines.seek(0)
        assert lines.read() == b'{"prompt":"1+1=","answer":"2"}\n'
    assert decoys.imported == ""


@pytest.mark.slow
def test_the_embedded_product_answers_and_trains(decoys: Decoys, tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, ELSEWHERE, decoys.folder) as (client, _):
        assert ended(client, client.predictions.create(configuration)).status == "succeeded"
        parquet.write_table(pa.Table.from_pylist([{"prompt": "1+1=", "answer": "2"}]), tmp_path / "sums.parquet")
        client.tasks.create(tmp_path / "sums.parquet", "mine/sums", "exact", accept=True)
        # options.processes: two ranks, started by torchrun
        training = {"problems": 16, "processes": 2, "held_out_problems": 8}
        body = run_of(configuration) | {"recipe": {"steps": 2, "problems_per_step": 8}, "training": training}
        run = run_ended(client, ask(client, "POST", "/v1/training_runs", json=body))
        assert run["status"] == "succeeded", run["error"]
    assert decoys.imported == ""


@pytest.mark.slow
@pytest.mark.services
def test_several_api_processes_and_a_worker(
    decoys: Decoys, tmp_path: Path, configuration: Body, postgres_url: str
) -> None:
    need("127.0.0.1", 6379, "Redis")
    services = {"GAPCAST_DATABASE_URL": postgres_url, "GAPCAST_BROKER_URL": "redis://127.0.0.1:6379/11"}
    settings = ELSEWHERE | services | {"GAPCAST_DATA_DIR": str(tmp_path / "data")}
    with (
        serving(tmp_path, settings | {"GAPCAST_API_WORKERS": "2"}, decoys.folder) as (client, _),
        working(tmp_path, settings, "worker", decoys.folder),
    ):
        assert ended(client, client.predictions.create(configuration)).status == "succeeded"
    assert decoys.imported == ""


@pytest.mark.slow
def test_the_demo(decoys: Decoys, tmp_path: Path) -> None:
    command = [GAPCAST, "demo", "--port", "0", "--data-dir", str(tmp_path / "demo")]
    done = subprocess.run(
        command,
        env=environment(ELSEWHERE),
        cwd=decoys.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, decoys.imported) == (0, ""), done.stdout + done.stderr
