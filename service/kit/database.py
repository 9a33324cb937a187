"""Engine and sessions for SQLite and PostgreSQL.

Writes and reads are asked for by name. On SQLite a write takes `BEGIN IMMEDIATE` behind one lock per process, so that
writers queue instead of failing with "database is locked"; reads go on beside them (WAL).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel
from sqlalchemy import JSON, Connection, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from service.kit.threads import READING, WRITING

MOST_CONNECTIONS = READING + WRITING + 8
"""of one process. Each of its threads takes one connection and gives it back before it ends, so none ever waits for
one; the others are for readiness and the process's own threads (reconciler, refitter)."""
KEPT_CONNECTIONS = READING + WRITING
"""that stay open when nobody uses them: under load PostgreSQL would start a process for each one beyond them"""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

Kind = TypeVar("Kind", bound=BaseModel)


class JsonOf(TypeDecorator[Kind], Generic[Kind]):
    """A column of JSON that is read and written as an object of one class."""

    impl = Json
    cache_ok = True

    def __init__(self, kind: type[Kind]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Kind | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Return the JSON that is stored."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: object, dialect: Dialect) -> Kind | None:
        """Read what is stored."""
        return None if value is None else self.kind.model_validate(value)


class Base(DeclarativeBase):
    """The declarative base of every stored row."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


def normal_url(url: str) -> str:
    """Name the drivers we ship with: `postgresql://` means psycopg 3."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgresql", "postgres"} else url


class WriteSession(Session):
    """A session that commits; it remembers which jobs are to be woken then."""

    def wake(self, queue: str, *job_ids: str) -> None:
        """Wake these jobs of a queue after the commit, and not at all where there is none."""
        self.info.setdefault(WOKEN, []).extend((queue, job_id) for job_id in job_ids)


WOKEN = "woken"
Wake = Callable[[Sequence[tuple[str, str]]], None]


def _wake_nobody(jobs: Sequence[tuple[str, str]]) -> None:
    """The reconciler of some other process finds them."""


class Database:
    """One engine and its two kinds of session.

    Args:
        url: SQLAlchemy's.
        wake: is given queue and id of the jobs that a session was to wake, after its commit.
    """

    def __init__(self, url: str, wake: Wake = _wake_nobody) -> None:
        self.url, self._wake = normal_url(url), wake
        parsed = make_url(self.url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        # an error shows its statement, and not the texts of people and models that were to be written
        options: dict[str, Any] = {"hide_parameters": True}
        if self.is_sqlite:
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
            # to open a file again costs more than to keep it open
            options.update(pool_size=MOST_CONNECTIONS, max_overflow=0)
        else:
            # a connection that died while idle is replaced at checkout
            options.update(pool_size=KEPT_CONNECTIONS, max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS)
            options.update(pool_pre_ping=True, pool_recycle=1800)
            # a server that vanished without a word is given up within a minute
            options["connect_args"] = {
                "connect_timeout": 5,
                "keepalives_idle": 20,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,
            }
        self.engine: Engine = create_engine(self.url, **options)
        self._write_lock = threading.Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            _tune_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; nothing it does is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """A session that commits at the end of the block and rolls back when the block raises.

        On SQLite the lock comes first and the connection second: a writer that waits for its turn holds none.
        """
        with self._write_lock:
            engine = self.engine.execution_options(gapcast_write=True)
            with WriteSession(engine, expire_on_commit=False) as session:
                with session.begin():
                    yield session
                woken = session.info.pop(WOKEN, [])
        if woken:
            self._wake(woken)

    def close(self) -> None:
        """Close all connections, and what a thread still has as soon as it gives it back."""
        event.listen(self.engine.pool, "checkin", lambda _connection, record: record.invalidate())
        self.engine.dispose()


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None  # we send BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("gapcast_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for another database, or one in memory."""
    name = make_url(url).database if url.startswith("sqlite") else None
    return None if name in {None, "", ":memory:"} else Path(str(name)).absolute()


def place_of(url: str) -> str:
    """Return which server a URL names, without its user, password and options: `postgresql on db.internal, gapcast`."""
    parsed = urlsplit(url)
    try:
        port = f":{parsed.port}" if parsed.port else ""
    except ValueError:  # not a number; its user meets the error of the driver
        port = ""
    name = parsed.path.strip("/")
    kind = parsed.scheme.partition("+")[0]
    return f"{kind} on {parsed.hostname or 'this machine'}{port}" + (f", {name}" if name else "")
