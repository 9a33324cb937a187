from collections.abc import Callable
from typing import Any

import pytest

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration
from workers.engines import Sampling, folder_revision, model_folder
from workers.engines.transformers import TransformersEngine
from workers.resources import Resources
from workers.tasks import Task, load_task

MODEL = "lab/addition-qwen3-s"


@pytest.fixture(scope="session")
def task() -> Task:
    return load_task("lab/addition")


@pytest.fixture(scope="session")
def engine() -> TransformersEngine:
    return TransformersEngine.load(model_folder(MODEL))


@pytest.fixture(scope="session")
def here() -> Resources:
    """The lab's model and nothing remembered."""
    return Resources.read(MODEL, {})


@pytest.fixture
def sampling() -> Sampling:
    return Sampling(temperature=1.0, top_p=1.0, max_tokens=8)


@pytest.fixture(scope="session")
def configure(task: Task) -> Callable[..., ProbeConfiguration]:
    """Makes a small probe's configuration; anything can be overridden."""

    def make(context: dict[str, Any] | None = None, **changes: Any) -> ProbeConfiguration:
        fields: dict[str, Any] = {
            "model": MODEL,
            "model_revision": folder_revision(model_folder(MODEL)),
            "task": task.name,
            "task_revision": task.revision,
            "context": context_of(context or {"kind": "hints"}),
            "template_version": TEMPLATE_VERSION,
            "decoding": Decoding(),
            "problems": 40,
            "rollouts": 2,
            "seed": 0,
            "controls": [],
        }
        return ProbeConfiguration(**{**fields, **changes})

    return make
