"""The content of a task file: its problems and the verifier that scores completions (OPSD.md, Tasks).

Imports pydantic alone, because the worker's child process reads it too and must not import database code.
"""

import hashlib
import json
import re
from keyword import iskeyword
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from gapcast.contract.base import FieldError, JsonObject, JsonSchema, Strict
from gapcast.contract.faults import shown
from gapcast.contract.numbers import parse_number
from gapcast.contract.tagged import NAMED_AS_SENT
from gapcast.contract.test_code import CannotHold, read_test

SCORING_VERSION = "2"
"""Version of how completions of file tasks are scored: how thinking is left out, how an answer is found, what is equal.

It changes whenever a verifier scores any completion otherwise, so that no probe from before answers in its place.
"""

MOST_TEXT = 262_144
"""characters of one field of a problem: some 64,000 tokens, longer than a probe's prompt can be of use"""
MOST_TEST_TEXT = 1 << 24
"""characters of one input or output of a test: LiveCodeBench's longest have a few million"""
MOST_TESTS = 1024
"""test cases of one problem: LiveCodeBench has up to 100, APPS some hundred"""
MOST_PROBLEMS = 200_000
"""problems of one task: the largest probe draws 100,000, and as many may be held out"""


def _no_nul(text: str) -> str:
    """Refuse NUL as `Strict` does for a field, for the texts of a list."""
    if "\x00" in text:
        raise ValueError("expected a text without the NUL character, got one with it. Leave it out.")
    return text


Text = Annotated[str, Field(max_length=MOST_TEXT), AfterValidator(_no_nul)]
TestText = Annotated[str, Field(max_length=MOST_TEST_TEXT), AfterValidator(_no_nul)]


class Long(Strict):
    """Like `Strict`, for texts as long as a problem's."""

    model_config = ConfigDict(str_max_length=MOST_TEXT)


class Written(float):
    """A JSON number that knows how it was written: 1.50 and 1e2 are answers to be met as they stand."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read one."""
        made = super().__new__(cls, text)
        made.text = text
        return made


class Message(Long):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: Text = Field(min_length=1)


class TestCase(Strict):
    """One case in LiveCodeBench's shape.

    `stdin`: the program reads `input` and must print `output`. `functional`: `input` holds one JSON value a line, the
    arguments of the problem's `fn_name`, and `output` is its result as JSON.
    """

    __test__ = False
    model_config = ConfigDict(str_max_length=MOST_TEST_TEXT)

    input: TestText
    output: TestText
    testtype: Literal["stdin", "functional"] = "stdin"


class ProblemIn(Long):
    """One line of a task file."""

    prompt: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)] | Annotated[list[Message], Field(min_length=1)]
    answer: Text | None = Field(None, description="the text that the verifier compares with; a number is accepted, too")
    tests: list[TestCase | Text] | None = Field(
        None, min_length=1, max_length=MOST_TESTS, description="cases, or Python `assert` statements; for python_tests"
    )
    fn_name: str | None = Field(None, max_length=128, description="the function that functional tests call")
    reference_solution: Text | None = None
    privileged_context: Text | None = Field(
        None, description="feedback from elsewhere, such as a tool's output; the context kind `column` shows it"
    )
    hints: list[Text] = Field(
        default_factory=list, max_length=64, description="hints, in the order in which they are shown"
    )
    id: str | None = Field(None, min_length=1, max_length=255, description="null: `line-N`")
    split: Literal["train", "held_out"] = "train"

    @field_validator("id", mode="before")
    @classmethod
    def _any_id_is_a_text(cls, value: Any) -> Any:  # noqa: ANN401
        if value is None or isinstance(value, str):
            return value
        return value.text if isinstance(value, Written) else json.dumps(value, sort_keys=True, ensure_ascii=False)

    @field_validator("answer", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Written):
            return value.text
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _tests_can_be_run(self) -> Self:
        functional = any(isinstance(test, TestCase) and test.testtype == "functional" for test in self.tests or [])
        if functional and not self.fn_name:
            raise ValueError("functional tests call a function. Name it in fn_name.")
        if self.fn_name is not None and (not self.fn_name.isidentifier() or iskeyword(self.fn_name)):
            raise FieldError("fn_name", "expected the name of a Python function", self.fn_name)
        for number, test in enumerate(self.tests or []):
            fault = test_fault(test, self.fn_name)
            if fault is not None:
                raise FieldError(f"tests.{number}", fault)
        return self

    @field_validator("prompt")
    @classmethod
    def _a_chat_asks_something(cls, prompt: str | list[Message]) -> str | list[Message]:
        if not isinstance(prompt, str) and not any(message.role == "user" for message in prompt):
            raise ValueError("expected a message of the role user, got none. Add one.")
        return prompt


