"""Against the definitions in float64, at peaked distributions, and what any divergence must obey."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import logsumexp

from workers.opsd.divergences import token_divergence
from workers.opsd.objective import Objective

pytestmark = pytest.mark.slow

Array = npt.NDArray[np.float64]

KINDS = [
    ("forward_kl", None),
    ("reverse_kl", None),
    ("js", 0.1),
    ("js", 0.5),
    ("js", 0.9),
]
OBJECTIVES = [Objective(kind, alpha, top_k) for kind, alpha in KINDS for top_k in (None, 1, 4)]  # type: ignore[arg-type]


def log_outcomes(logits: Array, kept: npt.NDArray[np.int64] | None) -> Array:
    """Log-probabilities of one token's outcomes: all, or the kept ones and the rest together."""
    log_p = logits - logsumexp(logits)
    if kept is None or len(kept) == len(logits):
        return log_p
    return np.append(log_p[kept], logsumexp(np.delete(log_p, kept)))


def kl(log_a: Array, log_b: Array) -> float:
    """KL(a || b) by its definition; what has no probability under a does not count."""
    some = np.isfinite(log_a)
    return float(np.sum(np.exp(log_a[some]) * (log_a[some] - log_b[some])))


def reference(student: Array, teacher: Array, objective: Objective) -> Array:
    """Token by token in float64."""
    found = []
    for student_row, teacher_row in zip(student.astype(np.float64), teacher.astype(np.float64), strict=True):
        kept = None if objective.top_k is None else np.argsort(-student_row, kind="stable")[: objective.top_k]
        log_p, log_q = log_outcomes(student_row, kept), log_outcomes(teacher_row, kept)
        if objective.divergence == "forward_kl":
            value = kl(log_q, log_p)
        elif objective.divergence == "reverse_kl":
            value = kl(log_p, log_q)
        else:
            assert objective.alpha is not None
            a, b = objective.alpha, 1 - objective.alpha
            log_m = np.logaddexp(math.log(a) + log_p, math.log(b) + log_q)
            value = a * kl(log_p, log_m) + b * kl(log_q, log_m)
        found.append(value if objective.token_clip is None else min(value, objective.token_clip))
    return np.array(found)


def normal(seed: int, *shape: int, scale: float = 3.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def with_gradient(student: torch.Tensor, teacher: torch.Tensor, objective: Objective) -> tuple[Array, Array]:
    student = student.clone().requires_grad_()
    found = token_divergence(student, teacher, objective)
    found.sum().backward()
    assert found.dtype == student.dtype
    assert student.grad is not None
    return found.detach().numpy(), student.grad.numpy()


def agree(student: torch.Tensor, teacher: torch.Tensor, objective: Objective) -> None:
    """In float32 the value is the reference's to 1e-5, and the gradient that of float64 (TestGradients)."""
    expected = reference(student.numpy(), teacher.numpy(), objective)
    value, gradient = with_gradient(student, teacher, objective)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
    _, exact = with_gradient(student.double(), teacher.double(), objective)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient - exact) < 1e-6 * (1 + expected[:, None])).all()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
