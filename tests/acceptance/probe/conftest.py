from collections.abc import Iterator

import pytest
import torch

from workers.engines import Sampling, folder_revision, model_folder
from workers.engines.transformers import TransformersEngine
from workers.sampling.arms import Sampler
from workers.tasks import Task, load_task

MODEL = "lab/addition-qwen3-s"


@pytest.fixture(scope="session")
def task() -> Task:
    return load_task("lab/addition")


@pytest.fixture(scope="session")
def engine() -> Iterator[TransformersEngine]:
    before = torch.get_num_threads()
    yield TransformersEngine.load(model_folder(MODEL))
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def revision() -> str:
    return folder_revision(model_folder(MODEL))


@pytest.fixture(scope="session")
def sampler(engine: TransformersEngine, task: Task) -> Sampler:
    return Sampler(engine, task, Sampling(1.0, 1.0, 8), seed=0)