def test_fault(test: TestCase | str, fn_name: str | None) -> str | None:
    """Return why a test cannot hold, whatever the program is; None where it can."""
    if not isinstance(test, str):
        return _functional_fault(test)
    try:
        read_test(test, fn_name)
    except CannotHold as error:
        return str(error)
    return None


test_fault.__test__ = False  # type: ignore[attr-defined]


def _functional_fault(test: TestCase) -> str | None:
    if test.testtype == "stdin":
        return None
    try:
        for text in (*test.input.splitlines(), test.output):
            if text.strip():
                json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"has a line that is not JSON: {error}."
    return None


class VerifierOptions(Strict):
    """The options that all verifiers share; a verifier that needs something else than an answer names it here."""

    needs: ClassVar[str | None] = "answer"
    """the field that each problem must have"""
    starts_processes: ClassVar[bool] = False
    """True if completions are verified side by side, because each waits for processes of its own."""

    def answer_fault(self, answer: str) -> str | None:
        """Return why an answer cannot be verified by this verifier; None when it can."""
        return None


class ExactVerifier(VerifierOptions):
    """The completion is the answer, surrounding white space aside."""

    kind: Literal["exact"] = "exact"


class NumericVerifier(VerifierOptions):
    """The number that the completion states as its answer, or its last number, equals the answer."""

    kind: Literal["numeric"] = "numeric"
    relative_tolerance: float = Field(
        1e-6, ge=0, le=1, description="share of the answer; up to 1e-5 whole numbers must be equal all the same"
    )

    def answer_fault(self, answer: str) -> str | None:
        """Require a number."""
        if parse_number(answer) is not None:
            return None
        return (
            f"expected a number, got {shown(answer)}. Write it as 3250, 3,250, -2.5, 2/3, \\frac{{2}}{{3}} or 40 km, "
            "or take the verifier math for formulas."
        )


class MathVerifier(VerifierOptions):
    r"""The completion's last `\boxed{}`, or its last formula, equals the answer as mathematics: LaTeX, sets, intervals.

    Formulas are compared by the library math-verify, in a process of its own.
    """

    starts_processes = True

    kind: Literal["math"] = "math"
    seconds: float = Field(5.0, gt=0, le=60, description="processor seconds that one comparison may take")
    digits: int = Field(6, ge=1, le=15, description="decimal digits to which numbers must agree")


class ChoiceVerifier(VerifierOptions):
    """The letter that the completion chooses is the answer."""

    kind: Literal["choice"] = "choice"
    letters: str = Field("ABCDE", min_length=2, max_length=26, pattern=r"^[A-Z]+$")

    def answer_fault(self, answer: str) -> str | None:
        """Require one of the letters."""
        return (
            None
            if answer.strip() in set(self.letters)
            else f"expected one of the letters {self.letters}, got {shown(answer)}."
        )


class RegexVerifier(VerifierOptions):
    """The answer is a regular expression that the whole completion, or any part of it, matches."""

    kind: Literal["regex"] = "regex"
    whole: bool = Field(True, description="true: the whole completion must match; false: any part of it")
    ignore_case: bool = False

    def answer_fault(self, answer: str) -> str | None:
        """Require a regular expression."""
        try:
            re.compile(answer)
        except (re.error, OverflowError, RecursionError) as error:
            return f"is not a regular expression: {error}."
        return None