class TestValues:
    @pytest.mark.parametrize("scale", [0.1, 3.0, 50.0, 1e4])
    def test_are_those_of_the_definition(self, objective: Objective, scale: float) -> None:
        agree(normal(0, 40, 31, scale=scale), normal(1, 40, 31, scale=scale), objective)

    def test_at_a_large_vocabulary(self, objective: Objective) -> None:
        """A sum of 150,000 terms one after another would be off by 1e-5."""
        student, teacher = normal(2, 1, 150_000), normal(3, 1, 150_000)
        value, gradient = with_gradient(student, teacher, objective)
        np.testing.assert_allclose(value, reference(student.numpy(), teacher.numpy(), objective), rtol=3e-6, atol=1e-7)
        _, exact = with_gradient(student.double(), teacher.double(), objective)
        close = 2e-5 if objective.divergence == "js" else 3e-6  # at alpha .9 the mixture is nearly the student itself
        assert np.linalg.norm(gradient - exact) < close * np.linalg.norm(exact)

    def test_close_to_each_other(self, objective: Objective) -> None:
        """The last steps of a run: differences of 1e-3 nats must not drown in float32."""
        student = normal(4, 40, 31)
        teacher = student + normal(5, 40, 31, scale=1e-3)
        found = token_divergence(student, teacher, objective).numpy()
        expected = reference(student.numpy(), teacher.numpy(), objective)
        assert expected.max() < 3e-6
        np.testing.assert_allclose(found, expected, atol=2e-7)

    def test_rounding_makes_none_negative(self, objective: Objective) -> None:
        student = normal(4, 2000, 31)
        teacher = student + normal(5, 2000, 31, scale=1e-6)
        assert float(token_divergence(student, teacher, objective).min()) >= 0

    @pytest.mark.parametrize("level", [-1e4, 1e4])
    def test_a_constant_on_all_logits_changes_nothing(self, objective: Objective, level: float) -> None:
        whole = torch.randint(-8, 8, (40, 31), generator=torch.Generator().manual_seed(6)).float()  # exact at any level
        other = torch.randint(-8, 8, (40, 31), generator=torch.Generator().manual_seed(7)).float()
        found = token_divergence(whole + level, other - level, objective)
        torch.testing.assert_close(found, token_divergence(whole, other, objective), rtol=1e-6, atol=1e-6)


class TestPeaked:
    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    @pytest.mark.parametrize("height", [50.0, 100.0, 1e4])
    @pytest.mark.parametrize("same", [True, False])
    def test_one_token_has_all(self, objective: Objective, height: float, same: bool) -> None:
        student, teacher = normal(0, 3, 31), normal(1, 3, 31)
        student[:, 7] += height
        teacher[:, 7 if same else 8] += height
        agree(student, teacher, objective)

    @pytest.mark.parametrize("tail", [1e-6, 1e-12, 1e-30])
    def test_a_small_tail_is_not_lost(self, tail: float) -> None:
        """KL(q || p) is q_tail log(q_tail / p_tail) and little else; one minus the rest would be 0 in float32."""
        student, teacher = torch.full((1, 5), math.log(tail / 4)), torch.full((1, 5), math.log(0.5 / 4))
        student[0, 2], teacher[0, 2] = 0.0, math.log(0.5)
        expected = 0.5 * math.log(0.5 / tail) + 0.5 * math.log(0.5)
        found = token_divergence(student, teacher, Objective("forward_kl", top_k=1))
        assert float(found) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    def test_tokens_of_no_probability(self, objective: Objective) -> None:
        """A vocabulary padded with -inf: neither has anything there, and with 4 kept there is no tail at all."""
        student, teacher = normal(0, 3, 31), normal(1, 3, 31)
        for logits in (student, teacher):
            logits[:, 4:] = -torch.inf
        agree(student, teacher, objective)

    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    def test_where_only_one_has_none_nothing_is_nan(self, objective: Objective) -> None:
        for where in ("student", "teacher"):
            logits = {"student": normal(0, 3, 31), "teacher": normal(1, 3, 31)}
            logits[where][:, 1:] = -torch.inf
            student = logits["student"].requires_grad_()
            found = token_divergence(student, logits["teacher"], objective)
            found.sum().backward()
            assert not found.isnan().any()
            assert student.grad is not None
            assert student.grad.isfinite().all()
            if objective.divergence == "js":
                assert found.max() < math.log(10)


class TestGradients:
    @pytest.mark.parametrize("clip", [None, 0.4])
    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    def test_are_those_of_finite_differences(self, objective: Objective, clip: float | None) -> None:
        student, teacher = normal(0, 6, 7, scale=2.0).double(), normal(1, 6, 7, scale=2.0).double()
        objective = Objective(objective.divergence, objective.alpha, objective.top_k, clip)
        if clip is not None and objective.divergence != "js":
            values = token_divergence(student, teacher, objective)
            assert 0 < (values == clip).sum() < 6  # some are clipped and some are not
        assert torch.autograd.gradcheck(
            lambda logits: token_divergence(logits, teacher, objective), student.requires_grad_(), atol=1e-8
        )

    def test_a_clipped_token_has_none(self) -> None:
        student = normal(0, 6, 7).requires_grad_()
        found = token_divergence(student, normal(1, 6, 7), Objective("reverse_kl", token_clip=1e-3))
        found.sum().backward()
        assert found.tolist() == pytest.approx([1e-3] * 6)
        assert student.grad is not None
        assert not student.grad.any()

    def test_the_teacher_has_none(self) -> None:
        teacher = normal(1, 6, 7).requires_grad_()
        token_divergence(normal(0, 6, 7).requires_grad_(), teacher, Objective("reverse_kl")).sum().backward()
        assert teacher.grad is None


