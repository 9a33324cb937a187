import os
from pathlib import Path

import pytest

from service.loading import load
from service.settings import Settings

SECRET = "hunter2-hunter2"


def refused(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines with which the settings are refused."""
    with pytest.raises(SystemExit) as stopped:
        load()
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "abc", "expected a whole number from 0 to 65535, got 'abc'."),
        ("PORT", "70000", "expected a whole number from 0 to 65535, got '70000'."),
        ("MAX_BODY_BYTES", "1.5", "expected a whole number of 1024 or more, got '1.5'."),
        ("LEASE_SECONDS", "nan", "expected a finite number, got 'nan'."),
        ("LEASE_SECONDS", "0", "expected a number above 0, got '0'."),
        ("LEASE_SECONDS", "60,5", "expected a number above 0, got '60,5'. Write 60.5."),
        ("WORKER", "yes", "expected auto, on or off, got 'yes'."),
        ("LOG_LEVEL", "warn", "expected debug, info, warning or error, got 'warn'. Did you mean 'warning'?"),
        ("LOG_FORMAT", "xml", "expected text or json, got 'xml'."),
        ("MODELS", "[{", "expected a JSON list, got text that is not JSON."),
        ("MODELS", "3", "expected a list."),
        (
            "HEARTBEAT_SECONDS",
            "40",
            "expected at most half of lease_seconds (30), got 40. Otherwise one late heartbeat loses the job.",
        ),
        (
            "API_WORKERS",
            "2",
            "expected 1 with SQLite, got 2. Set database_url to PostgreSQL for more.",
        ),
        (
            "API_KEY",
            "short",
            "expected at least 32 characters, got 5. The command `openssl rand -hex 32` prints a new key.",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_what_it_takes(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GAPCAST_CONFIG")
    monkeypatch.setenv(f"GAPCAST_{name}", value)
    assert refused(capsys) == [f"GAPCAST_{name}: {line}"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("# ours\nprot = 9000\n", "line 2: prot is not a setting. Did you mean port?"),
        ("zzzz = 1\n", "line 1: zzzz is not a setting. docs/settings.md lists all settings."),
        ('host = "::1"\nport = "x"\n', "line 2: port: expected a whole number from 0 to 65535, got 'x'."),
        (
            '[[models]]\nname = "a"\nfamily = "b"\nrevision = "c"\npath = "/x"\n[[models]]\nname = "b"\n',
            "line 6: models.1.family: expected a text without |, got nothing. Add it.",
        ),
        ("data_dir = 3\n", "line 1: data_dir: expected a path, got 3."),
        (
            '[[models]]\nname = "a"\nfamily = "b"\nrevison = "c"\n',
            "line 1: models.0.revison: is not a field of models.0. Did you mean revision?",
        ),
    ],
)
def test_a_wrong_line_of_the_file_is_named_with_its_number(
    content: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gapcast.toml"
    file.write_text(content)
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    assert f"{file}, {line}" in refused(capsys)


@pytest.mark.parametrize(("content", "words"), [(b"port = \n", "expected TOML"), (b"\xff", "expected TOML")])
def test_a_file_that_is_not_toml_is_named(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gapcast.toml"
    file.write_bytes(content)
    monkeypatch.setenv("GAPCAST_CONFIG", str(file))
    (line,) = refused(capsys)
    assert line.startswith(f"{file}: ")
    assert words in line


@pytest.mark.parametrize(("name", "problem"), [("absent.toml", "does not exist"), (".", "is a folder")])
def test_a_file_that_is_named_must_exist(
    name: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAPCAST_CONFIG", str(tmp_path / name))
    assert refused(capsys) == [
        f"GAPCAST_CONFIG: expected the path of a file, got '{tmp_path / name}', which {problem}."
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", SECRET),
        ("DATABASE_URL", f"mysql://me:{SECRET}@host/gapcast"),
        ("DATABASE_URL", SECRET),
        ("BROKER_URL", f"sqs://me:{SECRET}@host"),
        ("MODELS", f'[{{"name": "a", "api_key": "{SECRET} "}}]'),
        ("MODELS", f'["{SECRET}"]'),
        ("MODELS", f'"{SECRET}"'),
        ("MODELS", SECRET),
    ],
)
def test_no_secret_is_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GAPCAST_CONFIG")
    monkeypatch.setenv(f"GAPCAST_{name}", value)
    lines = refused(capsys)
    assert lines
    assert all(line.startswith(f"GAPCAST_{name}: ") for line in lines)
    assert SECRET not in "".join(lines)


def test_an_unknown_variable_is_named_and_does_not_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAPCAST_CONFIG", os.devnull)
    monkeypatch.setenv("GAPCAST_PROT", "9")
    assert load() == Settings()
    assert capsys.readouterr().err == ("GAPCAST_PROT is not a setting and has no effect. Did you mean GAPCAST_PORT?\n")
    load(report_unknown=False)
    assert capsys.readouterr().err == ""
