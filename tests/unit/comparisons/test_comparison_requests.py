"""What may be compared: a list, or a base and what is varied in it; and the sentences where it does not fit."""

from typing import Any

import pytest
from pydantic import ValidationError

from gapcast.contract.comparisons import ComparisonRequest
from service.kit.problems import field_problems

Body = dict[str, Any]

BASE: Body = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
HINTS, PEERS = {"kind": "hints"}, {"kind": "peer_solution"}


def faults(body: Body) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        ComparisonRequest.model_validate(body)
    return {one.param: one.with_value for one in field_problems(caught.value.errors())}


def listed(*contexts: Body, **more: Any) -> Body:
    return {"configurations": [BASE | {"context": context} | more for context in contexts]}


def test_every_combination_is_compared_under_a_name_that_tells_it() -> None:
    hints = {"kind": "hints", "options": {"level": 3}}
    asked = ComparisonRequest.model_validate(
        {"base": BASE, "vary": {"context": [HINTS, hints], "recipe.teacher": ["frozen", "ema"]}}
    ).asked
    assert [one.name for one in asked] == [
        "hints, teacher frozen",
        "hints, teacher ema",
        "hints (level 3), teacher frozen",
        "hints (level 3), teacher ema",
    ]
    assert [one.recipe.teacher for one in asked] == ["frozen", "ema"] * 2
    assert asked[2].context.model_dump(mode="json")["options"]["level"] == 3


def test_values_may_have_names_and_the_base_stays_as_it_is() -> None:
    base = BASE | {"recipe": {"steps": 40}}
    request = ComparisonRequest.model_validate({"base": base, "vary": {"context": {"short": HINTS, "friend": PEERS}}})
    assert [one.name for one in request.asked] == ["short", "friend"]
    assert [one.recipe.steps for one in request.asked] == [40, 40]
    assert base == BASE | {"recipe": {"steps": 40}}
    again = ComparisonRequest.model_validate(request.model_dump(mode="json"))
    assert again.asked == request.asked


def test_a_field_inside_an_object_of_the_base_is_varied() -> None:
    base = BASE | {"context": HINTS, "model": {"name": BASE["model"], "family": "mine"}}
    request = ComparisonRequest.model_validate(
        {"base": base, "vary": {"model.name": ["lab/addition-qwen3-s", "lab/addition-qwen3-m"]}}
    )
    assert [(one.model.name, one.model.family) for one in request.asked] == [
        ("lab/addition-qwen3-s", "mine"),
        ("lab/addition-qwen3-m", "mine"),
    ]
    by_name = ComparisonRequest.model_validate(
        {"base": BASE | {"context": HINTS}, "vary": {"model.options.dtype": ["float32", "bfloat16"]}}
    )
    assert [one.model.name for one in by_name.asked] == [BASE["model"]] * 2


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({}, "base", "expected base and vary, or configurations"),
        ({"base": BASE}, "vary", "Add it."),
        (listed(HINTS), "configurations", "a list of 2 to 50 items"),
        (listed(*[HINTS] * 51), "configurations", "got a list of 51 items"),
        (listed(HINTS, HINTS), "configurations.1", "is the same as configurations.0"),
        (listed(HINTS, PEERS) | {"base": BASE}, "base", "Leave one out."),
        (listed(HINTS, PEERS) | {"pick": 2}, "pick", "expected less than 2"),
        (listed(HINTS, PEERS) | {"budget": {"rollouts": 0}}, "budget.rollouts", "got 0"),
        (listed(HINTS, PEERS) | {"budget": {"minutes": -1}}, "budget.minutes", "got -1"),
        (
            listed(HINTS, PEERS, gap={"value": 0.1, "se": 0.1, "student": 0.2}),
            "configurations.0.gap",
            "POST /v1/predictions",
        ),
        (
            listed(HINTS, PEERS, probe={"target_half_width": 0.1}),
            "configurations.0.probe.target_half_width",
            "Leave it out.",
        ),
        (
            {"configurations": [BASE | {"context": HINTS}, BASE | {"context": HINTS, "task": "lab/cipher"}]},
            "configurations.1.task",
            "expected 'lab/addition'",
        ),
        ({"base": BASE, "vary": {"context": [HINTS]}}, "vary", "got 1. Add a value."),
        ({"base": BASE, "vary": {"context": []}}, "vary.context", "got an empty list"),
        ({"base": BASE, "vary": {"context": [HINTS, HINTS]}}, "vary.context", "expected each value once"),
        (
            {"base": BASE, "vary": {"context": [HINTS, PEERS], "recipe.steps": list(range(1, 27))}},
            "vary",
            "got 52. Vary fewer fields.",
        ),
        (
            {"base": BASE, "vary": {"context": [HINTS, PEERS], "recipe.teachr": ["ema"]}},
            "vary.recipe.teachr",
            "Did you mean teacher",
        ),
        ({"base": BASE, "vary": {"context": {"a": HINTS, "b": {"kind": "hintss"}}}}, "vary.context.b.kind", "'hints'?"),
        ({"base": BASE, "vary": {"context": [HINTS, "none"]}}, "vary.context.1", "Write {kind: none}."),
        (
            {"base": BASE | {"tsk": 1}, "vary": {"context": [HINTS, PEERS]}},
            "base.tsk",
            "Did you mean task",
        ),
    ],
)
def test_what_does_not_fit_is_named_where_it_was_written(body: Body, param: str, said: str) -> None:
    found = faults(body)
    assert list(found) == [param]
    assert said in found[param]
