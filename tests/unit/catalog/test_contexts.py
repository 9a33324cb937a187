"""Context kinds explain themselves, and a task that cannot give what a context shows is told at once."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.catalog import Task
from gapcast.contract.contexts import KINDS, context_of
from service.kit.errors import InvalidRequest
from service.tasks.service import check_context


def test_every_kind_has_a_description_a_schema_and_an_example_that_is_valid(client: TestClient) -> None:
    kinds = {row["kind"]: row for row in client.get("/v1/context_kinds").json()["data"]}
    assert set(kinds) == set(KINDS)
    for kind, row in kinds.items():
        assert row["description"]
        assert set(row["options_schema"].get("properties", {})) == set(KINDS[kind].options_class().model_fields)
        assert context_of(row["example"]).model_dump(mode="json") == row["example"]
        assert row["example"]["kind"] == kind


def task(**change: Any) -> Task:
    values: dict[str, Any] = {
        "name": "mine",
        "source": "upload",
        "verifier": "numeric",
        "train_problems": 10,
        "held_out_problems": 0,
        "max_tokens": 16,
        "preamble": "x",
        "hint_levels": 2,
        "with_hints": 1,
        "with_reference_solution": 1,
        "with_privileged_context": 1,
        "revision": "sha256:x",
    }
    return Task.model_validate(values | change)


CANNOT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"kind": "hints", "options": {"level": 3}}, {}, "context.options.level"),
    ({"kind": "hints"}, {"hint_levels": 0, "with_hints": 0}, "context.kind"),
    ({"kind": "hints", "options": {"level": 1}}, {"hint_levels": 0}, "context.kind"),
    (
        {"kind": "hints", "options": {"source": "model", "extract_from": "reference"}},
        {"with_reference_solution": 0},
        "context.options.extract_from",
    ),
    ({"kind": "reference_solution"}, {"with_reference_solution": 0}, "context.kind"),
    ({"kind": "column"}, {"with_privileged_context": 0}, "context.kind"),
    (
        {"kind": "placebo", "options": {"of": "hints", "options": {"level": 3}}},
        {},
        "context.options.options.level",
    ),
    ({"kind": "placebo", "options": {"of": "column"}}, {"with_privileged_context": 0}, "context.options.of"),
    ({"kind": "placebo"}, {"with_reference_solution": 0}, "context.options.of"),
]


@pytest.mark.parametrize(("context", "change", "param"), CANNOT, ids=range(len(CANNOT)))
def test_what_a_task_cannot_give_is_named(context: dict[str, Any], change: dict[str, Any], param: str) -> None:
    wanted = context_of(context)
    with pytest.raises(InvalidRequest) as raised:
        check_context(wanted, task(**change))
    assert raised.value.param == param
    assert "mine" in raised.value.detail


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_known_of_a_task_is_not_refused(kind: str) -> None:
    unknown = {"with_hints": None, "with_reference_solution": None, "with_privileged_context": None}
    check_context(context_of({"kind": kind}), task(**unknown))


@pytest.mark.parametrize(
    "options", [{"source": "model"}, {"source": "model", "extract_from": "peer"}], ids=["default", "peer"]
)
def test_hints_that_the_model_extracts_need_none_from_the_task(options: dict[str, Any]) -> None:
    check_context(context_of({"kind": "hints", "options": options}), task(hint_levels=0, with_reference_solution=0))
