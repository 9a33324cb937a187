"""The public layouts of task files by name: their columns, how they are recognised, and their usual verifier."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gapcast.contract.accepted import listed
from gapcast.contract.base import JsonObject
from gapcast.contract.problems import Preset, ProblemIn, VerifierKind
from service.tasks import layouts
from service.tasks.layouts import Row

MMLU_COLUMNS = ("question", "A", "B", "C", "D", "answer")
"""of the original CSV files, which have no header"""
MOST_NAMES = 20
"""unknown columns that are named"""


class Layout(NamedTuple):
    """One public layout."""

    verifier: VerifierKind | None
    """null: such files do not say how they are scored"""
    options: JsonObject
    columns: frozenset[str]
    """that it may read, so that nothing else of a table is unpacked"""
    looks: Callable[[Row], bool]
    """True if a row seems to be of this layout"""
    problem: Callable[[Row], JsonObject]
    """the problem of a row; raises FieldError"""


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: all(row.get(name) is not None for name in names)


PYTHON: VerifierKind = "python_tests"
LAYOUTS: dict[Preset, Layout] = {
    "gsm8k": Layout(
        *("numeric", {}, frozenset({"question", "answer"})),
        lambda row: _has("question", "answer")(row) and layouts.STATED in str(row["answer"]),
        layouts.gsm8k,
    ),
    "humaneval": Layout(
        *(PYTHON, {}, frozenset({"task_id", "prompt", "canonical_solution", "test", "entry_point"})),
        *(_has("prompt", "test", "entry_point"), layouts.humaneval),
    ),
    "mbpp": Layout(
        PYTHON,
        {},
        frozenset({"text", "prompt", "code", "task_id", "test_setup_code", "test_imports", "test_list"}),
        *(_has("test_list"), layouts.mbpp),
    ),
    "livecodebench": Layout(
        PYTHON,
        {},
        frozenset(
            {"question_content", "question_id", "starter_code", "public_test_cases", "private_test_cases", "metadata"}
        ),
        *(_has("question_content", "public_test_cases"), layouts.livecodebench),
    ),
    "apps": Layout(
        PYTHON,
        {},
        frozenset({"problem_id", "id", "question", "prompt", "solutions", "input_output", "starter_code"}),
        *(_has("input_output"), layouts.apps),
    ),
    "mmlu": Layout(
        "choice",
        {"letters": "ABCD"},
        frozenset({*MMLU_COLUMNS, "choices", "options", "question_id"}),
        lambda row: _has("question", "answer")(row) and any(row.get(name) for name in ("choices", "options", "A")),
        layouts.mmlu,
    ),
    "verl": Layout(
        *("numeric", {}, frozenset({"data_source", "prompt", "reward_model", "extra_info"})),
        *(_has("reward_model", "prompt"), layouts.verl),
    ),
    "sciknoweval": Layout(
        *("choice", {"letters": "ABCD"}, frozenset({"idx", "prompt", "answer", "system"})),
        *(_has("kind", "dataset", "elo", "prompt"), layouts.sciknoweval),
    ),
    "math": Layout(
        *("math", {}, frozenset({"problem", "solution", "answer", "unique_id", "id"})),
        *(_has("problem", "solution"), layouts.math),
    ),
    "sdft": Layout(
        None,
        {},
        frozenset({"id", "prompt", "privileged_context", "golden_response", "answer", "golden_answer"}),
        *(_has("prompt", "golden_response"), layouts.sdft),
    ),
    "trl": Layout(
        None,
        {},
        frozenset({"id", "prompt", "messages", "completion", "solution", "answer", "ground_truth"}),
        lambda row: row.get("messages") is not None or (_has("prompt")(row) and _is_trl(row)),
        layouts.trl,
    ),
}
"""in the order in which a file is held against them: what is told apart by few columns comes last"""


def _is_trl(row: Row) -> bool:
    return any(row.get(name) is not None for name in ("completion", "solution", "ground_truth"))


def detect(row: Row) -> Preset | None:
    """The layout that a row seems to have."""
    return next((name for name, layout in LAYOUTS.items() if layout.looks(row)), None)


def is_mmlu_row(cells: Sequence[str]) -> bool:
    """True for a question of MMLU's own CSV files, which have no header."""
    return len(cells) == len(MMLU_COLUMNS) and cells[-1].strip() in {"A", "B", "C", "D"}


def unknown_columns(names: Sequence[str], layout: Preset | None) -> str:
    """The sentence about all columns that are no fields of a problem."""
    some = ", ".join(name[:80] for name in names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    are = "column {} is not known" if len(names) == 1 else "columns {} are not known"
    known = listed([*ProblemIn.model_fields], "and")
    return f"{are.format(some + more)}. {advice(layout) or f'The columns are {known}.'}"


def advice(layout: Preset | None) -> str:
    """What to send so that such a file is read; nothing where nobody knows."""
    return f"The file looks like {layout}: add from={layout} (--from {layout})." if layout is not None else ""
