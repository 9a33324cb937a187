"""Our divergences against those of TRL's SDPO and SDFT trainers, which are the same code twice.

TRL's `distillation_alpha` is the teacher's weight in the mixture, ours the student's. TRL takes a tail's logarithm from
one minus the top tokens' mass and clamps that mass at exp(-1e-7), so a tail below 1e-7 counts as 1e-7: the two agree on
moderate logits, where no tail is that small, and ours is the right one where it is.
"""

import importlib
from typing import Any

import pytest
import torch

from workers.opsd.losses import Objective, token_divergence

TOKENS, VOCABULARY = 200, 1_500
DEVIATION = 2.0
"""Of logits: the likeliest of 1,500 tokens has a probability of about .1, and a tail of 1,480 more than .2"""

OBJECTIVES = [
    (Objective("forward_kl"), 0.0),
    (Objective("reverse_kl"), 1.0),
    (Objective("js", alpha=0.5), 0.5),
    (Objective("js", alpha=0.3), 0.7),
]
TOPS = [None, 1, 20, 100]


def trl_loss(student_NV: torch.Tensor, teacher_NV: torch.Tensor, alpha: float, top: int | None, room: str) -> Any:
    losses = importlib.import_module(f"trl.experimental.{room}.loss_utils")
    if top is None:
        return losses.compute_full_logit_self_distillation_loss(student_NV, teacher_NV, distillation_alpha=alpha)
    return losses.compute_topk_self_distillation_loss(
        student_NV, teacher_NV, distillation_topk=top, distillation_alpha=alpha, distillation_add_tail=True
    )


def with_top(objective: Objective, top: int | None) -> Objective:
    return Objective(objective.divergence, objective.alpha, top)


def logits(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    student, noise = torch.randn(2, TOKENS, VOCABULARY, generator=generator, dtype=torch.float64) * DEVIATION
    return student.to(dtype), (0.7 * student + 0.7 * noise).to(dtype)  # a self-teacher is no stranger


@pytest.mark.parametrize("room", ["sdpo", "sdft"])
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(("objective", "alpha"), OBJECTIVES, ids=lambda one: str(one))
class TestOnModerateLogits:
    def test_every_token_is_worth_the_same(
        self, objective: Objective, alpha: float, top: int | None, room: str
    ) -> None:
        student, teacher = logits(torch.float64)
        ours = token_divergence(student, teacher, with_top(objective, top))
        torch.testing.assert_close(ours, trl_loss(student, teacher, alpha, top, room), rtol=1e-9, atol=1e-12)

    def test_in_single_precision_too(self, objective: Objective, alpha: float, top: int | None, room: str) -> None:
        student, teacher = logits(torch.float32)
        ours = token_divergence(student, teacher, with_top(objective, top))
        torch.testing.assert_close(ours, trl_loss(student, teacher, alpha, top, room), rtol=1e-5, atol=1e-6)

    def test_so_are_the_gradients(self, objective: Objective, alpha: float, top: int | None, room: str) -> None:
        gradients = []
        for loss in (
            lambda student, teacher: token_divergence(student, teacher, with_top(objective, top)),
            lambda student, teacher: trl_loss(student, teacher, alpha, top, room),
        ):
            student, teacher = logits(torch.float64)
            student.requires_grad_()
            loss(student, teacher).mean().backward()
            assert student.grad is not None
            gradients.append(student.grad)
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-15)


def test_below_1e_7_trls_tail_is_clamped_and_ours_is_not() -> None:
    """Two outcomes: the student's tail has a probability of e^-20 (2e-9), the teacher's of e^-2."""
    student = torch.tensor([[0.0, -20.0]], dtype=torch.float64)
    teacher = torch.tensor([[0.0, -2.0]], dtype=torch.float64)
    exact = trl_loss(student, teacher, 0.0, None, "sdpo")
    ours = token_divergence(student, teacher, Objective("forward_kl", top_k=1))
    torch.testing.assert_close(ours, exact, rtol=1e-12, atol=0)
    clamped = trl_loss(student, teacher, 0.0, 1, "sdpo")
    tail = torch.sigmoid(torch.tensor(-2.0, dtype=torch.float64))
    assert (exact - clamped).item() == pytest.approx(
        tail.item() * (20 + torch.log(torch.tensor(1e-7)).item()), rel=1e-3
    )
