"""The sandbox is tried out before it is trusted, and nothing runs where it lacks a protection."""

import json
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from gapcast.contract.problems import PythonTestsVerifier
from workers.tasks import sandbox
from workers.tasks.python_tests import verify_python
from workers.tasks.sandbox.probe import MEANING, protections
from workers.tasks.sandbox.seccomp import MACHINES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]

OPTIONS = {"kind", "seconds", "test_seconds", "memory_mb", "partial", "float_tolerance"}

LACKING = """
import ctypes, json, os, sys
from gapcast.contract.problems import PythonTestsVerifier
from workers.failures import JobError
from workers.tasks.python_tests import verify_python
from workers.tasks.sandbox import seccomp
def attempt(number, argument, answer):
    checks = [] if argument is None else [(0x20, 0, 0, 16), (0x15, 0, 1, argument)]
    filter_ = [(0x20, 0, 0, 0), (0x15, 0, 1 + len(checks), number), *checks]
    filter_ += [(6, 0, 0, 0x50000 | answer), (6, 0, 0, 0x7FFF0000)]
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    seccomp.install(filter_)
    try:
        said = verify_python("print(1)", [{"input": "", "output": "1"}], None, PythonTestsVerifier())
    except JobError as error:
        said = error.as_dict()
    print(json.dumps(str(said)), flush=True)
for call in json.loads(sys.argv[1]):
    child = os.fork()  # a filter cannot be taken off again, and importing all this takes longer than the rest
    if child == 0:
        try:
            attempt(*call)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""

CALLS = {  # name: x86_64, aarch64, first argument, what the reason says
    "unshare": (272, 97, None, "namespaces: unshare of user"),
    "landlock_create_ruleset": (444, 444, None, "landlock: landlock_create_ruleset failed"),
    "landlock_add_rule": (445, 445, None, "landlock: landlock_add_rule"),
    "landlock_restrict_self": (446, 446, None, "landlock: landlock_restrict_self failed"),
    "chroot": (161, 51, None, "chroot: "),
    "capset": (126, 91, None, "capabilities: capset failed"),
    "no_new_privs": (157, 167, 38, "no_new_privs: "),
    "seccomp": (157, 167, 22, "PR_SET_SECCOMP"),
    "prlimit64": (302, 261, None, "the program was not run"),
    "reboot": (169, 142, None, ""),  # nobody needs it
}
HARMLESS = {"landlock_add_rule", "no_new_privs", "reboot"}
"""Nothing is lacking where these succeed and do nothing."""


ATTEMPTS = [(name, 1) for name in CALLS] + [(name, 0) for name in sorted(CALLS.keys() - HARMLESS)]


@cache
def machines() -> dict[tuple[str, int], str]:
    """What is said where one system call answers with this error number (0: it succeeds and does nothing)."""
    column = MACHINES[platform.machine()][1]
    calls = [[CALLS[name][column], CALLS[name][2], answer] for name, answer in ATTEMPTS]
    ended = subprocess.run(
        [sys.executable, "-c", LACKING, json.dumps(calls)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(zip(ATTEMPTS, map(json.loads, ended.stdout.splitlines()), strict=True))


def on_a_machine_that(name: str, answer: int) -> str:
    return machines()[name, answer]


def test_this_machine_has_every_protection() -> None:
    assert sandbox.check() is None
    found = {protection.name: protection.holds for protection in protections()}
    assert found == dict.fromkeys(MEANING, True)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"reboot"}))
def test_nothing_runs_where_the_kernel_refuses(name: str) -> None:
    said = on_a_machine_that(name, 1)
    assert "'code': 'sandbox_unavailable'" in said
    assert "'category': 'server'" in said
    assert "docs/sandbox.md" in said
    assert "score" not in said
    assert CALLS[name][3] in said


@pytest.mark.parametrize("name", sorted(CALLS.keys() - HARMLESS))
def test_nothing_runs_where_the_kernel_says_yes_and_does_nothing(name: str) -> None:
    """As under an emulated kernel: each protection is looked at, not only asked for.

    Not the two of which nothing is missing then: without its rules Landlock allows less, and whoever installs a filter
    to try this out has to set no_new_privs himself.
    """
    assert "'code': 'sandbox_unavailable'" in on_a_machine_that(name, 0)


def test_a_program_without_its_filter_is_seen_at_once_and_does_not_stop_itself() -> None:
    assert "no second process" in on_a_machine_that("seccomp", 0)


def test_the_way_of_trying_this_out_is_not_itself_what_fails() -> None:
    assert "score=1.0" in on_a_machine_that("reboot", 1)


def test_the_verifier_has_no_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about a verifier or the environment switches the sandbox off."""
    assert set(PythonTestsVerifier.model_fields) == OPTIONS
    for name in ("GAPCAST_SANDBOX", "GAPCAST_NO_SANDBOX", "GAPCAST_UNSAFE"):
        monkeypatch.setenv(name, "off")
    answer = verify_python("import os; os.fork()", [{"input": "", "output": ""}], None, PythonTestsVerifier())
    assert answer.score == 0.0
    assert "PermissionError" in answer.failures[0].got


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to become somebody else")
def test_an_ordinary_user_has_every_protection_too() -> None:
    """Another user, who may still walk into the folder where Python is, but has no power over processes or mounts."""
    ended = subprocess.run(
        [
            *("setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"),
            *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
            *(sys.executable, "-B", "-m", "workers.tasks.sandbox"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [["yes", name] for name in MEANING]
