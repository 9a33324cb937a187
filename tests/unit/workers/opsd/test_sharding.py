"""Sharded weights in one process: whole again they are what they were. In two: tests/integration/test_ranks.py."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from workers.opsd.network import Packed
from workers.opsd.sharding import number, placed, reshard, shard, whole
from workers.opsd.student import Student
from workers.opsd.trainer import Trainer
from workers.opsd.world import World

Make = Callable[..., Trainer]
PACKED = Packed.of([[1, 2, 3], [4, 5]], [[6, 7], [8]], 0, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_rank() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def sharded(student: Student) -> bool:
    return all(isinstance(parameter, DTensor) for parameter in student.trained.values())


def logits(student: Student) -> torch.Tensor:
    with torch.no_grad():
        return student.network.head(student.network(PACKED))


@pytest.mark.parametrize("recipe", [{}, {"lora_rank": 4, "teacher": "ema"}])
def test_a_sharded_model_is_the_same_model(trainer: Make, recipe: dict[str, Any]) -> None:
    student = trainer(**recipe).student
    names, weights, expected = list(student.trained), student.weights(), logits(student)
    shard(student.network, torch.float32, World())
    assert sharded(student)
    assert list(student.trained) == names
    assert torch.equal(logits(student), expected)
    reshard(student.network)
    assert sharded(student)
    assert all(torch.equal(weight, weights[name]) for name, weight in student.weights().items())


def test_whole_weights_go_into_sharded_ones(trainer: Make) -> None:
    student = trainer().student
    other = {name: torch.randn_like(weight) for name, weight in student.weights().items()}
    shard(student.network, torch.float32, World())
    student.load(other)
    assert sharded(student)
    assert all(torch.equal(weight, other[name]) for name, weight in student.weights().items())


def test_every_decoder_layer_is_a_unit_of_its_own(trainer: Make) -> None:
    """One unit of all layers would be gathered whole: the memory of one GPU again."""
    student = trainer().student
    layers = student.model.config.num_hidden_layers
    shard(student.network, torch.float32, World())
    units = [name for name, module in student.network.named_modules() if type(module).__name__.startswith("FSDP")]
    assert units == ["", *(f"model.model.layers.{place}" for place in range(layers))]


def test_plain_tensors_pass() -> None:
    tensor = torch.arange(3.0)
    assert dict(whole({"a": tensor}))["a"] is tensor
    assert placed(tensor, torch.zeros(3)) is tensor
    assert number(tensor.sum()) == 3.0
