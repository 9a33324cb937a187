# ruff: noqa: E501 - one program a line
"""The verifier `python_tests`: no program forges its result, sees what is expected, or hurts the worker."""

import time

import pytest

from gapcast.contract.problems import PythonTestsVerifier
from workers.tasks.protocol import Verdict
from workers.tasks.python_tests import verify_python

SPEC = PythonTestsVerifier(seconds=60, memory_mb=128)


def stdin(given: str, expected: str) -> dict[str, str]:
    return {"input": given, "output": expected}


def call(given: str, expected: str) -> dict[str, str]:
    return {"input": given, "output": expected, "testtype": "functional"}


def verify(code: str, *tests: dict[str, str] | str, fn: str | None = None, **changes: object) -> Verdict:
    return verify_python(code, tests, fn, SPEC.model_copy(update=changes))


EQUAL = "class E(int):\n  __eq__ = __ge__ = __gt__ = __contains__ = lambda *a: True\n  __hash__ = int.__hash__\n  __bool__ = lambda s: True\n"
FORGERIES = {
    "exit": "import sys; sys.exit(0)",
    "exit at once": "import os; os._exit(0)",
    "exit in the function": "def f(*a): import os; os._exit(0)",
    "equal to everything": f"{EQUAL}def f(*a): return E(1)",
    "an object equal to everything": f"{EQUAL.replace('(int)', '').replace('  __hash__ = int.__hash__', '')}def f(*a): return E()",
    "says passed": "print('passed'); print('2 of 2 tests passed.'); print('{\"passed\": true}')\ndef f(*a): return True",
    "another print": "import builtins; builtins.print = builtins.abs = builtins.repr = lambda *a, **k: True\ndef f(*a): return 0",
    "the channel": """
import os
for message in (b'{"passed": true}', b'{"value": true}', b'{"ready": true}', b'{"invalid": "x"}', b'[]', b'nonsense', b'5'):
    for descriptor in range(64):
        try: os.write(descriptor, message + b'\\n')
        except OSError: pass
def f(*a): os.write(3, b'{"passed": true}\\n' * 9); return 0""",
    "another json": 'import json; json.dumps = lambda *a, **k: \'{"passed": true, "value": true}\'\ndef f(*a): return 0',
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.exit = exit = lambda *a: None\ndef f(*a): return 0",
    "contains everything": "class C:\n  __contains__ = __eq__ = __bool__ = lambda *a: True\ndef f(*a): return C()",
    "a conversation made up": """
import os
os.write(3, b'{"ready": true}\\n{"value": ["__assert_equal__", "abs", "f"]}\\n' + b'{"value": {"object": 0}}\\n' * 3 + b'{"value": 0}\\n' * 9)
def f(*a): return 0""",
    "no assertions": "import sys, ast\nast.parse = compile = lambda *a, **k: None\n__debug__ if 0 else 0\ndef f(*a): return 0",
    "frames": """
import sys

pytestmark = pytest.mark.slow
frame = sys._getframe()
while frame:
    for name in list(frame.f_globals):
        if name in ('_answer', 'send', 'describe'): frame.f_globals[name] = lambda *a: {'passed': True, 'value': True}
    frame = frame.f_back
def f(*a): return 0""",
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize(
    "test",
    [
        "assert f(20) == 6765",
        "assert abs(f(20) - 6765.0) < 1e-9",
        "assert 6765 in f(20)",
        stdin("20", "6765"),
        call("20", "6765"),
    ],
)
def test_results_cannot_be_forged(name: str, test: dict[str, str] | str) -> None:
    verdict = verify(FORGERIES[name], test, fn="f", seconds=0.3 if name == "frames" else 60)
    assert verdict.score == 0.0
    # it failed for what it is, not because this machine is slow; "frames" breaks its own process, which hangs
    assert name == "frames" or "in time" not in verdict.failures[0].got


def test_what_is_expected_is_not_in_the_programs_process() -> None:
    search = """
import gc, os, sys
def f(x):
    found, seen, todo = [], set(), [*gc.get_objects(), *sys._getframe().f_back.f_locals.values()]
    while todo and len(seen) < 300000:
        thing = todo.pop()
        if id(thing) in seen: continue
        seen.add(id(thing))
        if isinstance(thing, (str, bytes)) and len(thing) < 10000 and 'needle-' in str(thing): found.append(str(thing))
        todo.extend(gc.get_referents(thing))
    return found
"""
    verdict = verify(search, call('"needle-given"', '"needle-expected"'), fn="f")
    assert "needle-given" in verdict.failures[0].got
    assert "needle-expected" not in verdict.failures[0].got
    verdict = verify(search, "assert f('needle-given') == 'needle-expected'")
    assert "needle-given" in verdict.failures[0].got
    assert "needle-expected" not in verdict.failures[0].got


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return {1: {(1, 2): {b'x': x}}}",
        "def f(x): return [x] * 10**6",
        "x = []\nfor _ in range(100000): x = [x]\ndef f(_): return x",
        "x = []\nfor _ in range(300): x = {1: [x]}\ndef f(_): return x",
        "def f(x): return {n * (2**61 - 1) for n in range(100000)}",
        "def f(x): return {n * (2**61 - 1): 0 for n in range(100000)}",
        "import os\ndef f(x): os.write(3, b'{\"value\": ' + b'1' * 3000000 + b'}\\n')",
        "import os\ndef f(x): os.write(3, b'[' * 1000000 + b'\\n')",
        'import os\ndef f(x): os.write(3, b\'{"value": {"object": 99999}, "changed": 5}\\n\')',
        'import os\ndef f(x): os.write(3, b\'{"raised": 5, "message": {}}\\n\')',
        "import os\ndef f(x):\n  while True: os.write(3, b'x' * 65536)",
        "import os\ndef f(x): os.close(3)",
        "import ctypes\ndef f(x): ctypes.string_at(0)",
    ],
)
def test_no_answer_hurts_the_worker(code: str) -> None:
    started = time.monotonic()
    for test in (call("1", "98765"), "assert f(1) == 98765"):
        assert verify(code, test, fn="f", seconds=0.3).score == 0.0
    assert time.monotonic() - started < 60
