"""Divergences between the student's and the self-teacher's next-token distributions, and their gradients by formula.

Everything stays in logarithms: no probability is clamped, and a bucket's logarithm comes from its own logits, not from
one minus the others. A tail of 1e-12, or of 1e-300, is as exact in float32 as one of a half.

Shape suffixes: N tokens, V vocabulary, B outcomes of the divergence (V, or the top k and the tail).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

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


def workspace(logits_NV: torch.Tensor, objective: Objective) -> list[torch.Tensor]:
    """Matrices for `divergence_and_gradient` to work in, for logits of this shape; fewer rows take a part of them.

    To use them for one chunk after another saves a fifth of the time on a CPU, which hands out new memory slowly.
    """
    return [torch.empty_like(logits_NV) for _ in range(4 if _is_whole(objective, logits_NV) else 2)]


def divergence_and_gradient(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, objective: Objective, space: Sequence[torch.Tensor]
) -> ValueAndGradient:
    """Both from logits in float32 or float64, which are left as they are. Nothing of it is recorded by autograd.

    The gradient lies in `space` (see `workspace`). It is that of the student's own outcomes: which tokens are its
    top k is taken as given. Among tokens that tie for the last place `torch.topk` chooses.
    """
    formula = _formula(objective)
    if _is_whole(objective, student_NV):
        value_N, gradient_NV = formula(Outcomes.of(student_NV, *space[:2]), Outcomes.of(teacher_NV, *space[2:]))
    else:
        top_NK = student_NV.topk(objective.top_k, dim=-1).indices
        teacher, _ = _top_and_tail(teacher_NV, top_NK, space[0])
        student, tail_NV = _top_and_tail(student_NV, top_NK, space[1])
        value_N, gradient_NB = formula(student, teacher)
        gradient_NV = tail_NV.mul_(gradient_NB[:, -1:]).scatter_(-1, top_NK, gradient_NB[:, :-1])
    if objective.token_clip is not None:
        gradient_NV.masked_fill_((value_N > objective.token_clip)[:, None], 0.0)
        value_N = value_N.clamp(max=objective.token_clip)
    return value_N, gradient_NV


def _is_whole(objective: Objective, logits_NV: torch.Tensor) -> bool:
    return objective.top_k is None or objective.top_k >= logits_NV.shape[-1]


@dataclass(frozen=True)
class Outcomes:
    """A distribution a token, both ways; the formulas work in the place of these matrices."""

    log_NB: torch.Tensor  # noqa: N815 - a shape
    p_NB: torch.Tensor  # noqa: N815 - a shape

    @classmethod
    def of(cls, logits_NB: torch.Tensor, log_NB: torch.Tensor, p_NB: torch.Tensor) -> "Outcomes":
        """The softmax of logits, written into the other two.

        Not `log_softmax`: on a CPU it adds up a row of 150,000 one after another, and is off by 1e-5 in float32.
        """
        torch.sub(logits_NB, logits_NB.amax(dim=-1, keepdim=True), out=log_NB).clamp_(min=FLOOR)
        sum_N1 = torch.exp(log_NB, out=p_NB).sum(dim=-1, keepdim=True)
        return cls(log_NB.sub_(sum_N1.log()), p_NB.div_(sum_N1))


def _top_and_tail(
    logits_NV: torch.Tensor, top_NK: torch.Tensor, space_NV: torch.Tensor
) -> tuple[Outcomes, torch.Tensor]:
    """The given tokens and, last, the tail of all others: B = K + 1 outcomes.

    And the share that each token has in the tail, shape (N, V), 0 for the given ones.
    """
    top_logits_NK = logits_NV.gather(-1, top_NK)
    share_NV = space_NV.copy_(logits_NV).scatter_(-1, top_NK, -torch.inf)
    highest_N1 = share_NV.amax(dim=-1, keepdim=True).clamp_(min=FLOOR)
    sum_N1 = share_NV.sub_(highest_N1).exp_().sum(dim=-1, keepdim=True)  # 1 or more, or 0: there is no tail
    # only differences of logits are added to logarithms: a sum near 1e4 would lose all digits after the comma
    base_N1 = torch.maximum(highest_N1, top_logits_NK.amax(dim=-1, keepdim=True))
    tail_N1 = (highest_N1 - base_N1).add_(sum_N1.log())
    logits_NB = torch.cat([top_logits_NK.sub_(base_N1), tail_N1], dim=-1)
    outcomes = Outcomes.of(logits_NB, torch.empty_like(logits_NB), torch.empty_like(logits_NB))
    return outcomes, share_NV.div_(sum_N1.clamp_(min=1.0))


def _formula(objective: Objective) -> Callable[[Outcomes, Outcomes], ValueAndGradient]:
    """From the outcomes of student and teacher to the divergence and its gradient by the student's logits.

    With g = dD/dp the gradient is p (g - sum p g): a constant on all logits changes nothing. Each works in the place of
    what it gets.
    """
    if objective.divergence == "forward_kl":
        return _forward_kl
    if objective.divergence == "reverse_kl":
        return _reverse_kl
    alpha = objective.alpha
    assert alpha is not None  # noqa: S101 - Objective's own rule
    return lambda student, teacher: _jensen_shannon(student, teacher, alpha)


def _forward_kl(student: Outcomes, teacher: Outcomes) -> ValueAndGradient:
    terms_NB = teacher.log_NB.sub_(student.log_NB).mul_(teacher.p_NB)
    gradient_NB = student.p_NB.sub_(teacher.p_NB)
    # p - q sums to 0: with it no term is negative, and rounding of a row's normalisation counts in second order only
    return terms_NB.add_(gradient_NB).sum(dim=-1).clamp_(min=0.0), gradient_NB


def _reverse_kl(student: Outcomes, teacher: Outcomes) -> ValueAndGradient:
    log_ratio_NB = student.log_NB.sub_(teacher.log_NB)
    terms_NB = torch.mul(student.p_NB, log_ratio_NB, out=teacher.log_NB)
    mean_N1 = terms_NB.sum(dim=-1, keepdim=True)
    value_N = terms_NB.add_(teacher.p_NB).sub_(student.p_NB).sum(dim=-1).clamp_(min=0.0)  # q - p: as above
    return value_N, student.p_NB.mul_(log_ratio_NB.sub_(mean_N1))


def _jensen_shannon(student: Outcomes, teacher: Outcomes, alpha: float) -> ValueAndGradient:
    log_alpha, log_rest = math.log(alpha), math.log1p(-alpha)
    log_m_NB = torch.logaddexp(student.log_NB.add_(log_alpha), teacher.log_NB.add_(log_rest))
    log_ratio_NB = student.log_NB.sub_(log_m_NB).sub_(log_alpha)
    terms_q_NB = teacher.log_NB.sub_(log_m_NB).sub_(log_rest).mul_(teacher.p_NB)
    terms_p_NB = torch.mul(student.p_NB, log_ratio_NB, out=log_m_NB)
    mean_N1 = terms_p_NB.sum(dim=-1, keepdim=True)
    value_N = terms_q_NB.lerp_(terms_p_NB, alpha).sum(dim=-1).clamp_(min=0.0)
    return value_N, student.p_NB.mul_(log_ratio_NB.sub_(mean_N1)).mul_(alpha)


class _TokenDivergence(torch.autograd.Function):  # type: ignore[misc] # torch's own
    """`divergence_and_gradient` for autograd: the gradient is there before it is asked for."""

    @staticmethod
    def forward(ctx: Any, student_NV: torch.Tensor, teacher_NV: torch.Tensor, objective: Objective) -> torch.Tensor:  # noqa: ANN401 - torch's context has no type
        space = workspace(student_NV, objective)
        value_N, gradient_NV = divergence_and_gradient(student_NV, teacher_NV, objective, space)
        ctx.save_for_backward(gradient_NV.clone())  # without the rest of the space
        return value_N

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator] # torch's own
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401 - as above
        (gradient_NV,) = ctx.saved_tensors
        return gradient_NV * weights[0][:, None], None, None
