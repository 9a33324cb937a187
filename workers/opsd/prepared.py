"""A sum over rows whose gradients are made along with it, chunk by chunk, and handed to autograd when it asks."""

from typing import Any

import torch


class Prepared:
    """Collects the gradients of the hidden states, shape (N, D), and of every parameter behind the chunks' logits."""

    def __init__(self, hidden_ND: torch.Tensor) -> None:
        self._hidden_ND = hidden_ND
        self._wanted = torch.is_grad_enabled() and hidden_ND.requires_grad
        self._hidden_gradient_ND = torch.zeros_like(hidden_ND) if self._wanted else None
        self._chunk_nD = hidden_ND
        self._parameters: dict[torch.Tensor, torch.Tensor] = {}

    def rows(self, chunk: slice) -> torch.Tensor:
        """The chunk's hidden states, cut off from what they were computed from."""
        self._chunk_nD = self._hidden_ND[chunk].detach().requires_grad_(self._wanted)
        return self._chunk_nD

    def add(self, chunk: slice, logits_nV: torch.Tensor, gradient_nV: torch.Tensor) -> None:
        """Carries the sum's gradient by the logits of the last `rows` back through the head that made them."""
        if not logits_nV.requires_grad:
            return
        parameters = [leaf for leaf in _leaves(logits_nV) if leaf is not self._chunk_nD]
        sources = [self._chunk_nD, *parameters] if self._wanted else parameters
        found = list(
            torch.autograd.grad(
                logits_nV,
                sources,
                gradient_nV.to(logits_nV.dtype),
                # what a head shares between chunks (a weight that was merged or cast before) is needed again
                retain_graph=True,
            )
        )
        if self._hidden_gradient_ND is not None:
            self._hidden_gradient_ND[chunk] = found.pop(0)
        for parameter, gradient in zip(parameters, found, strict=True):
            if parameter in self._parameters:
                self._parameters[parameter] += gradient
            else:
                # many chunks add up in float32, whatever the weights are kept in; a copy, because autograd gives two
                # parameters that a head adds (a weight and its update) one and the same tensor
                kind = torch.float64 if gradient.dtype == torch.float64 else torch.float32
                self._parameters[parameter] = gradient.to(kind, copy=True)

    def attach(self, total: torch.Tensor) -> torch.Tensor:
        """The sum, as a function of the hidden states and the parameters."""
        gradients = dict(self._parameters)
        if self._hidden_gradient_ND is not None:
            gradients[self._hidden_ND] = self._hidden_gradient_ND
        attached: torch.Tensor = _Known.apply(total, list(gradients.values()), *gradients)
        return attached


def _leaves(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Every tensor in whose `grad` a backward from here would end."""
    found, seen, nodes = [], set(), [tensor.grad_fn]
    while nodes:
        node: Any = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        nodes += [behind for behind, _ in node.next_functions]
    return found


class _Known(torch.autograd.Function):  # type: ignore[misc] # torch's own
    """A number with the gradients that it has."""

    @staticmethod
    def forward(ctx: Any, total: torch.Tensor, gradients: list[torch.Tensor], *sources: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - torch's context has no type
        ctx.gradients = gradients
        return total.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator] # torch's own
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401 - as above
        # scaled in place and let go: a second copy of a large head's gradient would be this loss's largest tensor
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the loss's gradients were handed out by a first backward; compute the loss again")
        return None, None, *(gradient.mul_(weights[0]) for gradient in gradients)
