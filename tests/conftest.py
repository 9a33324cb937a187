"""What every test can ask for: settings in a folder of its own, databases, an application without a worker."""

import gc
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy import NullPool, create_engine, text

import tests.support.certificates  # noqa: F401 - before any client is made
from service.app import create_app
from service.fits.service import refit_one
from service.kit.database import Database
from service.migrate import migrate
from service.settings import Settings

POSTGRES = os.environ.get("GAPCAST_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
REQUIRED = os.environ.get("GAPCAST_REQUIRE_SERVICES") == "1"

# torch and transformers alone hold a million objects; looking for garbage among them took a tenth of the tests' time
gc.set_threshold(20_000, 20, 10)


def need(host: str, port: int, name: str) -> None:
    """Skip where a service is not there, fail where it must be."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError:
        if REQUIRED:
            pytest.fail(f"{name} must answer on {host}:{port} (GAPCAST_REQUIRE_SERVICES=1)")
        pytest.skip(f"no {name} on {host}:{port}")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("GAPCAST_")]:
        if name not in {"GAPCAST_REQUIRE_SERVICES", "GAPCAST_LAW_FULL"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("GAPCAST_CONFIG", os.devnull)


@pytest.fixture(autouse=True)
def _every_log_level() -> None:
    """No test inherits the log level of the application that another has made."""
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", log_level="error")


@contextmanager
def postgres(template: str = "template1") -> Iterator[str]:
    """A PostgreSQL database of its own, dropped afterwards."""
    need("127.0.0.1", 5432, "PostgreSQL")
    name = f"gapcast_test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    """The name of a migrated PostgreSQL database, to copy."""
    with postgres() as url:
        made = Database(url)
        migrate(made)
        made.close()
        yield url.rsplit("/", 1)[1]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with the laws of the pools, to copy: they take longer to make than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "gapcast.db"
    made = Database(f"sqlite:///{path}")
    migrate(made)
    while refit_one(made):
        pass
    with made.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def database(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[Database]:
    """A migrated database of each kind."""
    with ExitStack() as held:
        if request.param == "sqlite":
            url = f"sqlite:///{shutil.copy(migrated, tmp_path / 'test.db')}"
        else:
            url = held.enter_context(postgres(request.getfixturevalue("migrated_postgres")))
        made = Database(url)
        yield made
        made.close()


@pytest.fixture
def client(settings: Settings, migrated: Path) -> Iterator[TestClient]:
    """The application on SQLite, without a worker."""
    settings.data_dir.mkdir()
    shutil.copy(migrated, settings.data_dir / "gapcast.db")
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8321") as made:
        yield made


@pytest.fixture(scope="module")
def refusing(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One application for all that stores nothing."""
    folder = tmp_path_factory.mktemp("refusing")
    shutil.copy(migrated, folder / "gapcast.db")
    settings = Settings(data_dir=folder, log_level="error")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as made:
        yield made


@pytest.fixture
def configuration() -> dict[str, object]:
    """A small but whole request."""
    return {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints", "options": {"level": 2}},
        "probe": {"problems": 16, "rollouts": 2},
    }
