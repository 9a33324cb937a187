# ruff: noqa: E501 - one program a line
"""The verifier `python_tests`: what passes, what a failure says, and what cannot be forged."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gapcast.contract.problems import PythonTestsVerifier
from workers.failures import JobError
from workers.tasks.code_blocks import extract_code
from workers.tasks.protocol import Verdict
from workers.tasks.python_tests import verify_python

SPEC = PythonTestsVerifier(seconds=60, memory_mb=128)


def stdin(given: str, expected: str) -> dict[str, str]:
    return {"input": given, "output": expected}


def call(given: str, expected: str) -> dict[str, str]:
    return {"input": given, "output": expected, "testtype": "functional"}


def verify(code: str, *tests: dict[str, str] | str, fn: str | None = None, **changes: object) -> Verdict:
    return verify_python(code, tests, fn, SPEC.model_copy(update=changes))


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        ("print(1)", "print(1)"),
        ("Well:\n```python\na\n```\nor\n```python\nb\n```\nend", "b\n"),
        ("```python\na\n```\n```\nb\n```\nIt prints:\n```text\n5\n```", "a\n"),
        ("```\na\n```\n```\nb\n```", "b\n"),
        ("```py\na\n```", "a\n"),
        ("text\n```python\nfor x in y:\n    z", "for x in y:\n    z"),
        ("  ```Python3\n  a\n  ```", "a\n"),
        ("x = '```'", "x = '```'"),
    ],
)
def test_the_code_of_a_completion(completion: str, code: str) -> None:
    assert extract_code(completion) == code


def test_programs_are_compared_by_what_they_print() -> None:
    double = "```python\nprint(2 * int(input()))\n```"
    assert verify(double, stdin("2\n", "4\n"), stdin("3", " 6 \n\n")) == Verdict(1.0, "2 of 2 tests passed.")
    failed = verify(double, stdin("2", "4"), stdin("3", "7"), stdin("4", "8"))
    assert failed.score == 0.0
    assert failed.note == "Test 2 of 3 failed; those before it passed, those after it were not run."
    (case,) = failed.failures
    assert (case.input, case.expected, case.got) == ("3", "7", "6\n")


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("1 2", "1  2", True),
        ("1.0", "1", True),
        ("1e3", "1000", True),
        ("0.30000000000000004", "0.3", False),
        ("a  b", "a b", False),
        ("a ", "a", True),
        ("a\n\nb", "a\nb", False),
        ("Yes", "yes", False),
        ("1" * 5000, "1" * 5000, True),
        ("1" * 5000, "1" * 4999 + "2", False),
        ("nan", "nan", True),
        ("", "", True),
        ("x", "", False),
    ],
)
def test_how_printed_texts_are_compared(printed: str, expected: str, same: bool) -> None:
    assert verify(f"print({printed!r})", stdin("", expected)).success is same


@pytest.mark.parametrize(
    ("code", "given", "expected", "same"),
    [
        ("def f(a, b): return a + b", "1\n2", "3", True),
        ("def f(a): return tuple(a)", "[1, [2]]", "[1, [2]]", True),
        (
            "class Solution:\n  def f(self, a: List[int]) -> Optional[int]: return max(a, default=None)",
            "[]",
            "null",
            True,
        ),
        ("class Solution:\n  def f(self, a): return Counter(a)", '"aab"', '{"a": 2, "b": 1}', True),
        ("def f(a): return {1: a}", "5", '{"1": 5}', True),
        ("def f(a): return a * 10**5000", "7", "7" + "0" * 5000, True),
        ("def f(a): return a * 10**5000 + 1", "7", "7" + "0" * 5000, False),
        ("def f(a): return float('inf')", "5", "Infinity", True),
        ("def f(a): return '\\ud800' + a", '"x"', '"\\ud800x"', True),
        ("def f(a): return str(a)", "5", "5", False),
        ("def f(a): return {a}", "5", "[5]", False),
        ("def f(a): return map(str, [a])", "5", '["5"]', False),
        ("def f(a): print('5'); return None", "5", "5", False),
        ("def g(a): return a", "5", "5", False),
        ("def f(a): raise ValueError('no')", "5", "5", False),
        ("if __name__ == '__main__': input()\ndef f(a): return a", "5", "5", True),
        ("def f(a): x = []; x.append(x); return x", "5", "5", False),
    ],
)
def test_functions_are_compared_by_what_they_return(code: str, given: str, expected: str, same: bool) -> None:
    verdict = verify(code, call(given, expected), fn="f")
    assert verdict.success is same, verdict


def test_a_failed_function_says_why() -> None:
    assert (
        verify("def f(a):\n  raise ValueError('no')", call("5", "5"), fn="f").failures[0].got
        == "ValueError: no (line 2)"
    )
    assert "defines no f" in verify("def g(a): return a", call("5", "5"), fn="f").failures[0].got
    assert verify("def f(a): return [a]", call("5", "5"), fn="f").failures[0].got == "[5]"
    assert verify("1/0", call("5", "5"), fn="f").failures[0].got == "ZeroDivisionError: division by zero (line 1)"


@pytest.mark.parametrize(
    ("code", "test", "passes"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2", True),
        ("def f(x): return x + 1", "assert f(1) == 3", False),
        ("def f(x): return (x, {x}, {'a': None}, b'x', 1j, 1.5)", "assert f(1) == (1, {1}, {'a': None}, b'x', 1j, 1.5)", True),
        ("def f(x): return x", "assert f((1, 2)) == [1, 2]", False),
        ("def f(x): return x / 3", "import math\nassert math.isclose(f(1), 0.333, rel_tol=0.01)", True),
        ("def f(x): return x / 3", "assert abs(f(1) - 0.333) < 1e-2 and math.floor(2.5) == 2", True),
        ("def f(x): x.sort()", "x = [2, 1]\nf(x)\nassert x == [1, 2]", True),
        ("def f(x): x['a'] = 1; return x", "x = {}\nassert f(x) == {'a': 1} and x == {'a': 1}", True),
        ("def f(x): return f", "assert f(1)", True),
        ("def f(x): raise KeyError(x)", "try: f(1)\nexcept KeyError: pass\nelse: raise AssertionError", True),
        ("class E(ValueError): pass\ndef f(x): raise E(x)", "try: f(1)\nexcept ValueError: pass\nelse: raise AssertionError", True),
        ("def f(x): yield from range(x)", "assert list(f(3)) == [0, 1, 2]", True),
        ("def sum(a, b): return a + b", "assert sum(1, 2) == 3", True),
        ("def f(x): return x * 2\n", "def check(candidate):\n  assert candidate(2) == 4, 'no'\ncheck(f)", True),
        ("def f(x): return x * 3\n", "def check(candidate):\n  assert candidate(2) == 4, 'no'\ncheck(f)", False),
        ("class S:\n  def __init__(self): self.x = []\n  def push(self, v): self.x.append(v)\n  def __len__(self): return len(self.x)",
         "s = S()\ns.push(4)\nassert len(s) == 1 and s.x[0] == 4 and s.x == [4]", True),
        ("class P:\n  def __init__(self, a): self.a = a\ndef f(ps): return sum(p.a for p in ps)", "assert f([P(1), P(2)]) == 3", True),
        ("class P:\n  def __init__(self, a): self.a = a\n  def __eq__(self, o): return self.a == o.a", "assert P(1) == P(1)", True),
        ("def f(x, y=1): return x - y", "assert f(y=2, x=5) == 3", True),
        ("def g(x): return x", "assert f(1) == 1", False),
    ],
)  # fmt: skip
def test_assertions(code: str, test: str, passes: bool) -> None:
    verdict = verify(code, test, fn="sum" if "def sum" in code else None)
    assert verdict.success is passes, verdict


def test_a_failed_assertion_shows_both_sides() -> None:
    (case,) = verify("def f(x): return x + 1", "assert f(1) == 3").failures
    assert (case.input, case.expected, case.got) == ("f(1)", "3", "2")
    (case,) = verify("def f(x): return x + 1", "assert f(1) > 3").failures
    assert (case.input, case.expected, case.got) == ("f(1)", "assert f(1) > 3", "2")


@pytest.mark.parametrize(
    ("code", "test", "given", "got"),
    [
        ("def f(x): return x", "assert 5 == f([1, {'a': (2,)}])", "f([1, {'a': (2,)}])", "[1, {'a': (2,)}]"),
        ("def f(x, y): return x", "def check(c):\n  for n in range(9): assert c(n, y=n) < 3\ncheck(f)", "f(3, y=3)", "3"),
        ("def f(x): x.append(1)", "x = [3]\nf(x)\nassert x == [1, 3]", "f([3])", "None; its arguments became [[3, 1]]"),
        ("class S:\n  def push(self, x): return x", "s = S()\nassert s.push(2) == 3", "S().push(2)", "2"),
        ("class S:\n  def __init__(self): self.x = [7]", "assert S().x[0] == 3", "S().x", "[7]"),
        ("class S:\n  def __len__(self): return 7", "assert len(S()) == 3", "len(S())", "7"),
        ("class S:\n  def __repr__(self): return 'me'\ndef f(*a): return a", "assert f(S()) == 3", "f(S())", "(me,)"),
        ("class S:\n  def __repr__(self): 1/0", "assert S() == 3", "S()", "The program gave no result."),
        ("def f(x): return x", "assert f(len) == 1", "f(<built-in function len>)", "<built-in function len>"),
        ("def f(x): 'x'.encode('ascii'); '\xe9'.encode('ascii')", "assert f(1) == 1", "f(1)", "UnicodeEncodeError: 'ascii' codec"),
        ("def f(x): return x", "assert f(10**5000) == 1", "f(1" + "0" * 1897 + " ...", "1000"),
        ("def f(x): return 5", "assert f('x' * 3000) == 1", "f('" + "x" * 1897 + " ...", "5"),
        ("def g(x): return 5", "assert f(1) == 1", None, "NameError: name 'f' is not defined"),
        ("f = 5", "assert f == 1", None, "The assertion does not hold."),
        ("1/0", "assert f(1) == 1", None, "ZeroDivisionError: division by zero (line 1)"),
    ],
)  # fmt: skip
def test_a_failed_assertion_shows_the_last_call(code: str, test: str, given: str | None, got: str) -> None:
    (case,) = verify(code, test).failures
    assert case.input == given
    assert case.got.startswith(got)


def test_notes_do_not_give_away_what_is_expected() -> None:
    for verdict in (verify("print(1)", stdin("", "98765")), verify("def f(x): return 1", "assert f(1) == 98765")):
        assert "98765" not in verdict.note
        assert "98765" in verdict.failures[0].expected


def test_code_that_does_not_compile() -> None:
    for test in (stdin("", "1"), call("1", "1"), "assert f(1) == 1"):
        verdict = verify("def f(x):\n  return x\n\nf(:", test, fn="f")
        assert verdict == Verdict(0.0, "The code does not compile: SyntaxError: invalid syntax (line 4).")
    assert verify(" \n", stdin("", "")) == Verdict(0.0, "There is no code in the answer.")


@pytest.mark.slow
def test_the_time_is_shared_by_all_tests() -> None:
    slow = "import time\nwhile time.process_time() < 0.4: pass\nprint(1)"
    assert verify(slow, *[stdin("", "1")] * 2).score == 1.0
    verdict = verify(slow, *[stdin("", "1")] * 8, seconds=2, partial=True)
    assert 0.4 <= verdict.score <= 0.7
    assert "all tests together may take 2 s of processor time" in verdict.failures[0].got


def test_each_test_may_have_a_limit_of_its_own() -> None:
    slow = "import time\ndef f(x):\n  while time.process_time() < x: pass\n  return x\nif __name__ == '__main__': f(eval(input()))"
    for tests in (
        [stdin("0", ""), stdin("9", "")],
        [call("0", "0"), call("9", "9")],
        ["assert f(0) == 0", "assert f(9) == 9"],
    ):
        verdict = verify(slow, *tests, fn="f", test_seconds=0.3)
        assert verdict.note == "1 of 2 tests passed."
        assert "each of them 0.3 s" in verdict.failures[0].got


def test_waiting_takes_no_processor_time() -> None:
    assert verify("import time\ntime.sleep(0.7)\nprint(1)", stdin("", "1"), seconds=0.3).success


def test_limits_are_said() -> None:
    assert "it may take 128 MiB" in verify("bytearray(1 << 30)", stdin("", "")).failures[0].got
    assert "wrote more" in verify("while True: print('x' * 9999)", stdin("", "")).failures[0].got
    assert "may take 0.3 s" in verify("while True: pass", "assert f(1) == 1", seconds=0.3).failures[0].got
    assert "MemoryError" in verify("def f(x): return bytearray(1 << 30)", call("1", "1"), fn="f").failures[0].got


def test_partial_scores_are_shares() -> None:
    code = "import os\ndef f(x):\n  if x == 2: os._exit(0)\n  return x"
    verdict = verify(code, *[f"assert f({n}) == {n}" for n in range(4)], partial=True)
    assert (verdict.score, verdict.note, len(verdict.failures)) == (0.75, "3 of 4 tests passed.", 1)


def test_long_texts_are_cut() -> None:
    (case,) = verify("print('x' * 5000)", stdin("y" * 3000, "z" * 2500)).failures
    assert case.got == "x" * 2000 + " ... (3001 more characters)"
    assert case.input == "y" * 2000 + " ... (1000 more characters)"
    assert case.expected.endswith("(500 more characters)")
    assert "more characters" in verify("def f(x): return 9**9999", call("1", "1"), fn="f").failures[0].got


def test_what_came_out_can_be_stored() -> None:
    """No half characters and no NUL, which a database refuses."""
    for code in ("def f(x): return '\\ud800\\0'", "def f(x): raise ValueError('\\ud800\\0')"):
        for test in (call("1", "1"), "assert f(1) == 1"):
            got = verify(code, test, fn="f").failures[0].got
            assert "\0" not in got
            got.encode()


def test_a_completion_is_searched_for_code_in_linear_time() -> None:
    started = time.process_time()
    for text in ("```" + "a" * 300_000, "```\n" * 100_000, " " * 300_000, ("`" * 2 + "\n") * 100_000):
        extract_code(text)
    assert time.process_time() - started < 10  # a quadratic search would take minutes


@pytest.mark.parametrize("test", ["assert f(", call("{", "1"), call("1", "one")])
def test_a_test_that_is_none_is_the_tasks_fault(test: dict[str, str] | str) -> None:
    with pytest.raises(JobError) as error:
        verify("def f(x): return 1", test, fn="f")
    assert (error.value.code, error.value.param, error.value.category) == ("test_invalid", "task", "user")


def test_completions_are_verified_side_by_side() -> None:
    def one(n: int) -> Verdict:
        return verify(f"def f(x): return x + {n}", call("1", str(n + 1)), f"assert f(0) == {n}", fn="f")

    with ThreadPoolExecutor(4) as threads:
        assert [verdict.score for verdict in threads.map(one, range(16))] == [1.0] * 16
