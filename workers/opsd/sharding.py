"""Weights of which every process holds a part: FSDP2, a layer at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from workers.opsd.network import Network, Packed
from workers.opsd.world import World


def shard(network: Network, precision: torch.dtype, world: World) -> None:
    """Leaves this process with its part of the network's weights, on its own device.

    Each decoder layer is gathered for its passes alone; the rest (embeddings, last norm, output layer, which may be one
    weight with the embeddings) from the forward pass until the backward pass or `reshard`, because the loss calls the
    output layer chunk by chunk (`divergence_sums`). Weights are gathered in the precision of the passes: autocast would
    keep a second copy of all layers for the backward pass. Gradients are averaged over the processes in float32.
    """
    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (world.size,))
    half = None if precision == torch.float32 else precision
    how: dict[str, Any] = {"mesh": mesh, "mp_policy": MixedPrecisionPolicy(half, torch.float32)}
    layers = [one for one in network.model.modules() if type(one).__name__ in network.model._no_split_modules]
    for layer in layers:
        fully_shard(layer, **how)
    fully_shard(network, **how)
    # FSDP looks at the first pass which weights are trained; later ones may run with an adapter switched off
    with torch.no_grad():
        network(Packed.of([[0]], [[0]], 0, network.model.device))
    reshard(network)


def reshard(network: Network) -> None:
    """Lets go what a pass without a backward pass has left gathered; until then its weights are copies."""
    if isinstance(network, FSDPModule):
        network.reshard()


def whole(tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Whole tensors, of sharded ones on the CPU of the first process and nowhere else; all processes must ask."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            yield name, tensor
            continue
        gathered = tensor.detach().full_tensor()
        if tensor.device_mesh.get_rank() == 0:
            yield name, gathered.cpu()


def placed(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A copy of a whole tensor as the parameter is: on its device, and of a sharded one this process's part."""
    tensor = tensor.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return tensor
    # every process has read it whole: nothing has to be sent, and a part of it alone may stay
    part = distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return torch.empty_like(parameter).copy_(part)


def number(tensor: torch.Tensor) -> float:
    """A tensor of one number, the same in all processes."""
    return float(tensor.full_tensor() if isinstance(tensor, DTensor) else tensor)