class TestTopK:
    @pytest.mark.parametrize("top_k", [31, 32, 1000])
    @pytest.mark.parametrize(("kind", "alpha"), KINDS)
    def test_of_all_tokens_is_the_full_vocabulary(self, kind: Any, alpha: float | None, top_k: int) -> None:
        student, teacher = normal(0, 6, 31), normal(1, 6, 31)
        found = token_divergence(student, teacher, Objective(kind, alpha, top_k))
        assert torch.equal(found, token_divergence(student, teacher, Objective(kind, alpha)))

    @pytest.mark.parametrize(("kind", "alpha"), KINDS)
    def test_a_tie_counts_one_of_the_tied(self, kind: Any, alpha: float | None) -> None:
        student = torch.tensor([[3.0, 1.0, 1.0, 1.0, 0.0]], dtype=torch.float64)
        teacher = torch.tensor([[0.0, 3.0, 2.0, 1.0, 0.5]], dtype=torch.float64)
        value, gradient = with_gradient(student, teacher, Objective(kind, alpha, 2))
        nudged = [student + 1e-9 * torch.eye(5, dtype=torch.float64)[token] for token in (1, 2, 3)]
        choices = [with_gradient(logits, teacher, Objective(kind, alpha, 2)) for logits in nudged]
        assert any(abs(value - chosen) < 1e-7 and np.abs(gradient - slope).max() < 1e-7 for chosen, slope in choices)


pairs = st.integers(2, 12).flatmap(
    lambda width: arrays.arrays(
        np.float32, (2, 1, width), elements=st.floats(-200, 200, width=32), fill=st.nothing()
    ).map(torch.from_numpy)
)
kinds = st.sampled_from(["forward_kl", "reverse_kl"]).map(Objective) | st.floats(0.01, 0.99).map(
    lambda alpha: Objective("js", alpha)
)
quick = settings(deadline=None, max_examples=60)


class TestLaws:
    @given(pairs, kinds, st.none() | st.integers(1, 12))
    @quick
    def test_never_negative_and_nothing_between_equals(
        self, logits: torch.Tensor, objective: Objective, top_k: int | None
    ) -> None:
        objective = Objective(objective.divergence, objective.alpha, top_k)
        student, teacher = logits
        assert float(token_divergence(student, teacher, objective)) >= 0
        assert float(token_divergence(student, student + 1, objective)) < 1e-5

    @given(pairs, st.floats(0.01, 0.99))
    @quick
    def test_js_is_bounded_by_the_entropy_of_alpha(self, logits: torch.Tensor, alpha: float) -> None:
        bound = -alpha * math.log(alpha) - (1 - alpha) * math.log(1 - alpha)
        assert float(token_divergence(*logits, Objective("js", alpha))) <= bound + 1e-6

    @given(pairs, st.floats(0.01, 0.99))
    @quick
    def test_js_turned_round_is_that_of_the_other_weight(self, logits: torch.Tensor, alpha: float) -> None:
        """At alpha .5 it is symmetric."""
        student, teacher = logits
        there = token_divergence(student, teacher, Objective("js", alpha))
        back = token_divergence(teacher, student, Objective("js", 1 - alpha))
        assert float(there) == pytest.approx(float(back), abs=2e-6)

    @given(pairs, kinds, st.integers(1, 12))
    @quick
    def test_a_tail_in_one_bucket_never_adds(self, logits: torch.Tensor, objective: Objective, top_k: int) -> None:
        merged = Objective(objective.divergence, objective.alpha, top_k)
        whole = float(token_divergence(*logits, objective))
        assert float(token_divergence(*logits, merged)) <= whole * (1 + 1e-5) + 1e-5
