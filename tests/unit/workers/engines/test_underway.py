"""What somebody who waits sees of rollouts that take long."""

import pytest
import torch

from workers.engines import Request, Sampling, model_folder, underway
from workers.engines import transformers as engine_module
from workers.engines.transformers import TransformersEngine
from workers.engines.underway import Meter, Underway

LAB = "lab/addition-qwen3-s"


def test_a_part_that_is_drawn_again_is_not_reported_twice() -> None:
    reported: list[int] = []
    meter = Meter(reported.append)
    for done in (3.7, 1.0, 3.9, 4.0, 8):
        meter.at(done)
    assert reported == [3, 1, 4]


def test_samples_under_way_count_by_the_share_of_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "SECONDS", 0.0)
    done: list[float] = []
    look = Underway(width=2, most=8, end=frozenset({9}), at=done.append)
    # after a prompt that holds an end itself: one row has ended, two are a quarter through
    over = look(torch.tensor([[1, 9, 4, 9], [1, 9, 4, 4], [1, 9, 5, 4]]), torch.empty(0))
    assert (done, over.tolist()) == ([1.5], [False, False, False])


def test_a_probe_on_a_cpu_moves_within_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine.load(model_folder(LAB))
    requests = [Request(engine.encode(f"{n}+{n}="), 4, n) for n in range(11, 19)]
    sampling = Sampling(1.0, 1.0, 6, ())
    whole: list[int] = []
    samples = engine.generate(requests, sampling, report=whole.append)
    assert whole == [32]
    # as of a model that is a thousand times as large, and slow
    monkeypatch.setattr(engine_module, "CPU_PROMPTS", 100_992 * 8 * len(requests[0].tokens))
    monkeypatch.setattr(underway, "SECONDS", 0.0)
    moved: list[int] = []
    assert engine.generate(requests, sampling, report=moved.append) == samples
    assert sum(moved) == 32
    assert len(moved) > 4  # more often than batches of eight end
