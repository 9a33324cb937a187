import math

import numpy as np
import pytest
import torch

from workers.engines.transformers import TransformersEngine
from workers.opsd.logits import completion_logits
from workers.opsd.losses import opsd_loss, token_divergence


def reference_kl(p_logits: np.ndarray, q_logits: np.ndarray) -> np.ndarray:
    """KL(p || q) by its definition, token by token, in float64."""
    result = []
    for p_row, q_row in zip(p_logits.astype(np.float64), q_logits.astype(np.float64), strict=True):
        p = np.exp(p_row - p_row.max())
        q = np.exp(q_row - q_row.max())
        p, q = p / p.sum(), q / q.sum()
        result.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return np.array(result)


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(7, 99, generator=generator) * 3, torch.randn(7, 99, generator=generator) * 3


class TestTokenDivergence:
    def test_forward_is_teacher_to_student(self, logits: tuple[torch.Tensor, torch.Tensor]) -> None:
        student, teacher = logits
        found = token_divergence(student, teacher, "forward_kl").numpy()
        np.testing.assert_allclose(found, reference_kl(teacher.numpy(), student.numpy()), rtol=1e-4)

    def test_reverse_is_student_to_teacher(self, logits: tuple[torch.Tensor, torch.Tensor]) -> None:
        student, teacher = logits
        found = token_divergence(student, teacher, "reverse_kl").numpy()
        np.testing.assert_allclose(found, reference_kl(student.numpy(), teacher.numpy()), rtol=1e-4)

    def test_equal_distributions_have_none(self, logits: tuple[torch.Tensor, torch.Tensor]) -> None:
        shifted = logits[0] + 5.0  # a constant on all logits changes no probability
        for divergence in ("forward_kl", "reverse_kl"):
            assert token_divergence(logits[0], shifted, divergence).abs().max() < 1e-5


class TestLoss:
    def test_is_the_mean_over_tokens(self, logits: tuple[torch.Tensor, torch.Tensor]) -> None:
        student, teacher = logits
        expected = reference_kl(teacher.numpy(), student.numpy()).mean()
        assert float(opsd_loss(student, teacher, "forward_kl")) == pytest.approx(expected, rel=1e-4)

    def test_forward_gradient_is_student_minus_teacher(self, logits: tuple[torch.Tensor, torch.Tensor]) -> None:
        student, teacher = logits[0].clone().requires_grad_(), logits[1].clone().requires_grad_()
        opsd_loss(student, teacher, "forward_kl").backward()
        expected = (student.softmax(-1) - teacher.softmax(-1)).detach() / len(student)
        assert student.grad is not None
        torch.testing.assert_close(student.grad, expected, rtol=1e-4, atol=1e-6)
        assert teacher.grad is None


class TestCompletionLogits:
    def test_each_row_predicts_its_own_token_whatever_stands_beside_it(self, engine: TransformersEngine) -> None:
        prompts = [engine.encode(text) for text in ("123+456=", "Hints: 05__\n\n123+456=", "1+2")]
        completions = [engine.encode(text) for text in ("0579", "05", "3")]
        with torch.no_grad():
            together = completion_logits(engine.model, prompts, completions, pad=1)
            alone = []
            for prompt, completion in zip(prompts, completions, strict=True):
                for end in range(len(completion)):
                    tokens = torch.tensor([[*prompt, *completion[:end]]])
                    alone.append(engine.model(input_ids=tokens).logits[0, -1])
        torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-4)
