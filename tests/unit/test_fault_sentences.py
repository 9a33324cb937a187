"""Each fault of a request is told in our words, whatever value is sent in whichever field."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from gapcast.contract.accepted import PATTERNS, Accepted
from gapcast.contract.faults import EXPECTED, expectation, sentence
from gapcast.contract.nearest import ALIASES, nearest
from gapcast.contract.observations import ObservationIn
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import ProbeRequest
from gapcast.contract.problems import ProblemIn, TaskIn
from gapcast.contract.sizing import SizeRequest
from gapcast.contract.training import TrainingRunRequest

REQUESTS: list[type[BaseModel]] = [
    *(PredictionRequest, ProbeRequest, TrainingRunRequest, SizeRequest),
    *(ObservationIn, TaskIn, ProblemIn),
]
VALUES: list[Any] = [
    *("x", "", "x" * 5000, "a\x00", "\ud800", "5 %", -1, 0, 2, 10**30, 1.5, -0.5, float("nan"), float("inf")),
    *(True, None, [], [1], ["x"], [[]], ["a"] * 200, {}, {"x": 1}, {"kind": "x"}, {"kind": "hints", "options": 1}),
]
FOREIGN = re.compile(r"Input|Extra inputs|Field required|Value error|should|valid |pydantic|\bno (number|list|text)\b")
ROOT = Path(__file__).parents[2]


def with_value(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    body: Any = value
    for name in reversed(place):
        body = {name: body}
    for kind in ("context", "verifier"):  # the options are of a kind
        if kind in body and isinstance(body[kind], dict) and place[1:] and place[1] != "kind":
            body[kind].setdefault("kind", "all")
    return body


def faults(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    places = list(Accepted.by(model).paths())
    unknown = [(*place, "colour") for place in [(), *places]]
    for place, value in [*product(places, VALUES), *product(unknown, ["x"])]:
        try:
            model.model_validate(with_value(place, value))
        except ValidationError as error:
            for row in error.errors():
                yield row["type"], sentence(row)


@pytest.mark.parametrize("model", REQUESTS, ids=lambda model: model.__name__)
def test_no_word_of_pydantics_is_told(model: type[BaseModel]) -> None:
    told = set(faults(model))
    assert len(told) > 40
    assert [pair for pair in told if FOREIGN.search(pair[1])] == []
    assert [pair for pair in told if not pair[1].endswith((".", "?"))] == []
    known = {*EXPECTED, "extra_forbidden", "value_error"}
    assert {kind for kind, _ in told} <= known


def test_without_a_model_a_fault_is_told_by_its_type() -> None:
    rows = [
        ({"type": "int_parsing", "loc": ("query", "limit"), "input": "x"}, "expected a whole number, got 'x'."),
        ({"type": "less_than_equal", "loc": (), "input": 101, "ctx": {"le": 100}}, "expected 100 at most, got 101."),
        (
            {"type": "literal_error", "loc": (), "input": "pausd", "ctx": {"expected": "'queued' or 'paused'"}},
            "expected queued or paused, got 'pausd'. Did you mean 'paused'?",
        ),
    ]
    assert [sentence(row | {"msg": "Input"}) for row, _ in rows] == [text for _, text in rows]


def test_a_secret_is_not_named() -> None:
    row = {"type": "string_type", "loc": ("api_key",), "msg": "Input", "input": 12345}
    assert expectation(row) == "expected a text."


def test_every_regular_expression_of_the_contract_has_words() -> None:
    written = set()
    for path in [*(ROOT / "gapcast/contract").glob("*.py"), ROOT / "service/listed_models.py"]:
        written |= set(re.findall(r'(?:pattern=|PATTERN = )r?"([^"]+)"', path.read_text()))
    assert len(written) >= 5
    assert written - PATTERNS.keys() == set()


def test_every_alias_stands_for_a_name_of_the_contract() -> None:
    models = [Accepted.by(model) for model in REQUESTS]
    fields = {name for model in models for place in model.paths() for name in place}
    choices = {name for model in models for place in model.paths() for name in model.at(place).names}
    assert ALIASES.keys() - fields - choices == set()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lr", "learning_rate"),
        ("learningRate", "learning_rate"),
        ("Learning-Rate", "learning_rate"),
        ("batch_size", "problems_per_step"),
        ("n", "group_size"),
        ("num_generations", "group_size"),
        ("stpes", "steps"),
        ("colour", None),
        ("x" * 1_000_000, None),
    ],
)
def test_the_nearest_field_of_a_recipe(written: str, meant: str | None) -> None:
    assert nearest(written, Accepted.by(PredictionRequest).at(("recipe",)).fields) == meant


def test_a_hundred_thousand_wrong_names_are_not_as_many_sentences() -> None:
    with pytest.raises(ValidationError) as raised:
        PredictionRequest.model_validate({f"name{index}": 1 for index in range(100_000)})
    assert len(raised.value.errors()) == 100
