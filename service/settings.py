"""Settings: `GAPCAST_*` variables first, then `gapcast.toml` in the working folder (or `GAPCAST_CONFIG`)."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gapcast.contract.needs import MOST_LABELS, Gigabytes, Label
from gapcast.contract.samples import SMALLEST, SampleLimits
from gapcast.contract.waiting import QUEUES, Queue
from service.kit.auth import is_loopback
from service.listed_models import ModelEntry, repeated

SHORTEST_KEY = 32
"""characters: 128 bits where the key is written in hex digits"""


class Settings(BaseSettings):
    """Everything that can be set; docs/settings.md is made from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="GAPCAST_",
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # what does not fit may be a key
    )

    data_dir: Path = Field(Path(".gapcast"), description="folder of the embedded database and message queue")
    database_url: str = Field("", repr=False, description="SQLAlchemy URL; empty: SQLite in data_dir")
    broker_url: str = Field(
        "", repr=False, description="Celery broker URL (redis://, amqp://); empty: the file system in data_dir"
    )
    host: str = Field(
        "127.0.0.1", description="address that the API binds to; an address that is not a loopback one needs api_key"
    )
    port: int = Field(8321, ge=0, le=65535, description="port of the API; 0 takes a free one")
    api_key: SecretStr | None = Field(
        None, description="the key that requests must carry (health checks aside); at least 32 characters"
    )
    api_workers: int = Field(1, ge=1, le=64, description="API processes; more than one needs PostgreSQL")
    worker: Literal["auto", "on", "off"] = Field(
        "auto", description="on: `serve` starts a worker of its own; auto: only with the file-system broker"
    )
    worker_queues: Annotated[list[Queue], NoDecode] = Field(
        list(QUEUES),
        min_length=1,
        description="what a worker takes: `probes`, `training`, or both (variable: `probes,training`)",
    )
    worker_concurrency: int = Field(
        1, ge=1, le=64, description="jobs of each of its queues that one worker runs at a time"
    )
    worker_labels: Annotated[list[Label], NoDecode] = Field(
        [],
        max_length=MOST_LABELS,
        description="what a worker is called, such as `gpu`: it takes the jobs that need a label only if it has it "
        "(variable: `gpu,a100`)",
    )
    worker_memory_gb: Gigabytes | None = Field(
        None,
        description="GB of its GPU's memory that a worker's jobs share: as many run at a time as fit, and one that "
        "does not say what it takes runs alone; not set: memory is not counted",
    )
    worker_stop_seconds: float = Field(
        10,
        gt=0,
        description="seconds in which a training run that is paused, or whose worker is told to stop, may finish its "
        "step and write a checkpoint; then it goes back to the checkpoint before",
    )
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
    silence_seconds: float = Field(
        1800,
        gt=0,
        description="seconds without a word from a probe's process after which it counts as crashed; loading a large "
        "model is silent",
    )
    training_silence_seconds: float = Field(
        7200, gt=0, description="the same for a training run's process, whose steps can be long"
    )
    max_queued_jobs: int = Field(
        200, ge=1, description="jobs of one tenant that may wait or run; the answer to one more is 429"
    )
    max_streams: int = Field(
        500, ge=1, description="streams of events that one tenant may have open in one API process; then 429"
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, description="bytes; the answer to a larger body is 413")
    max_import_bytes: int = Field(32 << 20, ge=1024, description="bytes; the same for an import of observations")
    max_task_bytes: int = Field(
        256 << 20, ge=1024, description="bytes; the same for a task file, and for what a Parquet file unpacks to"
    )
    samples_per_probe: int = Field(
        512,
        ge=0,
        le=100_000,
        description="rollouts of a probe that are stored to be read, of its first problems; 0: none are stored",
    )
    sample_characters: int = Field(
        8000,
        ge=SMALLEST,
        le=1_000_000,
        description="characters of each text of a stored rollout; of a longer text the middle is left out",
    )
    samples_probe_bytes: int = Field(4 << 20, ge=1024, description="bytes of the stored rollouts of one probe")
    samples_bytes: int = Field(
        1 << 30, ge=1024, description="bytes of all stored rollouts; beyond it those of the oldest probes are deleted"
    )
    models: list[ModelEntry] = Field(
        [],
        description="the models that may be loaded besides the lab's, each a table `[[models]]` (variable: JSON list) "
        "with `name`, `family`, `revision`, and `path` (a folder on the workers) or `url` (an OpenAI-compatible "
        "server; also `served_as`, `api_key`); optional `parameters`, `chat_template`, `context_length`, `thinking`, "
        "`needs` and `training_needs` (`labels` and `memory_gb` of the workers that take it)",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["text", "json"] = Field(
        "text", description="how a log line is written: for a person, or as a JSON object for a log collector"
    )

    @field_validator("worker_queues", "worker_labels", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401
        """Read a text as a list; what is named twice is taken once."""
        names = [name for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        if not isinstance(names, list | tuple):
            return value
        return list(dict.fromkeys(name.strip() if isinstance(name, str) else name for name in names))

    @model_validator(mode="after")
    def _fill(self) -> "Settings":
        self.data_dir = self.data_dir.expanduser().absolute()
        self.database_url = self.database_url or f"sqlite:///{self.data_dir / 'gapcast.db'}"
        self.broker_url = self.broker_url or "filesystem://"
        if not self.database_url.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:", "postgres:")):
            raise ValueError(f"database_url: expected postgresql:// or sqlite:///, got {_scheme(self.database_url)}.")
        if not self.broker_url.startswith(("filesystem:", "redis:", "rediss:", "amqp:", "amqps:")):
            raise ValueError(
                f"broker_url: expected redis:// or amqp://, got {_scheme(self.broker_url)}. "
                "Leave it empty for files in data_dir."
            )
        length = None if self.api_key is None else len(self.api_key.get_secret_value())
        if length is not None and length < SHORTEST_KEY:
            raise ValueError(
                f"api_key: expected at least {SHORTEST_KEY} characters, got {length}. "
                "The command `openssl rand -hex 32` prints a new key."
            )
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"heartbeat_seconds: expected at most half of lease_seconds ({self.lease_seconds / 2:g}), "
                f"got {self.heartbeat_seconds:g}. Otherwise one late heartbeat loses the job."
            )
        twice = repeated(self.models)
        if twice is not None:
            raise ValueError(f"models: expected a different name for each model, got {twice!r} twice.")
        if self.samples_probe_bytes > self.samples_bytes:
            raise ValueError(
                f"samples_probe_bytes: expected at most samples_bytes ({self.samples_bytes}), got "
                f"{self.samples_probe_bytes}. Raise samples_bytes."
            )
        if self.database_url.startswith("sqlite") and self.api_workers > 1:
            raise ValueError(
                f"api_workers: expected 1 with SQLite, got {self.api_workers}. Set database_url to PostgreSQL for more."
            )
        return self

    @property
    def embedded_broker(self) -> bool:
        """True if messages travel through the file system."""
        return self.broker_url.startswith("filesystem")

    @property
    def sample_limits(self) -> SampleLimits:
        """How much of a probe's rollouts is stored."""
        return SampleLimits(
            count=self.samples_per_probe, bytes=self.samples_probe_bytes, characters=self.sample_characters
        )

    @property
    def starts_worker(self) -> bool:
        """True if `serve` starts a worker of its own."""
        return self.worker == "on" or (self.worker == "auto" and self.embedded_broker)

    def check_bind(self) -> None:
        """Refuse to listen to other machines without a key.

        Raises:
            ValueError: the host is not a loopback address and no key is set.
        """
        if not is_loopback(self.host) and self.api_key is None:
            raise ValueError(
                f"host: expected a loopback address such as 127.0.0.1 while no API key is set, got {self.host}, "
                "which other machines can reach. Set GAPCAST_API_KEY, or bind to 127.0.0.1."
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


def config_file() -> Path:
    """Return the path of the TOML file, which need not exist."""
    return Path(os.environ.get("GAPCAST_CONFIG", "gapcast.toml"))


def _scheme(url: str) -> str:
    """Return what may be shown of a URL, which can hold a password."""
    scheme, separator, _ = url.partition("://")
    return f"{scheme[:20]}://" if separator else "a text without ://"
