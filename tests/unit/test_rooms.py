"""The rooms keep their doors: who may import whom (docs/design.md, Rooms)."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "service": {"workers", "torch", "transformers", "vllm", "gapcast"},
    "service/law": {"service", "workers", "gapcast", "sqlalchemy", "pydantic", "fastapi"},
    "service/deciding": {"service", "workers", "gapcast", "sqlalchemy", "pydantic", "fastapi"},
    "service/kit": {"service", "workers", "gapcast"},
    "gapcast": {"service", "workers", "migrations", "torch", "sqlalchemy", "celery", "fastapi"},
    "migrations": {"workers", "gapcast"},
}
CONTRACT = "gapcast.contract"
"""What crosses a border between processes: every room may read it, but for `service/law`. Of it `service/kit` reads
the sentences about faults alone."""
OUTSIDE = {
    "service": (
        CONTRACT,
        "gapcast.__version__",
        "gapcast.atomic",
        "gapcast.launching",
        "gapcast.words",
        "gapcast.comparison_words",
        "gapcast.described",
        "gapcast.recommendation_words",
        "gapcast.sample_words",
        "gapcast.task_words",
    ),
    "service/deciding": ("service.law",),
    "service/kit": ("gapcast.contract.faults",),
}
"""What a room may import of a package that it may not import."""
FLOORS = (
    *("kit", "law", "deciding", "scores", "errors", "listed_models", "settings", "loading", "logs", "dependencies"),
    *("events", "slots", "jobs", "catalog", "tasks", "observations", "fits", "samples", "probes", "predictions"),
    *("comparisons", "forecasts", "training_runs", "recommendations", "external_runs"),
    *("kinds", "migrate", "health", "web", "app", "serving", "__main__"),
)
"""The folders and modules of `service` from the ground up: each imports what lies below it, and nothing above."""
LAUNCHER = {"gapcast.launching.module_command", "gapcast.launching.safe_environment"}
STARTS = re.compile(r"(subprocess|multiprocessing|asyncio\.\w*subprocess|os\.(exec|spawn|posix_spawn|system|popen))")
MODEL_ROOMS = ("tasks", "engines", "contexts", "sampling", "probe", "opsd", "lab")
"""The model side of `workers`, from the ground up likewise."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = []
    for path in (ROOT / room).rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            inside = name.startswith(room.replace("/", ".") + ".")
            if top in FORBIDDEN[room] and not inside and not name.startswith(OUTSIDE.get(room, "-")):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong


