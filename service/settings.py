"""Settings: `GAPCAST_*` variables first, then `gapcast.toml` in the working folder (or `GAPCAST_CONFIG`)."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gapcast.contract.faults import expectation
from gapcast.contract.nearest import nearest
from service.kit.auth import is_loopback
from service.listed_models import ModelEntry, repeated


class Settings(BaseSettings):
    """Everything that can be set; docs/settings.md is made from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="GAPCAST_",
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # what does not fit may be a key
    )

    data_dir: Path = Field(Path(".gapcast"), description="folder of the embedded database, message queue and logs")
    database_url: str = Field("", repr=False, description="SQLAlchemy URL; empty: SQLite in data_dir")
    broker_url: str = Field(
        "", repr=False, description="Celery broker URL (redis://, amqp://); empty: the file system in data_dir"
    )
    host: str = Field("127.0.0.1", description="address that the API binds to; any but a loopback one needs api_key")
    port: int = Field(8321, ge=0, le=65535, description="port of the API; 0 takes a free one")
    api_key: SecretStr | None = Field(
        None, description="the key that requests must carry (health checks aside); at least 32 characters"
    )
    api_workers: int = Field(1, ge=1, le=64, description="API processes; more than one needs PostgreSQL")
    worker: Literal["auto", "on", "off"] = Field(
        "auto", description="whether `serve` starts a worker of its own; auto: with the file-system broker"
    )
    worker_concurrency: int = Field(1, ge=1, le=64, description="jobs that one worker runs at a time")
    lease_seconds: float = Field(60, gt=0, description="seconds without a heartbeat after which a job is taken back")
    heartbeat_seconds: float = Field(15, gt=0, description="seconds between a running job's heartbeats")
    reconcile_seconds: float = Field(10, gt=0, description="seconds between searches for lost jobs")
    republish_seconds: float = Field(
        30, gt=0, description="seconds after which an unclaimed job's message is sent again"
    )
    max_failures: int = Field(3, ge=1, le=100, description="crashes or lost leases after which a job is dead")
    job_seconds: float = Field(3600, gt=0, description="seconds that one attempt of a probe may run")
    training_seconds: float = Field(
        604800, gt=0, description="seconds that one attempt of a training run may run (a week)"
    )
    max_queued_jobs: int = Field(
        200, ge=1, description="jobs of one tenant that may wait or run before POST answers 429"
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, description="bytes; a larger body answers 413")
    max_import_bytes: int = Field(32 << 20, ge=1024, description="bytes; the same for an import of observations")
    max_task_bytes: int = Field(
        256 << 20, ge=1024, description="bytes; the same for a task file, and for what a Parquet file unpacks to"
    )
    models: list[ModelEntry] = Field(
        [],
        description="the models that may be loaded beside the lab's, each a table `[[models]]` (variable: a JSON list) "
        "with `name`, `family`, `revision`, and `path` (a folder on the workers) or `url` (an OpenAI-compatible "
        "server; also `served_as`, `api_key`); optional `parameters`, `chat_template`, `context_length`, `thinking`",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")

    @model_validator(mode="after")
    def _fill(self) -> "Settings":
        self.data_dir = self.data_dir.expanduser().absolute()
        self.database_url = self.database_url or f"sqlite:///{self.data_dir / 'gapcast.db'}"
        self.broker_url = self.broker_url or "filesystem://"
        if not self.database_url.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:", "postgres:")):
            raise ValueError("database_url: begins with postgresql:// or sqlite:///")
        if not self.broker_url.startswith(("filesystem:", "redis:", "rediss:", "amqp:", "amqps:")):
            raise ValueError("broker_url: begins with redis:// or amqp:// (empty: files in data_dir)")
        if self.api_key is not None and len(self.api_key.get_secret_value()) < 32:
            raise ValueError("api_key: at least 32 characters, such as `openssl rand -hex 32` prints")
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("heartbeat_seconds: at most half of lease_seconds, or a late heartbeat loses the job")
        twice = repeated(self.models)
        if twice is not None:
            raise ValueError(f"models: the name {twice!r} is there twice; each model has a name of its own")
        if self.database_url.startswith("sqlite") and self.api_workers > 1:
            raise ValueError("api_workers: SQLite serves one API process; set database_url to PostgreSQL for more")
        return self

    @property
    def embedded_broker(self) -> bool:
        """Whether messages travel through the file system."""
        return self.broker_url.startswith("filesystem")

    @property
    def starts_worker(self) -> bool:
        """Whether `serve` starts a worker of its own."""
        return self.worker == "on" or (self.worker == "auto" and self.embedded_broker)

    def check_bind(self) -> None:
        """Refuse to listen to other machines without a key.

        Raises:
            ValueError: the host is not a loopback address and no key is set.
        """
        if not is_loopback(self.host) and self.api_key is None:
            raise ValueError(
                f"host: {self.host} is reachable from other machines, so GAPCAST_API_KEY must be set "
                "(or bind to 127.0.0.1)"
            )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the TOML file."""
        toml = TomlConfigSettingsSource(settings_cls, config_file())
        return init_settings, env_settings, toml


OTHERS = {"config", "url", "parent_pid", "require_services", "law_full", "test_postgres"}
"""GAPCAST_ variables that are no settings"""


def load() -> Settings:
    """The settings, or an exit that names each one that does not fit (and never shows its value: it may be a key)."""
    for name in os.environ:
        short = name.removeprefix("GAPCAST_").lower()
        if name.startswith("GAPCAST_") and short not in Settings.model_fields and short not in OTHERS:
            sys.stderr.write(f"gapcast: {name} is no setting; docs/settings.md lists them\n")
    file = config_file()
    try:
        if "GAPCAST_CONFIG" in os.environ and not file.exists():
            sys.exit(f"gapcast: GAPCAST_CONFIG names {file}, which does not exist")
        return Settings()
    except ValidationError as error:
        rows = [f"  {'.'.join(map(str, row['loc'])) or 'settings'}: {_plain(row)}" for row in error.errors()]
        sys.exit("\n".join([f"gapcast: these settings (GAPCAST_* or {file}) do not fit:", *rows]))
    except SettingsError as error:  # a list in a variable, models for one, that is no JSON
        sys.exit(f"gapcast: {error}; a list in a variable is written as JSON")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        sys.exit(f"gapcast: {file} cannot be read: {error}")


def config_file() -> Path:
    """Where the TOML file would be."""
    return Path(os.environ.get("GAPCAST_CONFIG", "gapcast.toml"))


def _plain(row: ErrorDetails) -> str:
    if row["type"] != "extra_forbidden":
        return expectation(row)
    near = nearest(str(row["loc"][-1]), Settings.model_fields) if len(row["loc"]) == 1 else None
    return "is not a setting." + (f" Did you mean {near}?" if near else "")
