from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gapcast.toml"
    file.write_text('port = 9000\nlog_level = "error"\n')
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    monkeypatch.setenv("GAPCAST_PORT", "9001")
    settings = Settings()
    assert settings.port == 9001
    assert settings.log_level == "error"


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gapcast.toml"
    file.write_text("prot = 9000\n")
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_the_embedded_default_needs_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path / 'gapcast.db'}"
    assert settings.embedded_broker
    assert settings.starts_worker


def test_a_broker_elsewhere_means_workers_elsewhere(tmp_path: Path) -> None:
    assert not Settings(data_dir=tmp_path, broker_url="redis://localhost/0").starts_worker


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gpu-box"])
def test_other_machines_are_not_served_without_a_key(host: str) -> None:
    with pytest.raises(ValueError, match="GAPCAST_API_KEY"):
        Settings(host=host).check_bind()
    Settings(host=host, api_key="k" * 32).check_bind()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.7"])
def test_the_loopback_needs_no_key(host: str) -> None:
    Settings(host=host).check_bind()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"api_key": "short"}, "32 characters"),
        ({"heartbeat_seconds": 40}, "at most half"),
        ({"api_workers": 2}, "SQLite"),
        ({"port": 70000}, "65535"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_key_is_not_shown() -> None:
    assert "k" * 32 not in repr(Settings(api_key="k" * 32))


@pytest.mark.parametrize("url", ["foo", "mysql://a/b", "redis://a"])
def test_a_database_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="database_url"):
        Settings(database_url=url)


@pytest.mark.parametrize(
    ("given", "queues"),
    [("training", ["training"]), ("training, probes", ["training", "probes"]), ("probes,probes", ["probes"])],
)
def test_the_queues_of_a_worker_are_a_list_with_commas(
    given: str, queues: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPCAST_WORKER_QUEUES", given)
    assert Settings(data_dir=tmp_path).worker_queues == queues


def test_the_file_has_the_queues_as_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gapcast.toml"
    file.write_text('worker_queues = ["training"]')
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    assert Settings(data_dir=tmp_path).worker_queues == ["training"]


@pytest.mark.parametrize("wrong", ["", "probe", "training,gpu"])
def test_a_queue_that_is_not_there_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPCAST_WORKER_QUEUES", wrong)
    with pytest.raises(ValidationError, match="worker_queues"):
        Settings()
