"""The loss of two ranks whose weights are sharded by FSDP2, against one process with all tokens."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from workers.opsd.losses import Objective, TeacherPart, divergence_sums
from workers.opsd.world import World

N, D, V = 22, 8, 58
RANKS = 2
OBJECTIVE = Objective("js", 0.5, top_k=5)
SHARES = {"even": (slice(0, 11), slice(11, N)), "one has none": (slice(0, N), slice(N, N))}


class Language(nn.Module):
    """An embedding, a layer and a head of the same weight, and the loss inside or outside of `forward`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.layer = nn.Embedding(V, D), nn.Linear(D, D)

    def forward(self, tokens: torch.Tensor, teacher: list[TeacherPart] | None = None) -> torch.Tensor:
        hidden: torch.Tensor = self.layer(self.embedding(tokens))
        if teacher is None:
            return hidden
        return divergence_sums(hidden, self.head, teacher, OBJECTIVE, rows_at_once=4).loss

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.embedding.weight)


def loss_of(model: Language, inside: bool, rows: slice) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    states, weight = torch.randn(N, D, generator=generator), torch.randn(V, D, generator=generator)
    teacher = [TeacherPart(states[rows], lambda hidden: F.linear(hidden, weight))]
    tokens = torch.arange(N)[rows]
    if inside:
        loss: torch.Tensor = model(tokens, teacher)
        return loss
    return divergence_sums(model(tokens), model.head, teacher, OBJECTIVE, rows_at_once=4).loss


def one_rank(rank: int, folder: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    mesh = init_device_mesh("cpu", (RANKS,))
    for share, parts in SHARES.items():
        for inside in (False, True):
            model = Language()
            fully_shard(model.layer, mesh=mesh)
            fully_shard(model, mesh=mesh)
            loss_of(model, inside, parts[rank]).backward()
            whole = {name: parameter.grad.full_tensor() for name, parameter in model.named_parameters()}
            if rank == 0:
                torch.save(whole, Path(folder, f"{share}-{inside}"))
    World.leave()  # as the product does: a clean end aborts now and then


@pytest.mark.slow
def test_two_ranks_have_the_gradients_of_one(tmp_path: Path) -> None:
    mp.spawn(one_rank, (str(tmp_path),), nprocs=RANKS)
    plain = Language()
    loss_of(plain, False, slice(0, N)).backward()
    for share in SHARES:
        for inside in (False, True):
            found = torch.load(tmp_path / f"{share}-{inside}")
            for name, parameter in plain.named_parameters():
                assert parameter.grad is not None
                torch.testing.assert_close(found[name], parameter.grad / RANKS)  # FSDP2 takes the mean over ranks
