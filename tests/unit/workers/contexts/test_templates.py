"""A template that changes without a new version would make stored probes answer for contexts they never saw."""

import hashlib
import json

import pytest

from gapcast.contract.contexts import KINDS, TEMPLATE_VERSION
from tests.unit.workers.contexts.sums import build, context_of, material
from workers.contexts import Attempt, Material, build_context, extraction_prompt, teacher_prompt
from workers.contexts.extraction import HINT_TOKENS
from workers.contexts.kinds import BLOCKS, BUILDERS, CHAT_BLOCKS
from workers.contexts.templates import EXTRACTION_STOP, fill
from workers.tasks import Split, load_task
from workers.tasks.lab import diagnose

RENDERED = {"2": "1f36c19ff369f83c2c5ead06b2230cb751d99027b6fd7b4c5fd441e351f9ef9d"}
"""SHA-256 of everything below as that version renders it. A changed template gets a new version and a new line."""

OWN = material(3, "I say 8 because " + "x" * 2500, "<think>3 and 3</think>It is 6")
CONTEXTS = [
    *(context_of(kind) for kind in ("static", "hints", "peer_solution", "reference_solution", "column")),
    context_of("feedback", show_expected=True),
    context_of("all", feedback_with_solution=True),
]


def rendered() -> str:
    texts = [
        *(str(teacher_prompt(OWN.problem, build(c, OWN), shape)) for c in CONTEXTS for shape in ("chat", "completion")),
        *(str(extraction_prompt(OWN.problem, "It is 6", shape)) for shape in ("chat", "completion")),
    ]
    return hashlib.sha256(json.dumps([texts, EXTRACTION_STOP, HINT_TOKENS]).encode()).hexdigest()


def test_this_versions_templates_are_frozen() -> None:
    assert RENDERED.get(TEMPLATE_VERSION) == rendered(), "a template has changed: raise TEMPLATE_VERSION, add its hash"


def test_both_shapes_have_a_block_for_every_kind_with_a_text_of_its_own() -> None:
    composed = {"none", "all", "placebo", "shuffled_feedback"}
    assert set(BLOCKS) == set(CHAT_BLOCKS) == set(KINDS) - composed


def test_every_kind_that_shows_something_of_its_own_has_a_builder() -> None:
    assert {context.name() for context in BUILDERS} == set(KINDS) - {"none", "placebo"}


def test_the_labs_models_were_trained_on_these() -> None:
    blocks = {kind: fill(template, text="T") for kind, template in BLOCKS.items()}
    assert blocks["static"] == "T"
    assert blocks["hints"] == "Hints: T"
    assert blocks["feedback"] == "Feedback: T"
    assert blocks["reference_solution"] == blocks["peer_solution"] == "Solution: T"


def test_the_labs_prompts_are_what_its_models_read() -> None:
    task = load_task("lab/addition")
    asked = task.problems(Split.train)[3]
    assert asked.answer is not None
    right, wrong = asked.answer, f"{(int(asked.answer) + 1) % 10_000:04d}"
    for text in (right, wrong):
        own = Material(asked, (Attempt(text, task.verify(asked, text)),))
        built = build_context(context_of("feedback"), task, own, [], seed=1, draw="a")
        assert teacher_prompt(asked, built, "completion") == f"Feedback: {diagnose(right, text)}\n\n{asked.prompt}"
    built = build_context(context_of("hints"), task, own, [], seed=1, draw="a")
    assert teacher_prompt(asked, built, "completion") == f"Hints: {right}\n\n{asked.prompt}"


def test_a_values_own_braces_are_not_filled() -> None:
    assert fill("{a}-{b}", a="{b}", b="x") == "{b}-x"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{a}", b="x")