def test_every_room_of_the_service_has_a_floor() -> None:
    rooms = {
        path.stem for path in (ROOT / "service").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_no_room_of_the_service_imports_upward(room: str) -> None:
    wrong = []
    base = ROOT / "service" / room
    for path in base.rglob("*.py") if base.is_dir() else [base.with_suffix(".py")]:
        for name in imports(path):
            _, *inner = name.split(".")
            if name.startswith("service.") and FLOORS.index(inner[0]) > FLOORS.index(room):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong


@pytest.mark.parametrize("room", MODEL_ROOMS)
def test_the_model_side_of_workers_knows_only_the_contract_and_how_to_write_files_and_start(room: str) -> None:
    wrong = []
    for path in (ROOT / "workers" / room).rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            outside = top in {"sqlalchemy", "celery", "kombu", "fastapi", "gapcast", "service"}
            if outside and not name.startswith((CONTRACT, "gapcast.atomic", "gapcast.launching", "service.scores")):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong


def test_an_endpoint_asks_its_service_and_no_repository() -> None:
    wrong = []
    for path in (ROOT / "service").glob("*/endpoints.py"):
        names = {name for name in imports(path) if ".repository" in name and not name.endswith(".Filter")}
        wrong += [f"{path.relative_to(ROOT)}: {name}" for name in names]
    assert not wrong


def test_sql_stands_in_repositories() -> None:
    """Beside them only the tables, the kit, and what looks at the database itself: its health, its schema."""
    wrong = []
    for path in (ROOT / "service").rglob("*.py"):
        if path.stem in {"repository", "models", "health", "migrate"} or path.is_relative_to(ROOT / "service" / "kit"):
            continue
        for name in imports(path):
            passed_on = name == "sqlalchemy.orm.Session" or name.startswith("sqlalchemy.exc.")
            if name.startswith("sqlalchemy") and not passed_on:
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong


def test_only_the_kit_commits() -> None:
    """At the end of `Database.write()`, which the edge of a request or of a job's step opens."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "service").rglob("*.py")
        if not path.is_relative_to(ROOT / "service" / "kit")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback"}
    ]
    assert not wrong


@pytest.mark.parametrize("room", MODEL_ROOMS)
def test_no_room_of_the_model_side_imports_upward(room: str) -> None:
    wrong = []
    for path in (ROOT / "workers" / room).rglob("*.py"):
        for name in imports(path):
            inner = name.split(".")[1] if name.startswith("workers.") else ""
            if inner in MODEL_ROOMS and MODEL_ROOMS.index(inner) > MODEL_ROOMS.index(room):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong


def test_the_contract_imports_pydantic_and_the_standard_library_alone() -> None:
    wrong, known = [], {*sys.stdlib_module_names, "pydantic", "pydantic_core"}
    for path in (ROOT / "gapcast" / "contract").rglob("*.py"):
        for name in imports(path):
            if name.split(".")[0] not in known and not name.startswith(CONTRACT):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong
    loaded = modules_after("import gapcast.contract.training, gapcast.contract.predictions")
    assert not loaded & {"httpx2", "typer", "rich", "numpy", "service"}


def attributes(module: ast.AST) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(module) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("room", ["gapcast", "service", "workers"])
def test_processes_start_through_the_launcher_alone(room: str) -> None:
    """The sandbox has a way of its own, which is stricter."""
    wrong = []
    for path in (ROOT / room).rglob("*.py"):
        if path == ROOT / "gapcast/launching.py" or path.is_relative_to(ROOT / "workers/tasks/sandbox"):
            continue
        imported = imports(path)
        used = imported | attributes(tree(path))
        if "sys.executable" in used:
            wrong.append(f"{path.relative_to(ROOT)}: sys.executable")
        starts = {name for name in used if STARTS.match(name)}
        if starts and not imported >= LAUNCHER:
            wrong.append(f"{path.relative_to(ROOT)}: {', '.join(starts)}")
    assert not wrong


SLOW = {"sklearn", "pandas", "torch"}
"""what takes longer to import than a server's or a worker's own code, and is needed by neither"""

LOADED = """
from workers.engines import model_folder
from workers.engines.transformers import TransformersEngine
TransformersEngine.load(model_folder("lab/addition-qwen3-s"))
"""


EXCEPTIONS = {"alembic", "mako", "scipy.optimize"}
"""what only a migration that is due needs, or a question for a size"""


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    names = printed.stdout.split()
    return {*names, *(name.split(".")[0] for name in names)}


@pytest.mark.slow
def test_a_child_process_loads_no_database_and_no_broker_code() -> None:
    loaded = modules_after(f"import workers.child, workers.probe, workers.opsd\n{LOADED}")
    assert "torch" in loaded
    assert not loaded & {"sqlalchemy", "celery", "kombu", "fastapi", "psycopg", "redis"}
    assert not loaded & SLOW - {"torch"}
    assert "scipy" not in loaded


@pytest.mark.slow
def test_the_api_loads_no_model_code() -> None:
    loaded = modules_after("from service.app import create_app")
    assert "fastapi" in loaded
    assert not loaded & {"torch", "transformers", "vllm", "workers"}
    assert not loaded & (SLOW | EXCEPTIONS)


@pytest.mark.slow
def test_a_worker_loads_no_pages() -> None:
    loaded = modules_after("import workers.host.working")
    assert "celery" in loaded
    assert not loaded & (SLOW | EXCEPTIONS | {"altair", "jinja2"})


def test_the_command_starts_without_the_service() -> None:
    loaded = modules_after("import gapcast.cli.main")
    assert not loaded & {"service", "workers", "sqlalchemy", "numpy", "celery", "fastapi"}


def test_a_server_and_a_worker_start_without_the_other_commands() -> None:
    loaded = modules_after("import gapcast.cli.start")
    assert not loaded & {"typer", "rich", "pydantic"}
