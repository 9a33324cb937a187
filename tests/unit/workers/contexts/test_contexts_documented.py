"""docs/contexts.md says what the builder does."""

import re
import sys
from pathlib import Path

import pytest

from gapcast.contract.contexts import KINDS, TEMPLATE_VERSION
from tests.unit.workers.contexts.sums import build, context_of
from workers.contexts import Attempt, BuiltContext, Material, build_context, extraction_prompt, teacher_prompt
from workers.tasks import Case, Problem, Split, Verdict

PAGE = (Path(__file__).parents[4] / "docs" / "contexts.md").read_text()

PROBLEM = Problem(
    id="line-7",
    split=Split.train,
    prompt="What is 17 * 24?",
    answer="408",
    hints=("Split 24 into 20 and 4.",),
)
EXAMPLE = Material(
    PROBLEM,
    (
        Attempt("398", Verdict(0.0, "The answer is wrong.", (Case(None, "408", "398"),))),
        Attempt("<think>20 and 4</think>17 * 20 = 340 and 17 * 4 = 68, so it is 408", Verdict(1.0, "Right.")),
    ),
)


@pytest.mark.parametrize("shape", ["chat", "completion"])
def test_the_rendered_examples_are_current(shape: str) -> None:
    built = build(context_of("all", feedback_with_solution=True), EXAMPLE)
    solution = "17 * 20 = 340 and 17 * 4 = 68, so it is 408"
    for prompt in (teacher_prompt(PROBLEM, built, shape), extraction_prompt(PROBLEM, solution, shape)):
        assert f"```text\n{prompt}\n```" in PAGE


def test_every_kind_option_and_reason_is_documented() -> None:
    modules = (sys.modules[one.__module__] for one in (build_context, BuiltContext))
    source = "".join(Path(module.__file__ or "").read_text() for module in modules)
    reasons = set(re.findall(r'"((?:no|kind|not)_\w+)"', source))
    assert {"not_covered", "no_donor", "no_hints"} <= reasons
    options = {name for context in KINDS.values() for name in context.options_class().model_fields}
    names = set(KINDS) | options | reasons
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_the_version_is_named() -> None:
    assert f'Template version "{TEMPLATE_VERSION}"' in PAGE
