"""What a started process and those that it starts may import."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gapcast.launching import module_command, safe_environment

SHOWS = """
import json, subprocess, sys
print(json.__file__, flush=True)
if sys.argv[1:]:
    subprocess.run([sys.executable, "-m", "shows"], check=True)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a module that nobody means."""
    folder = tmp_path / "here"
    (folder / "below").mkdir(parents=True)
    for place in (folder, folder / "below"):
        (place / "json.py").touch()
    return folder


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """Another, with the module that is started."""
    folder = tmp_path / "away"
    folder.mkdir()
    (folder / "shows.py").write_text(SHOWS)
    return folder


def shown(command: list[str], environment: dict[str, str], here: Path) -> list[str]:
    done = subprocess.run(command, env=environment, cwd=here, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()


def test_a_module_imports_nothing_from_the_current_folder(here: Path, away: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(away)}
    assert shown(module_command("shows"), environment, here) == [json.__file__]


def test_nor_do_the_processes_that_it_starts(here: Path, away: Path) -> None:
    path = os.pathsep.join(["", "below", ".", str(away)])
    environment = safe_environment(os.environ | {"PYTHONPATH": path})
    assert shown(module_command("shows", "twice"), environment, here) == [json.__file__] * 2


def test_the_rest_of_an_environment_stays() -> None:
    assert safe_environment({"PATH": "bin"}) == {"PATH": "bin", "PYTHONSAFEPATH": "1", "PYTHONPATH": ""}
