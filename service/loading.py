"""The settings of a process that starts, or its end with one line for each setting that is wrong."""

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from gapcast.contract.faults import expectation, noted, sentence
from gapcast.contract.nearest import nearest
from service.kit.process import refuse
from service.settings import Settings, config_file

PREFIX = "GAPCAST_"
OTHERS = {"config", "url", "parent_pid", "require_services", "law_full", "test_postgres"}
"""GAPCAST_ variables that are not settings"""
SECRET = {"api_key", "database_url", "broker_url", "models"}
"""the settings whose values are never shown: each can hold a key or a password"""


def load(*, report_unknown: bool = True) -> Settings:
    """Return the settings, or end this process with exit code 2 and a line for each setting that is wrong.

    Args:
        report_unknown: name the variables GAPCAST_... that are not settings; a worker's server has done so already.
    """
    if report_unknown:
        for name in _unknown_variables():
            sys.stderr.write(f"{name} is not a setting and has no effect. {_advice(name, _variables())}\n")
    file = config_file()
    try:
        if "GAPCAST_CONFIG" in os.environ and (file.is_dir() or not file.exists()):
            problem = "is a folder" if file.is_dir() else "does not exist"
            refuse(f"GAPCAST_CONFIG: expected the path of a file, got {str(file)!r}, which {problem}.")
        return Settings()
    except ValidationError as error:
        refuse(*(_line(row, file) for row in noted(Settings, error).errors()))
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        refuse(f"{_variable(named[1] if named else 'models')}: expected a JSON list, got text that is not JSON.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        refuse(f"{file}: expected TOML, got text that is not: {error}.")
    except OSError as error:
        refuse(f"{file}: expected a file that can be read, got an error: {error.strerror}.")


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _variables() -> list[str]:
    return [_variable(name) for name in Settings.model_fields]


def _unknown_variables() -> Iterator[str]:
    for name in os.environ:
        short = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and short not in Settings.model_fields and short not in OTHERS:
            yield name


def _advice(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"Did you mean {near}?" if near is not None else "docs/settings.md lists all settings."


def _line(row: ErrorDetails, file: Path) -> str:
    """Return what is wrong with one setting, as `GAPCAST_PORT: expected a whole number ..., got 'abc'.` does."""
    message = row["msg"].removeprefix("Value error, ")
    if not row["loc"]:  # raised by a validator of several settings, which names the one to change
        name, separator, rest = message.partition(": ")
        return f"{_place(name, file)}: {rest}" if separator and name in Settings.model_fields else message
    name, *inner = map(str, row["loc"])
    if inner:  # of a table [[models]]
        place = _place(name, file, int(inner[0]) if inner[0].isdigit() else 0)
        return f"{place}: {'.'.join([name, *inner])}: {expectation(row)}"
    if row["type"] == "extra_forbidden":
        return f"{_place(name, file)} is not a setting. {_advice(name, Settings.model_fields)}"
    return f"{_place(name, file)}: {expectation(row) if name in SECRET else sentence(row)}"


def _place(name: str, file: Path, table: int = 0) -> str:
    """Return where a setting's value comes from: a variable, or a line of the file (that of its nth table)."""
    variable = next((known for known in os.environ if known.upper() == _variable(name)), None)
    if variable is not None:
        return variable
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
    numbers = [number for number, line in enumerate(lines, 1) if pattern.match(line)]
    if not numbers:
        return f"{file}: {name}"
    line = f"{file}, line {numbers[min(table, len(numbers) - 1)]}"
    return line if name == "models" else f"{line}: {name}"
