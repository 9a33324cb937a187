"""The verifier `python_tests`: a completion's Python code against the problem's tests, in the sandbox.

What is expected never goes to where the program runs: texts and values come out and are compared here, and `assert`
statements run in a second sandbox that calls the program's functions from there.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

from gapcast.contract.problems import PythonTestsVerifier
from gapcast.contract.test_code import CannotHold, TestCode, read_test
from workers.failures import JobError
from workers.tasks.code_blocks import extract_code
from workers.tasks.protocol import Case, Problem, Verdict
from workers.tasks.sandbox import Channel, Ended, Limits, SandboxUnavailable, Session, Status, borrowed, check
from workers.tasks.sandbox.plain import read_json
from workers.tasks.sandbox.printed import same_output, same_value

MOST_SHOWN = 2000
"""characters of a failed test's texts: enough to see what went wrong, little enough for a prompt"""

OUTPUT_BYTES = 1 << 20
"""bytes that a program may print where no longer text is expected"""
MESSAGE_FACTOR = 8
"""bytes of a result's message for each character of what is expected: six for an escaped one, and some space"""
WALL_SECONDS, WALL_FACTOR = 5.0, 10.0
"""seconds of the clock, and such seconds for each of processor time, after which a program is ended that does nothing:
a program that works gets a tenth of a processor even on a machine that is loaded far too much"""

Test = Mapping[str, Any] | str


def verify_python(completion: str, tests: Sequence[Test], fn_name: str | None, spec: PythonTestsVerifier) -> Verdict:
    """Run the completion's code on the tests, in the processor time that `spec` gives to all of them.

    With `spec.partial` every test runs and the score is the share that passed; else the first failure ends it.

    Raises:
        JobError: `sandbox_unavailable` where this machine cannot confine the code, which then does not run;
            `test_invalid` for a test that cannot hold, whatever the code is, and where there is none.
    """
    require_sandbox()
    if not tests:
        raise JobError("test_invalid", "A problem of the task has no tests.", "task")
    code = extract_code(completion, fn_name)
    if not code.strip():
        return Verdict(0.0, "There is no code in the answer.")
    try:
        with _Run(code, fn_name, spec) as run:
            return run.verdict(tests)
    except SandboxUnavailable as error:
        raise unavailable(str(error)) from error


def reference_fault(problem: Problem, spec: PythonTestsVerifier) -> str | None:
    """Return why the problem's tests do not hold for its reference solution, with the test's line; None if they do.

    Such tests would count against every model: one needs what the sandbox does not have, or cannot be told from here.

    Raises:
        JobError: `sandbox_unavailable`.
    """
    require_sandbox()
    tests = problem.tests
    code = extract_code(problem.reference_solution or "", problem.fn_name)
    with _Run(code, problem.fn_name, spec.model_copy(update={"partial": False})) as run:
        try:
            verdict = run.verdict(tests)
        except JobError as error:
            return str(error)
        if verdict.success:
            return None
        if not verdict.failures:
            return verdict.note
        place, test, case = f"test {run.ran}", tests[run.ran - 1], verdict.failures[0]
        if isinstance(test, str) and run.failed_line is not None:
            place += f", line {run.failed_line}, `{test.splitlines()[run.failed_line - 1].strip()}`"
        what = "" if case.input is None else f" from {case.input}"
        return (
            f"{place}: expected it to hold for the reference solution, got {case.got}{what}. "
            "Correct the test or the solution; docs/sandbox.md says what a test can compare."
        )


def require_sandbox() -> None:
    """Nothing where this machine can confine code.

    Raises:
        JobError: `sandbox_unavailable`.
    """
    reason = check()
    if reason is not None:
        raise unavailable(reason)


def unavailable(reason: str) -> JobError:
    """The failure of a job that would have had to run code without protection."""
    message = (
        f"This worker has no sandbox for code, so it runs none: {reason}. What a machine or a container must allow is "
        "in docs/sandbox.md; `python -m workers.tasks.sandbox` on the worker shows what is missing."
    )
    return JobError("sandbox_unavailable", message, "task", "server")


