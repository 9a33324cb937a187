# ruff: noqa: E501 - one program a line
"""Inputs on which scores of programs were wrong, each with the right value; and what a program cannot forge."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gapcast.contract.problems import PythonTestsVerifier, TestCase, test_fault
from gapcast.contract.test_code import MODULES, STARRED, USUAL
from workers.failures import JobError
from workers.tasks.code_blocks import extract_code
from workers.tasks.protocol import Problem, Split, Verdict
from workers.tasks.python_tests import reference_fault, verify_python
from workers.tasks.sandbox import preload

SPEC = PythonTestsVerifier(seconds=60, memory_mb=128)
ADDS = "a, b = map(int, input().split())\nprint(a + b)\n"
ADD_TEST = {"input": "2 3\n", "output": "5\n"}


def verify(code: str, *tests: dict[str, str] | str, fn: str | None = None, **changes: object) -> Verdict:
    return verify_python(code, tests, fn, SPEC.model_copy(update=changes))


@pytest.mark.parametrize(
    "completion",
    [
        "1. Code:\n   ```python\n   a, b = map(int, input().split())\n   print(a + b)\n   ```",
        f"Code: ```python\n{ADDS}```",
        f"```\n{ADDS}```\nRun:\n```bash\npython a.py\n```",
        f"````python\n{ADDS}````",
        f"````markdown\n```\n````\n```python\n{ADDS}```",
        f"~~~python\n{ADDS}~~~",
        f"- ```py\n  {ADDS.replace(chr(10), chr(10) + '  ')}\n  ```",
        f"```python\r\n{ADDS}```\r\n",
        f"```Python 3\n{ADDS}",
    ],
)
def test_which_block_is_the_program(completion: str) -> None:
    assert verify(completion, ADD_TEST).score == 1.0, extract_code(completion)


def test_of_several_blocks_the_one_that_defines_the_function_is_the_program() -> None:
    completion = "```python\ndef f(x): return x + 1\n```\nFor example:\n```python\nprint(f(1))\n```"
    assert extract_code(completion, "f") == "def f(x): return x + 1\n"
    assert extract_code(completion) == "print(f(1))\n"


@pytest.mark.parametrize(
    ("test", "fn", "told"),
    [
        ("def check(candidate):\n    assert candidate(2) == 4", None, "`check(candidate)` in line 1 and does not call it. Name the program's function in fn_name"),
        ("def helper():\n    assert f() == 1", None, "does not run an `assert`"),
        ("x = f()", None, "does not run an `assert`"),
        ("try:\n    f()\nexcept ValueError:\n    pass", None, "does not run an `assert`"),
        ("assert True", None, "does not use a name of the program"),
        ("assert sum(1, 2) == 3", None, "`sum` is Python's own: name it in fn_name"),
        ("import numpy as np\nassert (f() == np.zeros(2)).all()", None, "imports numpy in line 1. The sandbox has Python's standard library"),
        ("x = 1\nassert np.allclose(f(), [0, 0])", None, "uses `np` in line 2, which it does not define"),
        ("import pytest\ndef test_f():\n    with pytest.raises(ValueError): f()", None, "imports pytest in line 1"),
        ("from solution import f\nassert f() == 1", None, "imports solution in line 1. The sandbox has Python's standard library and the program's names"),
        ("def test_f(tmp_path):\n    assert f(tmp_path) == 1", None, "has `test_f` in line 1, which takes `tmp_path`"),
        ("async def test_f():\n    assert await f() == 1", None, "is asynchronous"),
        ("assert f(2) == sqrt(4)", None, "uses `sqrt` in line 1, which may be Python's or the program's"),
        ("assert (", None, "is not Python"),
    ],
)  # fmt: skip
def test_a_test_that_cannot_hold_is_refused_with_its_line(test: str, fn: str | None, told: str) -> None:
    assert told in str(test_fault(test, fn))
    with pytest.raises(JobError, match="Test 1 of the problem") as error:
        verify("def f(): return 1", test, fn=fn)
    assert error.value.code == "test_invalid"
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("test", "fn", "right", "wrong"),
    [
        ("def test_f():\n    assert f() == 1", None, "def f(): return 1", "x = 1"),
        ("def check(candidate):\n    assert candidate(2) == 4", "square", "def square(x): return x * x", "x = 1"),
        ("METADATA = {}\n\ndef check(candidate):\n    assert candidate(2) == 4\n\ncheck(square)\n", "square", "def square(x): return x * x", "def square(x): return x"),
        ("assert sum(1, 2) == 3", "sum", "def sum(a, b): return a + b", "def sum(a, b): return a"),
        ("assert gcd(4, 6) == 2", None, "def gcd(a, b): return 2", "def gcd(a, b): return 1"),
        ("assert f(lambda v: v + 1, 1) == 2", None, "def f(g, x): return g(x)", "def f(g, x): return x"),
        ("assert f(4) == sqrt(16)", "f", "def f(x): return x", "def f(x): return -x"),
        ("try:\n    import numpy\nexcept ImportError:\n    numpy = None\nassert f(2) == 3", None, "def f(x): return 3", "def f(x): return 2"),
        ("for x in f(3):\n    assert x > 0", None, "def f(n): return [1, 2]", "def f(n): return []"),
    ],
)  # fmt: skip
def test_tests_that_nothing_calls_are_called(test: str, fn: str | None, right: str, wrong: str) -> None:
    assert test_fault(test, fn) is None
    assert verify(right, test, fn=fn).score == 1.0
    assert verify(wrong, test, fn=fn).score == 0.0


@pytest.mark.parametrize(
    ("output", "printed", "same"),
    [
        ("0.333333333", "print(1/3)", True),
        ("0.333", "print(1/3)", False),
        ("1000000.0", "print(1000000.5)", True),
        ("1000000", "print(1000001)", False),
        ("case 1: 0.30", "print('case 1:', 0.1 + 0.2)", True),
        ("case 1: 0.30", "print('case 2:', 0.1 + 0.2)", False),
        ("1e400", "print('1e401')", False),
        ("nan", "print('0.0')", False),
        ("0", "print(1e-9)", True),
    ],
)
def test_printed_decimals_may_have_a_tolerance(output: str, printed: str, same: bool) -> None:
    case = {"input": "", "output": output}
    assert verify(printed, case, float_tolerance=1e-6).success is same
    assert not verify(printed, case).success


@pytest.mark.parametrize(
    ("output", "returned", "same"),
    [
        ("0.3", "0.1 + 0.2", True),
        ("[0.3, {\"a\": [1]}]", "[0.1 + 0.2, {'a': [1]}]", True),
        ("[0.3, {\"a\": [1]}]", "[0.1 + 0.2, {'a': [2]}]", False),
        ("[0.3]", "[0.1 + 0.2, 0.3]", False),
        ("1000000", "1000001", False),
        ("\"0.3\"", "'0.30000000000000004'", False),
        ("0.3", "10 ** 400", False),
        ("0.3", "float('nan')", False),
    ],
)  # fmt: skip
def test_returned_decimals_may_have_a_tolerance(output: str, returned: str, same: bool) -> None:
    case = {"input": "", "output": output, "testtype": "functional"}
    assert verify(f"def f(): return {returned}", case, fn="f", float_tolerance=1e-6).success is same
    assert not verify(f"def f(): return {returned}", case, fn="f").success


FORGED = {
    "a difference": ("class V:\n  def __sub__(s, o): return 0.0\n  def __abs__(s): return 0.0\n  __rsub__ = __sub__\ndef f(*a): return V()", "assert abs(f(20) - 6765.0) < 1e-9"),
    "a difference that is kept": ("class V:\n  def __sub__(s, o): return V()\n  def __abs__(s): return 0.0\n  def __float__(s): return 0.0\n  def __lt__(s, o): return True\n  def __bool__(s): return False\ndef f(*a): return V()", "d = f(20) - 6765.0\nassert abs(d) < 1e-9 or float(d) == 0 or d < 1e-9 or not d"),
    "an order": ("class V:\n  __lt__ = __gt__ = __le__ = __ge__ = lambda s, o: True\ndef f(*a): return V()", "assert 6764 < f(20) < 6766"),
    "a class in place of a function": ("class Fib:\n  def __init__(s, n): pass\n  def __sub__(s, o): return 0.0\n  def __abs__(s): return 0.0\n  __lt__ = lambda s, o: True", "assert abs(Fib(20) - 6765.0) < 1e-9"),
    "a class whose difference is an object": ("class Fib:\n  def __init__(s, *n): pass\n  def __sub__(s, o): return Fib()\n  def __abs__(s): return 0.0\n  def __float__(s): return 0.0\n  def __round__(s, n=0): return 0.0\n  __lt__ = lambda s, o: True", "d = Fib(20) - 6765.0\nassert abs(d) < 1e-9 or round(d, 3) == 0 or float(d) == 0 or not d or d < 1e-9"),
    "a whole number of its own kind": ("class I(int):\n  __eq__ = __lt__ = __gt__ = lambda s, o: True\n  __hash__ = int.__hash__\n  def __sub__(s, o): return 0\ndef f(*a): return I(1)", "assert f(20) == 6765 or f(20) > 6765 or abs(f(20) - 6765) < 1"),
    "a list of its own kind": ("class L(list):\n  __eq__ = __contains__ = __lt__ = __gt__ = lambda s, o: True\ndef f(*a): return L([1])", "assert f(20) == [6765] or 6765 in f(20) or f(20) > [6765] or [6765] == f(20)"),
    "a counter": ("class Counter:\n  def __init__(s, *a): pass\n  def __eq__(s, o): return True\ndef f(s): return s", "assert Counter(f('ab')) == Counter('cd')"),
    "a counter from a function": ("def Counter(x): return 5\ndef f(s): return s", "assert Counter(f('ab')) == Counter('cd')"),
    "isclose": ("class math:\n  isclose = staticmethod(lambda *a, **k: True)\ndef isclose(*a): return True\ndef f(x): return x", "assert math.isclose(f(20), 6765)"),
    "a context that swallows": ("class T:\n  def __enter__(s): return s\n  def __exit__(s, *a): return True\ndef timer(): return T()\ndef f(x): return x", "with timer():\n    assert f(20) == 6765\nassert f(0) == 0"),
    "a context that swallows errors": ("class T:\n  def __enter__(s): return s\n  def __exit__(s, *a): return True\ndef timer(): return T()\ndef f(x): return None", "with timer():\n    assert f(20)[0] == 6765"),
    "a callback that swallows": ("def each(xs, g):\n  for x in xs:\n    try: g(x)\n    except BaseException: pass", "def g(x):\n    assert x == 6765\neach([1], g)\nassert each([], g) is None"),
    "a skipped test": ("import unittest\ndef f(x): raise unittest.SkipTest('no')", "import unittest\nclass T(unittest.TestCase):\n    def test_f(self): self.assertEqual(f(20), 6765)"),
    "an end": ("def f(x): raise SystemExit(0)", "import unittest\nclass T(unittest.TestCase):\n    def test_f(self): self.assertEqual(f(20), 6765)"),
    "an exception of its own": ("class X(AssertionError): pass\ndef f(x): raise X()", "def test_f():\n    assert f(20) == 6765"),
    "an exception that claims to be expected": ("class V(Exception): pass\nV.__name__ = 'ValueError'; V.__module__ = 'builtins'\ndef f(x): raise V()", "try:\n    f(20)\nexcept ValueError:\n    pass\nelse:\n    assert False"),
    "the test's own function": ("def f(g):\n  g.__globals__['secret'] = 1\n  return 1", "secret = 6765\ndef g(x): return x\nassert f(g) == 6765 or secret == 1"),
    "the test's own object": ("def f(node):\n  node.__class__.__eq__ = lambda *a: True\n  return node.__dict__", "class Node:\n    def __init__(self): self._value = 6765\nassert f(Node()) == {'_value': 6765}"),
    "the frame of a generator": ("def f(g):\n  g.gi_frame.f_globals['secret'] = 1\n  return 1", "secret = 6765\nassert f(x for x in [1]) == 6765 or secret == 1"),
    "a function that was not handed over": ("import os\ndef f(x): os.write(3, b'{\"value\": {\"global\": [\"builtins\", \"eval\"]}}\\n' * 2)", "assert f(1)('6765') == 6765"),
    "an object that was not handed over": ("import os\ndef f(x): os.write(3, b'{\"value\": {\"given\": [0, \"x\"]}}\\n' * 2)", "assert f(1) == 6765"),
    "isinstance": ("class Meta(type):\n  __instancecheck__ = lambda c, o: True\nclass Shape(metaclass=Meta): pass\ndef f(x): return 5", "assert isinstance(f(1), Shape)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_nothing_is_forged(name: str) -> None:
    code, test = FORGED[name]
    verdict = verify(code, test)
    assert verdict.score == 0.0
    assert not verdict.failures or "in time" not in verdict.failures[0].got


def test_a_reference_solution_that_its_tests_do_not_hold_for_is_told_with_the_line() -> None:
    def told(solution: str, *tests: str) -> str | None:
        problem = Problem(id="1", split=Split.train, prompt="x", tests=tests, reference_solution=solution)
        return reference_fault(problem, SPEC)

    assert told("def f(): return 1", "assert f() == 1") is None
    fault = told("def f(): return 1", "assert f() == 1", "x = 2\nassert f() == x")
    assert fault is not None
    assert fault.startswith(
        "test 2, line 2, `assert f() == x`: expected it to hold for the reference solution, got 1 from f()."
    )
    fault = told("class Bag:\n  def __contains__(s, x): return True", "b = Bag()\nassert 5 in b")
    assert fault is not None
    assert "test 1, line 2, `assert 5 in b`" in fault
    assert "imports numpy in line 1" in str(told("def f(): return 1", "import numpy\nassert f() == 1"))
    assert "imports what the sandbox does not have, in line 1" in str(told("f = 1", "import ssl\nassert f == 1"))


def test_hidden_tests_of_megabytes_fit() -> None:
    numbers = " ".join(["123456"] * 200_000)
    case = TestCase(input=numbers, output=numbers)
    assert len(case.input) > 1_390_000
    echo = "print(*map(int, input().split()))"
    assert verify(echo, case.model_dump(), memory_mb=256).score == 1.0
    listed = f"[{numbers.replace(' ', ', ')}]"
    functional = {"input": listed, "output": listed, "testtype": "functional"}
    assert verify("def f(x): return x", functional, fn="f", memory_mb=256).score == 1.0
    assert "wrote more" in verify("print('x' * 10_000_000)", case.model_dump(), memory_mb=256).failures[0].got


BUSY = "import time\nwhile time.process_time() < {}: pass\nprint('S')"


def side_by_side(seconds: float, limit: float) -> list[float]:
    """The scores of eight programs, verified at a time, while as many threads as there are use the processors, too."""
    stop = threading.Event()
    load = [threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)]) for _ in range(4)]
    for thread in load:
        thread.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            code = BUSY.format(seconds)
            case = {"input": "N", "output": "S"}
            return list(pool.map(lambda _: verify(code, case, seconds=limit).score, range(8)))
    finally:
        stop.set()
        for thread in load:
            thread.join()


@pytest.mark.slow
def test_a_loaded_machine_changes_no_verdict() -> None:
    started = time.monotonic()
    assert side_by_side(0.2, 0.5) == [1.0] * 8
    assert side_by_side(0.8, 0.5) == [0.0] * 8
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_eight_programs_of_four_seconds_each_are_right() -> None:
    assert side_by_side(4, 10) == [1.0] * 8


def test_the_names_that_tests_have_at_hand_are_those_of_the_sandbox() -> None:
    assert {*preload.COMMON, *preload.OTHERS} == MODULES
    assert preload.STARRED == STARRED
    assert {*preload.generous_builtins()} >= USUAL
