"""Whatever way a test fails, the feedback without `show_expected` does not hold what is expected."""

import json

import pytest

from gapcast.contract.contexts import FeedbackOptions
from gapcast.contract.problems import PythonTestsVerifier
from workers.contexts.feedback import feedback_text
from workers.tasks.python_tests import verify_python

pytestmark = pytest.mark.slow

NEEDLE = "987654"

ASSERTIONS = [
    "assert f(3) == 987654",
    "assert 987654 == f(3)",
    "assert f(3) == 987654, 'it is 987654'",
    "assert f(3) > 987654, 'it is 987654'",
    "assert not f(3) != 987654",
    "assert abs(f(3) - 987654) < 1e-9",
    "assert f(3) - 987654 == 0",
    "assert (f(3) == 987654) == True",
    "assert (f(3), 987654) == (987654, 987654)",
    "assert max([f(3)], [987654]) == 0",
    "assert f(3) in (987654,)",
    "assert {987654: 1}[f(3)]",
    "assert ['987654'].index(f(3)) == 0",
    "assert int('987654x' if f(3) else '987654y')",
    "import math\nassert math.isclose(f(3), 987654)",
    "x = f(3)\nassert x == 987654",
    "x = [f(3)]\nx.append(987654)\nassert x == [987654, 987654]",
    "x = 987654\nassert f(3) == x, x",
    "def check(candidate):\n    assert candidate(3) == 987654\ncheck(f)",
    "def check(expected, got):\n    assert expected == got, expected\ncheck(987654, f(3))",
    "raise ValueError(f'{f(3)}, not 987654')",
    "if f(3) != 987654: raise SystemExit('it is 987654')",
    "assert f(3)[0] == 987654",
    "assert f(3).value == 987654",
    "assert f(3) == f(4) + 987654 == 987654",
]
TESTS = [
    *ASSERTIONS,
    {"input": "3", "output": NEEDLE, "testtype": "functional"},
    {"input": "3", "output": NEEDLE, "testtype": "stdin"},
]

PROGRAMS = {
    "wrong": "def f(x): return x\nprint(1)",
    "none": "def f(x): return None",
    "text": "def f(x): return '98765'",
    "an object": "class O:\n  value = 1\n  def __getitem__(self, i): return i\ndef f(x): return O()",
    "a generator": "def f(x): yield x",
    "an endless representation": "class O:\n  def __repr__(self):\n    while True: pass\ndef f(x): return O()",
    "raises": "def f(x): raise ValueError(x)\nraise_at = 1",
    "raises at once": "raise ValueError('no')",
    "exits": "import sys\ndef f(x): sys.exit(0)",
    "exits at once": "import sys\nsys.exit(0)",
    "is gone": "import os\ndef f(x): os._exit(0)",
    "no function": "def g(x): return x",
    "no callable": "f = 5",
    "other arguments": "def f(): return 5",
    "memory": "def f(x): return bytearray(1 << 30)",
    "hangs": "import time\ndef f(x): time.sleep(60)\nif __name__ == '__main__': f(1)",
    "hangs at once": "while True: pass",
    "does not compile": "def f(:",
    "nonsense": "import os\ndef f(x): os.write(3, b'nonsense\\n'); os._exit(1)",
}
EVERY_FORM = {"wrong", "raises"}
KILLED = {"an endless representation", "hangs", "hangs at once"}
"""Each failure takes a new sandbox."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_feedback_does_not_hold_what_is_expected(name: str) -> None:
    step = 1 if name in EVERY_FORM else 12 if name in KILLED else 4
    tests = ASSERTIONS[::step] + TESTS[-2:]
    spec = PythonTestsVerifier(seconds=0.2 if name in KILLED else 60, memory_mb=128, partial=True)
    verdict = verify_python(PROGRAMS[name], tests, "f", spec)
    assert verdict.score < 1
    if name == "does not compile":
        assert not verdict.failures
        return
    assert len(verdict.failures) == len(tests)
    shown = FeedbackOptions.model_construct(max_cases=99, show_expected=False)
    assert NEEDLE not in feedback_text(verdict, shown)
    for case in verdict.failures:
        assert NEEDLE in case.expected
        assert NEEDLE not in json.dumps([case.input, case.got])


def test_a_call_that_has_no_result_is_told() -> None:
    spec = PythonTestsVerifier(seconds=0.5)
    (case,) = verify_python("def f(x):\n  while x: pass", [ASSERTIONS[0]], None, spec).failures
    assert (case.input, case.expected) == ("f(3)", ASSERTIONS[0])
    assert "in time" in case.got