def _invalid(message: str) -> JobError:
    return JobError("test_invalid", message, "task")


class _Failed(Exception):
    """A test failed; the text says what came out."""


class _Uncompiled(Exception):
    """The program does not compile; the text says why."""


class _Run:
    """One completion's tests, one after the other."""

    def __init__(self, code: str, fn_name: str | None, spec: PythonTestsVerifier) -> None:
        self._code, self._fn_name, self._spec = code, fn_name, spec
        self.failed_line: int | None = None
        """the line of the last test that failed, where it is known"""
        self.ran = 0
        self._left = {"program": spec.seconds, "judge": spec.seconds}
        """seconds of processor time"""
        self._deadline = time.monotonic() + WALL_SECONDS + WALL_FACTOR * spec.seconds
        self._limits = Limits(spec.seconds, memory_mb=spec.memory_mb)
        self._borrowed = contextlib.ExitStack()
        self._program: Session
        self._judge: Session

    def __enter__(self) -> Self:
        self._program = self._borrowed.enter_context(borrowed(self._limits))
        self._judge = self._borrowed.enter_context(borrowed(self._limits))
        return self

    def __exit__(self, *_: object) -> None:
        self._borrowed.close()

    def verdict(self, tests: Sequence[Test]) -> Verdict:
        """Run them."""
        failures: list[Case] = []
        passed = self.ran = 0
        for test in tests:
            self.failed_line = None
            try:
                failure = self._timed(test)
            except _Uncompiled as error:
                return Verdict(0.0, f"The code does not compile: {_cut(str(error))}.")
            self.ran += 1
            passed += failure is None
            if failure is not None:
                failures.append(failure)
                if not self._spec.partial:
                    break
        note = f"{passed} of {len(tests)} tests passed."
        if self.ran < len(tests):
            note = f"Test {self.ran} of {len(tests)} failed; those before it passed, those after it were not run."
        score = passed / len(tests) if self._spec.partial else float(passed == len(tests))
        return Verdict(score, note, tuple(failures))

    def _timed(self, test: Test) -> Case | None:
        """What is wrong; the time that a sandbox takes to start is not the program's."""
        if isinstance(test, str):
            try:
                return self._asserts(test, read_test(test, self._fn_name))
            except CannotHold as error:
                raise _invalid(f"Test {self.ran + 1} of the problem {error}") from error
        if test.get("testtype", "stdin") == "stdin":
            return self._stdin(test["input"], test["output"])
        return self._functional(test["input"], test["output"])

    def _seconds(self, which: Literal["program", "judge"]) -> float:
        """The processor time of one process: what is left, or less where each test has a limit of its own."""
        left = max(self._left[which], 0.0)
        return left if self._spec.test_seconds is None else min(left, self._spec.test_seconds)

    def _stdin(self, given: str, expected: str) -> Case | None:
        self._program.limits = replace(self._limits, output_bytes=max(OUTPUT_BYTES, 2 * len(expected.encode())))
        seconds = self._seconds("program")
        outcome = self._program.run(self._code, given, seconds, self._deadline - time.monotonic())
        self._left["program"] -= outcome.seconds
        if outcome.status is Status.syntax:
            raise _Uncompiled(outcome.stderr_tail)
        if outcome.status is Status.ok:
            printed = outcome.stdout.decode(errors="replace")
            same = same_output(printed, expected, self._spec.float_tolerance)
            return None if same else _case(given, expected, printed)
        return _case(given, expected, f"{self._ended(outcome.status)} {outcome.stderr_tail}".strip())

    def _functional(self, given: str, expected: str) -> Case | None:
        lines = [line for line in given.split("\n") if line.strip()]
        try:
            wanted = [read_json(text) for text in (*lines, expected)][-1]
        except (ValueError, RecursionError) as error:
            raise _invalid(f"Test {self.ran + 1} of the problem is not JSON: {error}") from error
        try:
            with self._serve(len(expected)) as program:
                answer = program.ask({"do": "entry", "name": self._fn_name, "lines": lines})
        except Ended as end:
            return _case(given, expected, self._ended(end.status))
        except _Failed as failure:
            return _case(given, expected, str(failure))
        if not isinstance(answer, dict) or "value" not in answer:
            return _case(given, expected, _message(answer))
        try:
            same = same_value(answer["value"], wanted, self._spec.float_tolerance)
        except RecursionError:
            same = False
        return None if same else _case(given, expected, json.dumps(answer["value"], default=str))

    def _asserts(self, test: str, code: TestCode) -> Case | None:
        """What is wrong: the program's last call, never the assertion, which holds what is expected."""
        call = None
        header = {"source": test, "fn_name": self._fn_name, **code.header()}
        try:
            with self._serve() as program, self._talk("judge") as judge:
                said = judge.ask(header)
                while "ask" in said:
                    call = said["call"]
                    program.tell(json.dumps(said["ask"]).encode())
                    judge.tell(program.hear_line())  # read by the judge alone, in its sandbox
                    said = judge.hear()
        except Ended as end:
            return _case(call, test, self._ended(end.status))
        except _Failed as failure:
            return _case(call, test, str(failure))
        if "invalid" in said:
            raise CannotHold(said["invalid"])
        if said["passed"]:
            return None
        self.failed_line = said["line"]
        return _case(said["call"], said["expected"] or test, said["got"] or "The assertion does not hold.")

    @contextlib.contextmanager
    def _talk(self, which: Literal["program", "judge"], expected: int = 0) -> Iterator[Channel]:
        """A process that serves or judges, with the time and the memory that are left to it."""
        session = self._program if which == "program" else self._judge
        mode = "serve" if which == "program" else "judge"
        session.ready()
        try:
            with session.talk(mode, self._deadline, self._seconds(which), MESSAGE_FACTOR * expected) as channel:
                yield channel
        finally:
            self._left[which] -= session.used

    @contextlib.contextmanager
    def _serve(self, expected: int = 0) -> Iterator[Channel]:
        """A process in which the program has been executed, and which calls its functions."""
        with self._talk("program", expected) as channel:
            begun = channel.ask({"source": self._code})
            if "syntax" in begun:
                raise _Uncompiled(str(begun["syntax"]))
            begun = channel.hear()
            if begun != {"ready": True}:
                raise _Failed(_message(begun))
            yield channel

    def _ended(self, status: Status) -> str:
        match status:
            case Status.timeout:
                each = self._spec.test_seconds
                limit = f"all tests together may take {self._spec.seconds:g} s"
                limit += "" if each is None else f", each of them {each:g} s"
                return f"There was no result in time: {limit} of processor time."
            case Status.memory:
                return f"The program ran out of memory: it may take {self._spec.memory_mb} MiB."
            case Status.output_limit:
                return "The program wrote more than the limit."
            case Status.killed:
                return "The program was killed."
            case Status.ok:
                return "The program ended before it gave a result."
        return "The program ended with an error."


def _message(answer: Any) -> str:  # noqa: ANN401
    """What an answer without a value says, if anything: nothing is certain about it."""
    said = answer.get("message") if isinstance(answer, dict) else None
    return said if isinstance(said, str) else "The program gave no result."


def _cut(text: str) -> str:
    """A text that can be stored and shown: not too long, no half characters, no NUL."""
    left_out = len(text) - MOST_SHOWN
    whole = text[:MOST_SHOWN].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return whole if left_out <= 0 else f"{whole} ... ({left_out} more characters)"


def _case(given: str | None, expected: str, got: str) -> Case:
    return Case(None if given is None else _cut(given), _cut(expected), _cut(got))
