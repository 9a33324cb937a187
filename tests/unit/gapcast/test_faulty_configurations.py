"""The text that a user reads when a configuration or a command is wrong: `faulty_configurations.txt`, run for real.

To add a case, write its command and its files into the text, run these tests with WRITE_FAULTS=1, and read what they
wrote. A case is a title, a command, files, and all that the command prints:

    === a mistyped field
    $ gapcast predict config.yaml
    --- config.yaml
    modle: lab/addition-qwen3-s
    --- exit code 2
    config.yaml:1: modle: is not a known field. Did you mean model?
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from gapcast.cli.main import app
from tests.support.product import serving

SNAPSHOT = Path(__file__).with_name("faulty_configurations.txt")
FOREIGN = (
    "Input should",
    "Extra inputs",
    "Field required",
    "value_error",
    "Value error",
    "valid dictionary",
    "pydantic",
)


class Case(NamedTuple):
    title: str
    command: str
    files: dict[str, str]
    code: int
    printed: str

    def __str__(self) -> str:
        files = "".join(f"--- {name}\n{content}" for name, content in self.files.items())
        return f"=== {self.title}\n$ {self.command}\n{files}--- exit code {self.code}\n{self.printed}"


def cases() -> list[Case]:
    read = []
    for block in re.split(r"^=== ", SNAPSHOT.read_text(), flags=re.M)[1:]:
        (title, command), *parts = (
            part.split("\n", 1) for part in re.split(r"^--- ", block.rstrip("\n") + "\n", flags=re.M)
        )
        (end, printed) = parts.pop() if parts and parts[-1][0].startswith("exit code") else ("exit code 0", "")
        read.append(Case(title, command.strip().removeprefix("$ "), dict(parts), int(end.rpartition(" ")[2]), printed))
    return read


CASES = cases()


def run(case: Case, folder: Path) -> Case:
    for name, content in case.files.items():
        (folder / name).write_text(content)
    _, *words = shlex.split(case.command)
    sent = None
    if "<" in words:
        at = words.index("<")
        sent = case.files[words[at + 1]]
        words = words[:at]
    done = CliRunner().invoke(app, words, input=sent)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return case._replace(code=done.exit_code, printed=done.output)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own: answers list the tasks and pools, and other tests add theirs."""
    with serving(tmp_path_factory.mktemp("untouched"), {"GAPCAST_WORKER": "off"}) as (client, _):
        yield client.url


@pytest.mark.parametrize("title", [case.title for case in CASES])
def test_the_user_reads(untouched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    monkeypatch.setenv("GAPCAST_URL", untouched)
    monkeypatch.chdir(tmp_path)
    (case,) = (case for case in CASES if case.title == title)
    printed = run(case, tmp_path)
    if "WRITE_FAULTS" in os.environ:
        SNAPSHOT.write_text("\n".join(str(printed if one.title == title else one) for one in cases()))
    assert str(printed) == str(case)


def test_there_are_many_and_none_speaks_of_pydantic() -> None:
    assert len(CASES) >= 20
    assert len({case.title for case in CASES}) == len(CASES)
    text = SNAPSHOT.read_text()
    assert [words for words in FOREIGN if words in text] == []
