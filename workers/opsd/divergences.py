"""Divergences between the student's and the self-teacher's next-token distributions, and their gradients by formula.

Everything stays in logarithms: no probability is clamped, and a bucket's logarithm comes from its own logits, not from
one minus the others. A tail of 1e-12, or of 1e-300, is as exact in float32 as one of a half.

Shape suffixes: N tokens, V vocabulary, B outcomes of the divergence (V, or the top k and the tail).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch program uses

from workers.opsd.objective import Objective

FLOOR = -1e30
"""Nats. The logarithm of a probability of exactly 0, so that 0 x log 0 is 0 and nothing is NaN. Where p > 0 meets
q = 0, KL(p || q) is not infinite but about p x 1e30."""

ValueAndGradient = tuple[torch.Tensor, torch.Tensor]
"""The divergence of every token, shape (N,), and its derivative by the student's logits, shape (N, V) or (N, B)."""


def token_divergence(student_NV: torch.Tensor, teacher_NV: torch.Tensor, objective: Objective) -> torch.Tensor:
    """The divergence of every token in nats, shape (N,), differentiable once and by the student only.

    Both arguments are logits, whole, in float32 or float64, and the result is of the same type. `divergence_sums` is
    the same without a matrix of N x V.
    """
    result: torch.Tensor = _TokenDivergence.apply(student_NV, teacher_NV, objective)
    return result


def divergence_and_gradient(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, objective: Objective
) -> ValueAndGradient:
    """Both from logits in float32 or float64, which are left as they are. Nothing of it is recorded by autograd.

    Gradients are those of the student's own outcomes: which tokens are its top k is taken as given. Among tokens that
    tie for the last place `torch.topk` chooses.
    """
    formula = _formula(objective)
    if objective.top_k is None or objective.top_k >= student_NV.shape[-1]:
        value_N, gradient_NV = formula(_log_softmax(student_NV), _log_softmax(teacher_NV))
    else:
        top_NK = student_NV.topk(objective.top_k, dim=-1).indices
        log_q_NB, _ = _top_and_tail(teacher_NV, top_NK)
        log_p_NB, tail_NV = _top_and_tail(student_NV, top_NK)
        value_N, gradient_NB = formula(log_p_NB, log_q_NB)
        gradient_NV = tail_NV.mul_(gradient_NB[:, -1:]).scatter_(-1, top_NK, gradient_NB[:, :-1])
    if objective.token_clip is not None:
        gradient_NV.masked_fill_((value_N > objective.token_clip)[:, None], 0.0)
        value_N = value_N.clamp(max=objective.token_clip)
    return value_N, gradient_NV


def _log_softmax(logits_NV: torch.Tensor) -> torch.Tensor:
    return F.log_softmax(logits_NV, dim=-1).clamp_(min=FLOOR)


def _top_and_tail(logits_NV: torch.Tensor, top_NK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the given tokens and, last, of the tail of all others, shape (N, K + 1).

    And the share that each token has in the tail, shape (N, V), 0 for the given ones.
    """
    top_logits_NK = logits_NV.gather(-1, top_NK)
    share_NV = logits_NV.scatter(-1, top_NK, -torch.inf)
    highest_N1 = share_NV.amax(dim=-1, keepdim=True).clamp_(min=FLOOR)
    sum_N1 = share_NV.sub_(highest_N1).exp_().sum(dim=-1, keepdim=True)  # 1 or more, or 0: there is no tail
    # only differences of logits are added to logarithms: a sum near 1e4 would lose all digits after the comma
    base_N1 = torch.maximum(highest_N1, top_logits_NK.amax(dim=-1, keepdim=True))
    tail_N1 = (highest_N1 - base_N1).add_(sum_N1.log())
    log_NB = _log_softmax(torch.cat([top_logits_NK.sub_(base_N1), tail_N1], dim=-1))
    return log_NB, share_NV.div_(sum_N1.clamp_(min=1.0))


def _formula(objective: Objective) -> Callable[[torch.Tensor, torch.Tensor], ValueAndGradient]:
    """From log-probabilities of student and teacher, (N, B), to the divergence and its gradient by the logits.

    Works in the place of both: a new matrix costs more than what is done to it.
    With g = dD/dp the gradient is p (g - sum p g): a constant on all logits changes nothing.
    """
    if objective.divergence == "forward_kl":
        return _forward_kl
    if objective.divergence == "reverse_kl":
        return _reverse_kl
    alpha = objective.alpha
    assert alpha is not None  # noqa: S101 - Objective's own rule
    return lambda log_p_NB, log_q_NB: _jensen_shannon(log_p_NB, log_q_NB, alpha)


def _forward_kl(log_p_NB: torch.Tensor, log_q_NB: torch.Tensor) -> ValueAndGradient:
    q_NB = log_q_NB.exp()
    log_ratio_NB = log_q_NB.sub_(log_p_NB)
    p_minus_q_NB = log_p_NB.exp_().sub_(q_NB)
    # p - q sums to 0: with it no term is negative, and an error in a row's normalisation counts in second order only
    value_N = log_ratio_NB.mul_(q_NB).add_(p_minus_q_NB).sum(dim=-1).clamp_(min=0.0)
    return value_N, p_minus_q_NB


def _reverse_kl(log_p_NB: torch.Tensor, log_q_NB: torch.Tensor) -> ValueAndGradient:
    p_NB = log_p_NB.exp()
    log_ratio_NB = log_p_NB.sub_(log_q_NB)
    terms_NB = p_NB * log_ratio_NB
    mean_N1 = terms_NB.sum(dim=-1, keepdim=True)
    value_N = terms_NB.add_(log_q_NB.exp_()).sub_(p_NB).sum(dim=-1).clamp_(min=0.0)  # q - p: as above
    return value_N, p_NB.mul_(log_ratio_NB.sub_(mean_N1))


def _jensen_shannon(log_p_NB: torch.Tensor, log_q_NB: torch.Tensor, alpha: float) -> ValueAndGradient:
    log_alpha, log_rest = math.log(alpha), math.log1p(-alpha)
    log_m_NB = torch.logaddexp(log_p_NB.add_(log_alpha), log_q_NB.add_(log_rest))
    share_p_NB, share_q_NB = log_p_NB.exp(), log_q_NB.exp()  # of the mixture m: alpha p and (1 - alpha) q
    log_ratio_NB = log_p_NB.sub_(log_m_NB).sub_(log_alpha)
    terms_p_NB = share_p_NB * log_ratio_NB
    terms_q_NB = share_q_NB.mul_(log_q_NB.sub_(log_m_NB).sub_(log_rest))
    mean_N1 = terms_p_NB.sum(dim=-1, keepdim=True).div_(alpha)
    value_N = terms_q_NB.add_(terms_p_NB).sum(dim=-1).clamp_(min=0.0)
    return value_N, share_p_NB.mul_(log_ratio_NB.sub_(mean_N1))


class _TokenDivergence(torch.autograd.Function):  # type: ignore[misc] # torch's own
    """`divergence_and_gradient` for autograd: the gradient is there before it is asked for."""

    @staticmethod
    def forward(ctx: Any, student_NV: torch.Tensor, teacher_NV: torch.Tensor, objective: Objective) -> torch.Tensor:  # noqa: ANN401 - torch's context has no type
        value_N, gradient_NV = divergence_and_gradient(student_NV, teacher_NV, objective)
        ctx.save_for_backward(gradient_NV)
        return value_N

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator] # torch's own
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401 - as above
        (gradient_NV,) = ctx.saved_tensors
        return gradient_NV * weights[0][:, None], None, None