class PythonTestsVerifier(VerifierOptions):
    """The completion's Python code passes the problem's tests; it runs in a sandbox."""

    needs = "tests"
    starts_processes = True

    kind: Literal["python_tests"] = "python_tests"
    seconds: float = Field(
        10.0, gt=0, le=3600, description="seconds of processor time that all tests of one completion may take"
    )
    test_seconds: float | None = Field(
        None,
        gt=0,
        le=3600,
        exclude_if=lambda value: value is None,
        description="seconds of processor time that each test may take; null: only all of them have a limit",
    )
    memory_mb: int = Field(512, ge=64, le=16384, description="MiB that a completion's program may take")
    partial: bool = Field(False, description="score the share of passed tests in place of all or nothing")
    float_tolerance: float = Field(
        0.0,
        ge=0,
        le=1,
        exclude_if=lambda value: value == 0,
        description="absolute or relative distance within which a printed or returned decimal is the expected one",
    )


class JsonSchemaVerifier(VerifierOptions):
    """The completion is JSON that fits `schema`, and equals the answer where the problem has one."""

    needs = None

    kind: Literal["json_schema"] = "json_schema"
    json_schema: JsonSchema = Field(description="JSON Schema 2020-12; every `$ref` points into the schema itself")

    def answer_fault(self, answer: str) -> str | None:
        """Require JSON."""
        try:
            parse_json(answer)
        except (ValueError, RecursionError) as error:
            return f"is not JSON: {error}."
        return None


class PluginVerifier(VerifierOptions):
    """A Python entry point of the worker's environment, in the group `gapcast.verifiers`."""

    needs = None

    kind: Literal["plugin"] = "plugin"
    name: str = Field(min_length=1, max_length=128)
    options: JsonObject = Field(default_factory=dict)


Verifier = Annotated[
    ExactVerifier
    | NumericVerifier
    | MathVerifier
    | ChoiceVerifier
    | RegexVerifier
    | PythonTestsVerifier
    | JsonSchemaVerifier
    | PluginVerifier,
    Field(discriminator="kind"),
    NAMED_AS_SENT,
]


VerifierKind = Literal["exact", "numeric", "math", "choice", "regex", "python_tests", "json_schema", "plugin"]

Preset = Literal[
    "gsm8k",
    "math",
    "mmlu",
    "humaneval",
    "mbpp",
    "livecodebench",
    "apps",
    "verl",
    "trl",
    "sdft",
    "sciknoweval",
]
"""A public layout of task files that is read as it is."""


def parse_json(text: str) -> Any:  # noqa: ANN401
    """Read a JSON text; `NaN`, infinities and a key that stands twice, which Python would read, are refused.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a JSON value")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in found:
            if name in values:
                raise ValueError(f"the key {name[:80]!r} stands twice in an object")
            values[name] = value
        return values

    return json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)


TaskName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63})?$")]
MaxTokens = Annotated[int, Field(ge=1, le=131072)]
Preamble = Annotated[str, Field(min_length=1, max_length=2000)]


class TaskIn(Strict):
    """The header of an uploaded task file: its name, verifier and limits."""

    name: TaskName = Field(description="lower-case; `lab/` and `gapcast/` are reserved")
    verifier: Verifier
    max_tokens: MaxTokens = Field(512, description="the most tokens of a completion, if the decoding does not set it")
    preamble: Preamble = Field(
        "You are an expert. Think carefully and give the right answer.",
        description="the default text of the context kind `static`",
    )


def canonical(problem: ProblemIn) -> bytes:
    """One line of a stored task, without its newline; `id` and `split` are always written."""
    content = problem.model_dump(mode="json", exclude_defaults=True) | {"id": problem.id, "split": problem.split}
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


class TaskHash:
    """The content hash of a task: SHA-256 over its header and its canonical lines, whatever its name is."""

    def __init__(self, task: TaskIn) -> None:
        header = task.model_dump(mode="json", exclude={"name"})
        self._digest = hashlib.sha256(json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    def add(self, line: bytes) -> None:
        """Take the next canonical line."""
        self.add_lines(line + b"\n")

    def add_lines(self, piece: bytes) -> None:
        """Take the next piece of canonical lines, each with its newline."""
        self._digest.update(piece)

    @property
    def revision(self) -> str:
        """`sha256:` and the hash of everything so far."""
        return f"sha256:{self._digest.hexdigest()}"
