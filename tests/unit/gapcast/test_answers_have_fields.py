"""Every key that our own server sends is a field of the contract: the client leaves out what it does not know."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gapcast import Client
from gapcast.client.reading import read
from gapcast.contract.base import Listing, Page
from gapcast.contract.catalog import ContextKindOut, Model, ProblemOut, Task
from gapcast.contract.events import EventOut, EventPage
from gapcast.contract.fits import Calibration, CurrentFit, Curve, FitOut, FitSummary, Residuals, Scaling
from gapcast.contract.measured import ModelRef
from gapcast.contract.observations import BatchOut, ObservationOut, PoolOut
from gapcast.contract.sizing import SizeOut
from tests.support.keys import unknown_keys
from tests.support.product import ask

pytestmark = pytest.mark.slow


def missing(kind: type[BaseModel], answer: Any) -> list[str]:
    read(kind, answer)
    return unknown_keys(kind, answer)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("models", Model), ("tasks", Task), ("context_kinds", ContextKindOut), ("pools", PoolOut)],
)
def test_whole_lists(connected: Client, path: str, kind: type[BaseModel]) -> None:
    answer = ask(connected, "GET", f"/v1/{path}")
    assert answer["data"]
    assert missing(Listing[kind], answer) == []  # type: ignore[valid-type]


def test_an_uploaded_task_and_its_problems(connected: Client, tmp_path: Path, pool: str) -> None:
    file, name = tmp_path / "sums.jsonl", f"mine/{pool}"
    file.write_text(json.dumps({"prompt": "1+1=", "answer": "2", "hints": ["x"]}) + "\n")
    connected.tasks.create(file, name, "exact", accept=True)
    assert missing(Task, ask(connected, "GET", f"/v1/tasks/{name}")) == []
    assert missing(Page[ProblemOut], ask(connected, "GET", f"/v1/tasks/{name}/problems")) == []


def test_observations_their_events_and_their_pools_law(connected: Client, pool: str, row: dict[str, Any]) -> None:
    recipe = {"teacher": "frozen", "divergence": "js"}
    rows = [
        row | {"version": version, "recipe": recipe, "parameters": 8e9, "gap": row["gap"] | {"value": gap}}
        for version, gap in (("1", 0.1), ("1", 0.2), ("2", 0.3), ("2", 0.3))
    ]
    batch = ask(connected, "POST", "/v1/observations", params={"pool": pool}, json={"observations": rows})
    assert batch["warnings"]
    assert missing(BatchOut, batch) == []
    first = ask(connected, "GET", f"/v1/observations/{batch['ids'][0]}")
    assert missing(ObservationOut, first) == []
    page = ask(connected, "GET", "/v1/observations", params={"pool": pool})
    assert missing(Page[ObservationOut], page) == []
    fit = ask(connected, "POST", "/v1/fits", json={"pool": pool})
    assert fit["drift"]
    assert missing(FitOut, fit) == []


def test_a_fit_and_what_can_be_asked_of_it(connected: Client, row: dict[str, Any]) -> None:
    current = ask(connected, "GET", "/v1/fits/current", params={"pool": "lab"})
    assert missing(CurrentFit, current) == []
    assert missing(Page[FitSummary], ask(connected, "GET", "/v1/fits", params={"pool": "lab"})) == []
    of = f"/v1/fits/{current['id']}"
    assert missing(Curve, ask(connected, "GET", f"{of}/curve", params={"family": "lab-qwen3"})) == []
    residuals = ask(connected, "GET", f"{of}/residuals")
    assert residuals["data"]
    assert residuals["context_kinds"]
    assert missing(Residuals, residuals) == []
    scaling = ask(connected, "GET", f"{of}/scaling")
    assert scaling["families"][0]["trend"]
    assert missing(Scaling, scaling) == []


def test_a_calibration_with_outcomes(connected: Client, pool: str, row: dict[str, Any]) -> None:
    connected.observations.create([row], pool)
    asked = {"model": {"name": "Qwen3-8B", "family": "qwen3"}, "task": "livecodebench", "pool": pool}
    gap = {"value": 0.2, "se": 0.02, "student": 0.4}
    prediction = connected.predictions.create(asked | {"context": {"kind": "feedback"}, "gap": gap})
    connected.observations.create([row | {"prediction_id": prediction.id}], pool)
    answer = ask(connected, "GET", f"/v1/fits/{connected.fits.current(pool).id}/calibration")
    assert answer["outcomes"]
    assert missing(Calibration, answer) == []
    page = ask(connected, "GET", f"/v1/predictions/{prediction.id}/events", params={"after": ""})
    assert page["data"]
    assert missing(EventPage, page) == []
    assert missing(EventOut, page["data"][0]) == []


def test_a_size(connected: Client) -> None:
    asked = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "target_half_width": 0.12}
    assert missing(SizeOut, ask(connected, "POST", "/v1/probes/size", json=asked)) == []


class TestUnknownKeys:
    def test_a_key_that_is_no_field_is_named_at_any_depth(self) -> None:
        size = {"parameters": 1, "n": 1, "slope": 1, "se": 1, "lower": 1, "upper": 1, "of": 1}
        answer = {"fit_id": "f", "families": [{"sizes": [size], "trend": None}], "new": {}}
        assert unknown_keys(Scaling, answer) == [".families[0].sizes[0].of", ".new"]

    def test_what_a_newer_server_adds_is_read_without_it_in_parts_that_refuse_it_when_they_are_sent(self) -> None:
        class Answer(BaseModel):
            model: ModelRef

        answer = {"model": {"name": "m", "added": 1, "options": {"dtype": "auto", "added": 1}}, "added": 1}
        assert read(Answer, answer).model_dump(exclude_unset=True) == {
            "model": {"name": "m", "options": {"dtype": "auto"}}
        }
