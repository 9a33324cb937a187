"""Per-token divergences between the self-teacher's and the student's next-token distributions."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch program uses

Divergence = Literal["forward_kl", "reverse_kl"]


def token_divergence(student_NV: torch.Tensor, teacher_NV: torch.Tensor, divergence: Divergence) -> torch.Tensor:
    """The divergence of every token over the full vocabulary, in nats, shape (tokens,).

    `forward_kl` is KL(teacher || student), `reverse_kl` is KL(student || teacher). Both arguments are logits, shape
    (tokens, vocabulary). The gradient is exact: the sum runs over the vocabulary, not over the sampled tokens.
    """
    student, teacher = F.log_softmax(student_NV, dim=-1), F.log_softmax(teacher_NV, dim=-1)
    if divergence == "forward_kl":
        return (teacher.exp() * (teacher - student)).sum(dim=-1)
    return (student.exp() * (student - teacher)).sum(dim=-1)


def opsd_loss(student_NV: torch.Tensor, teacher_NV: torch.Tensor, divergence: Divergence) -> torch.Tensor:
    """Mean over all unmasked completion tokens of the batch: a long completion weighs more than a short one."""
    return token_divergence(student_NV, teacher_NV.detach(), divergence).mean()
