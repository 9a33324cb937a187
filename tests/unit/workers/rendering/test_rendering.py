"""What `gapcast contexts render` prints is what a probe encodes: the model's own template, each side in its mode."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.kit.database import Database
from service.kit.errors import InvalidRequest
from service.tasks import uploads
from service.tasks.task_files import scratch
from tests.vllm.models import TEMPLATE, chat_model
from workers.engines import folder_revision
from workers.failures import JobError
from workers.rendering.__main__ import rendered

ROWS = [
    {"id": "p", "prompt": "6x7=", "answer": "42", "reference_solution": "It is 42.", "hints": ["4_"]},
    {"id": "r", "prompt": "6x9=", "answer": "54", "reference_solution": "It is 54.", "hints": ["5_"]},
    {"id": "q", "prompt": "6x8=", "answer": "48", "reference_solution": "It is 48.", "split": "held_out"},
]
BY_THE_MODEL = {"kind": "hints", "options": {"source": "model", "extract_from": "reference"}}
SMALL = {"problems": 2, "rollouts": 1}


@pytest.fixture
def ask(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Renders with a chat model in a folder and a task that was uploaded."""
    folder = chat_model(tmp_path / "model")
    shutil.copy(migrated, tmp_path / "gapcast.db")
    entry = {"name": "mine/chat", "family": "chat", "path": str(folder), "revision": folder_revision(folder)}
    served = {"name": "mine/served", "family": "chat", "url": "http://gpu-box:8000/v1", "revision": "r"}
    monkeypatch.setenv("GAPCAST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GAPCAST_MODELS", json.dumps([entry, served]))
    task = uploads.header("mine/sums", "exact", None, {})
    with scratch(tmp_path) as raw, scratch(tmp_path) as unpacked, scratch(tmp_path) as out:
        raw.write(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS))
        prepared = uploads.prepare(raw, "ndjson", task, unpacked, out, 1 << 20)
        database = Database(f"sqlite:///{tmp_path / 'gapcast.db'}")
        with database.write() as session:
            uploads.store(session, "local", prepared, accept=True)

    def render(context: dict[str, Any], problem: str = "p", *attempts: str, **more: Any) -> Any:
        decoding = {"max_tokens": 4} | more.pop("decoding", {})
        body = {"model": "mine/chat", "task": "mine/sums", "context": context, "probe": SMALL, "decoding": decoding}
        return rendered(body | more, problem, attempts)

    return render


def test_both_prompts_by_the_models_template_and_in_their_modes(ask: Callable[..., Any]) -> None:
    assert "enable_thinking" in TEMPLATE
    found = ask({"kind": "reference_solution"}, decoding={"teacher": {"thinking": True}})
    assert found["student"]["text"] == "[user] 6x7=\n[assistant] "
    assert "It is 42." in found["teacher"]["text"]
    assert "6x7=" in found["teacher"]["text"]
    assert found["teacher"]["text"].endswith("[assistant] <think>")
    assert found["teacher"]["tokens"] > found["student"]["tokens"] > 0
    assert (found["reason"], found["corrupted"]) == (None, False)
    held_out = ask({"kind": "reference_solution"}, "q")
    assert "6x8=" in held_out["student"]["text"]


def test_feedback_is_on_the_attempt_that_is_given(ask: Callable[..., Any]) -> None:
    without = ask({"kind": "feedback"})
    assert (without["reason"], without["teacher"]) == ("no_attempt", without["student"])
    with_one = ask({"kind": "feedback"}, "p", "I say 41")
    assert "I say 41" in with_one["teacher"]["text"]
    peers = ask({"kind": "peer_solution"}, "p", "41", "42", group_size=2)
    assert "42" in peers["teacher"]["text"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"problem": "z"}, "expected the id of a problem of mine/sums, such as p, r, got 'z'"),
        ({"task": "mine/other"}, "expected a listed task"),
        ({"decoding": {"max_tokens": 0}}, "decoding.max_tokens"),
    ],
)
def test_what_does_not_fit_is_refused_as_a_server_would(
    ask: Callable[..., Any], change: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask({"kind": "hints"}, change.pop("problem", "p"), **change)
    assert told in refused.value.detail


@pytest.mark.parametrize(
    ("context", "model", "code"),
    [
        (
            {"kind": "hints", "options": {"source": "model", "extract_from": "reference"}},
            "mine/chat",
            "hints_by_the_model",
        ),
        ({"kind": "hints"}, "mine/served", "rendered_by_server"),
    ],
)
def test_what_only_a_worker_can_know_is_said(
    ask: Callable[..., Any], context: dict[str, Any], model: str, code: str
) -> None:
    with pytest.raises(JobError) as failed:
        ask(context, model=model)
    assert failed.value.code == code
