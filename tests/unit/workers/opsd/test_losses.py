"""In chunks as in one piece, through any head, and never with a matrix of tokens x vocabulary."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from workers.opsd import losses
from workers.opsd.losses import Head, Objective, Sums, TeacherPart, divergence_sums, token_divergence

N, D, V = 23, 8, 57
OBJECTIVES = [
    Objective("forward_kl"),
    Objective("reverse_kl", top_k=5, token_clip=0.6),
    Objective("js", 0.3, top_k=5),
    Objective("js", 0.5, token_clip=0.25),
]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


class Tied(nn.Module):
    """Reads the weight of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.embedding.weight)


class Merged(nn.Module):
    """Two weights are added: autograd gives both the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.update = nn.Parameter(normal(V, D)), nn.Parameter(normal(V, D, seed=1))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.weight + self.update)


class Curved(nn.Linear):
    """Its last operation keeps its result for the backward, so nothing may be done in that one's place."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden / 2).exp()


def with_adapter() -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    body = nn.ModuleDict({"lm_head": nn.Linear(D, V)})
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=1, target_modules=["lm_head"], init_lora_weights=False), body)
    return body["lm_head"]


HEADS: dict[str, Callable[[], nn.Module]] = {
    "weight": lambda: nn.Linear(D, V, bias=False),
    "bias": lambda: nn.Linear(D, V),
    "tied": Tied,
    "merged": Merged,
    "curved": lambda: Curved(D, V),
    "lora": with_adapter,
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    head = HEADS[name]()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(normal(*parameter.shape, seed=parameter.numel(), scale=0.4))
    return head


def plain_teacher(seed: int = 5) -> list[TeacherPart]:
    head = nn.Linear(D, V)
    with torch.no_grad():
        head.weight.copy_(normal(V, D, seed=seed, scale=0.4))
        head.bias.copy_(normal(V, seed=seed, scale=0.4))
    return [TeacherPart(normal(N, D, seed=seed + 1), head)]


def in_one_piece(hidden: torch.Tensor, head: Head, teacher: list[TeacherPart], objective: Objective) -> torch.Tensor:
    """The same loss as a whole, by autograd."""
    with torch.no_grad():
        mixed = sum(part.weight * part.head(part.hidden_ND).float().log_softmax(dim=-1) for part in teacher)
    assert isinstance(mixed, torch.Tensor)
    return token_divergence(head(hidden).float(), mixed, objective).sum()


def gradients(
    head: nn.Module, loss_of: Callable[[torch.Tensor], torch.Tensor], scale: float = 1.0
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and its gradient by the states and by everything of the head that learns."""
    hidden = normal(N, D, seed=9).requires_grad_()
    head.zero_grad()
    loss = loss_of(hidden)
    (loss * scale).backward()
    found = {name: parameter.grad for name, parameter in head.named_parameters() if parameter.requires_grad}
    found["hidden"] = hidden.grad
    assert all(gradient is not None and gradient.any() for gradient in found.values())
    return float(loss.detach()), {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
class TestChunks:
    @pytest.mark.parametrize("rows", [1, 7, N, None])
    def test_give_what_one_piece_gives(self, name: str, objective: Objective, rows: int | None) -> None:
        head, teacher = made(name), plain_teacher()
        expected, by_autograd = gradients(head, lambda hidden: in_one_piece(hidden, head, teacher, objective), 1 / N)
        found, ours = gradients(
            head, lambda hidden: divergence_sums(hidden, head, teacher, objective, rows_at_once=rows).loss, 1 / N
        )
        assert found == pytest.approx(expected, rel=1e-6)
        assert ours.keys() == by_autograd.keys()
        for where, gradient in by_autograd.items():
            assert (ours[where] - gradient).abs().max() < 1e-6, where


class TestGradients:
    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    def test_are_those_of_finite_differences(self, objective: Objective) -> None:
        head, part = made("bias").double(), plain_teacher()[0]
        teacher = [TeacherPart(part.hidden_ND.double(), part.head.double())]  # type: ignore[attr-defined]
        hidden = normal(N, D, seed=9).double().requires_grad_()

        def value() -> torch.Tensor:
            return divergence_sums(hidden, head, teacher, objective, rows_at_once=7).loss

        value().backward()
        for tensor in (hidden, *head.parameters()):
            assert tensor.grad is not None
            step = normal(*tensor.shape, seed=3).double()
            with torch.no_grad():
                ends = []
                for width in (1e-6, -1e-6):
                    tensor += width * step
                    ends.append(float(value()))
                    tensor -= width * step
            slope = float((tensor.grad * step).sum())
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-5, abs=1e-7)

    def test_frozen_heads_and_frozen_states_get_none(self) -> None:
        head, hidden = made("bias"), normal(N, D).requires_grad_()
        head.requires_grad_(False)
        divergence_sums(hidden, head, plain_teacher(), OBJECTIVES[0]).loss.backward()
        assert hidden.grad is not None
        assert all(parameter.grad is None for parameter in head.parameters())
        head.requires_grad_(True)
        divergence_sums(hidden.detach(), head, plain_teacher(), OBJECTIVES[0]).loss.backward()
        assert all(parameter.grad is not None for parameter in head.parameters())

    def test_reach_what_a_weight_was_made_of_before(self) -> None:
        """A head that was merged once, outside: all chunks share that part of the graph."""
        big, small = normal(V, 2).requires_grad_(), normal(2, D).requires_grad_()
        teacher, hidden = plain_teacher(), normal(N, D)
        found = []
        for rows in (None, 7):
            weight = (big @ small).tanh()
            head: Head = lambda states, weight=weight: F.linear(states, weight)  # noqa: E731
            loss = (
                in_one_piece(hidden, head, teacher, OBJECTIVES[0])
                if rows is None
                else divergence_sums(hidden, head, teacher, OBJECTIVES[0], rows_at_once=rows).loss
            )
            found.append(torch.autograd.grad(loss, (big, small)))
        torch.testing.assert_close(*found)

    def test_several_batches_add_up(self) -> None:
        head, teacher = made("tied"), plain_teacher()
        hidden = normal(N, D).requires_grad_()
        for part in (slice(0, 9), slice(9, N)):
            rows = [TeacherPart(teacher[0].hidden_ND[part], teacher[0].head)]
            divergence_sums(hidden[part], head, rows, OBJECTIVES[0], rows_at_once=4).loss.backward()
        parts = [parameter.grad.clone() for parameter in (hidden, *head.parameters()) if parameter.grad is not None]
        hidden.grad = None
        head.zero_grad()
        divergence_sums(hidden, head, teacher, OBJECTIVES[0]).loss.backward()
        for part_gradient, tensor in zip(parts, (hidden, *head.parameters()), strict=True):
            torch.testing.assert_close(part_gradient, tensor.grad)

    def test_no_gradient_is_made_where_none_is_recorded(self) -> None:
        with torch.no_grad():
            sums = divergence_sums(normal(N, D).requires_grad_(), made("bias"), plain_teacher(), OBJECTIVES[0])
        assert not sums.loss.requires_grad

    def test_a_head_that_records_nothing_gives_zeros(self) -> None:
        head, hidden = made("bias"), normal(N, D).requires_grad_()
        divergence_sums(hidden, torch.no_grad()(head), plain_teacher(), OBJECTIVES[0]).loss.backward()
        assert hidden.grad is not None
        assert not hidden.grad.any()

    def test_a_second_backward_is_refused(self) -> None:
        loss = divergence_sums(normal(N, D).requires_grad_(), made("bias"), plain_teacher(), OBJECTIVES[0]).loss
        loss.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="compute the loss again"):
            loss.backward()


class TestTeacher:
    def test_gets_no_gradient_even_where_it_is_the_student(self) -> None:
        """The trust region's second factor is the student with the context."""
        head, hidden = made("bias"), normal(N, D).requires_grad_()
        states = normal(N, D, seed=4).requires_grad_()
        recorded: list[bool] = []

        def watched(rows: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = head(rows)
            recorded.append(logits.requires_grad)
            return logits

        teacher = [TeacherPart(states, watched)]
        divergence_sums(hidden, head, teacher, OBJECTIVES[0], rows_at_once=7).loss.backward()
        found = [parameter.grad.clone() for parameter in head.parameters() if parameter.grad is not None]
        head.zero_grad()
        frozen = [TeacherPart(states.detach(), lambda rows: head(rows).detach())]
        in_one_piece(hidden, head, frozen, OBJECTIVES[0]).backward()
        for gradient, parameter in zip(found, head.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad)
        assert states.grad is None
        assert not any(recorded)  # a graph of it would hold memory for nothing

    @pytest.mark.parametrize("height", [0.0, 1e4])
    @pytest.mark.parametrize("share", [0.05, 0.5])
    def test_a_trust_region_is_the_renormalised_mix(self, share: float, height: float) -> None:
        one, other = plain_teacher(5)[0], plain_teacher(7)[0]
        head, hidden = made("bias"), normal(N, D, scale=2.0)
        raised = [
            TeacherPart(one.hidden_ND, lambda rows: one.head(rows).double() + height, share),
            TeacherPart(other.hidden_ND, lambda rows: other.head(rows).double() - height, 1 - share),
        ]
        with torch.no_grad():
            q_one = one.head(one.hidden_ND).double().softmax(dim=-1)
            q_other = other.head(other.hidden_ND).double().softmax(dim=-1)
            q = q_one**share * q_other ** (1 - share)
            q /= q.sum(dim=-1, keepdim=True)
            p = head(hidden).double().softmax(dim=-1)
        sums = divergence_sums(hidden, lambda rows: head(rows).double(), raised, Objective("forward_kl"))
        assert float(sums.loss.detach()) == pytest.approx(float((q * (q / p).log()).sum()), rel=1e-6)
        assert int(sums.agreement) == int((q.argmax(dim=-1) == p.argmax(dim=-1)).sum())

    def test_a_large_constant_costs_a_mix_no_digits(self) -> None:
        def parts(level: float) -> list[TeacherPart]:
            def raised(part: TeacherPart) -> Head:
                return lambda rows: (part.head(rows) * 8).round() + level  # whole numbers: exact at any level

            plain = [*plain_teacher(5), *plain_teacher(7)]
            return [
                TeacherPart(part.hidden_ND, raised(part), weight)
                for part, weight in zip(plain, (0.3, 0.7), strict=True)
            ]

        head, hidden = made("bias"), normal(N, D)
        low, high = (divergence_sums(hidden, head, parts(level), OBJECTIVES[0]).loss.detach() for level in (0, 2**16))
        torch.testing.assert_close(low, high)

    @pytest.mark.parametrize(
        ("teacher", "message"),
        [
            (list, "teacher: no part"),
            (lambda: [TeacherPart(normal(N - 1, D), made("bias"))], f"teacher: {N - 1} states for {N} tokens"),
            (lambda: [TeacherPart(normal(N, D), made("bias"), 0.0)], "weight: 0.0"),
        ],
    )
    def test_one_that_does_not_match_is_refused(self, teacher: Callable[[], list[TeacherPart]], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            divergence_sums(normal(N, D), made("bias"), teacher(), OBJECTIVES[0])

    def test_no_row_at_once_is_refused(self) -> None:
        with pytest.raises(ValueError, match="rows_at_once: 0"):
            divergence_sums(normal(N, D), made("bias"), plain_teacher(), OBJECTIVES[0], rows_at_once=0)


class TestCounts:
    def test_of_agreement_and_of_clipped_tokens(self) -> None:
        head, hidden = made("bias"), normal(N, D)
        teacher = [TeacherPart(hidden + normal(N, D, seed=1, scale=0.7), head)]
        sums = divergence_sums(hidden, head, teacher, Objective("forward_kl", token_clip=0.5), rows_at_once=4)
        with torch.no_grad():
            student, other = head(hidden), head(teacher[0].hidden_ND)
            values = token_divergence(student, other, Objective("forward_kl"))
        assert 0 < int(sums.agreement) == int((student.argmax(dim=-1) == other.argmax(dim=-1)).sum()) < N
        assert 0 < int(sums.clipped) == int((values > 0.5).sum()) < N

    def test_without_a_clip_none_is_clipped(self) -> None:
        assert int(divergence_sums(normal(N, D), made("bias"), plain_teacher(), OBJECTIVES[0]).clipped) == 0


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_no_tokens_are_a_loss_of_zero_with_gradients_of_zero(objective: Objective) -> None:
    """A rank without a token of its own must still take part in summing up the head's gradient."""
    head, hidden = made("bias"), normal(0, D).requires_grad_()
    sums = divergence_sums(hidden, head, [TeacherPart(normal(0, D), made("bias"))], objective)
    sums.loss.backward()
    assert float(sums.loss.detach()) == float(sums.agreement) == 0
    assert hidden.grad is not None
    assert hidden.grad.shape == (0, D)
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())


class TestPrecision:
    def test_under_autocast_the_divergence_is_of_float32(self) -> None:
        """The logits are rounded to bfloat16; what is made of them is not."""
        head, teacher = made("bias"), plain_teacher()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, ours = gradients(
                head, lambda hidden: divergence_sums(hidden, head, teacher, OBJECTIVES[0], rows_at_once=4).loss
            )
            expected, by_autograd = gradients(head, lambda hidden: in_one_piece(hidden, head, teacher, OBJECTIVES[0]))
        assert found == pytest.approx(expected, rel=1e-6)
        for where, gradient in by_autograd.items():
            assert ours[where].dtype == torch.float32
            assert (ours[where] - gradient).abs().max() < 0.02 * gradient.abs().max(), where

    def test_a_head_that_turns_autocast_off_learns_in_float32(self) -> None:
        class Precise(nn.Linear):
            def forward(self, hidden: torch.Tensor) -> torch.Tensor:
                with torch.autocast("cpu", enabled=False):
                    return super().forward(hidden)

        head, teacher = Precise(D, V), [TeacherPart(normal(N, D), Precise(D, V))]
        loss_of = lambda hidden: divergence_sums(hidden, head, teacher, OBJECTIVES[0]).loss  # noqa: E731
        _, expected = gradients(head, loss_of)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = normal(N, D, seed=9).requires_grad_()
            head.zero_grad()
            loss = loss_of(hidden)
        loss.backward()
        torch.testing.assert_close(hidden.grad, expected["hidden"])
        torch.testing.assert_close(head.weight.grad, expected["weight"])

    def test_many_chunks_of_a_bfloat16_head_add_up_in_float32(self) -> None:
        """512 equal contributions: bfloat16 would stop growing at 256 of them."""
        head = nn.Linear(D, V, bias=False).bfloat16()
        hidden = normal(1, D).bfloat16().expand(512, D)
        teacher = [TeacherPart(normal(1, D, seed=1).expand(512, D), made("bias"))]
        divergence_sums(hidden, head, teacher, OBJECTIVES[0], rows_at_once=1).loss.backward()
        assert head.weight.grad is not None
        assert head.weight.grad.dtype == torch.bfloat16
        many = head.weight.grad.float()
        head.zero_grad()
        one = [TeacherPart(teacher[0].hidden_ND[:1], teacher[0].head)]
        divergence_sums(hidden[:1], head, one, OBJECTIVES[0]).loss.backward()
        torch.testing.assert_close(many, 512 * head.weight.grad.float(), rtol=0.02, atol=1e-3)


class Largest(TorchDispatchMode):
    """Remembers the most elements of any tensor that an operation gave back, views and the backward included."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return result


class TestMemory:
    WIDE, LONG, ROWS = 500, 96, 5

    def largest(self, loss_of: Callable[[torch.Tensor, nn.Module, list[TeacherPart]], torch.Tensor]) -> int:
        head = nn.Linear(D, self.WIDE)
        teacher = [TeacherPart(normal(self.LONG, D), nn.Linear(D, self.WIDE), weight) for weight in (0.3, 0.7)]
        hidden = normal(self.LONG, D).requires_grad_()
        with Largest() as seen:
            loss_of(hidden, head, teacher).backward()
        assert hidden.grad is not None
        return seen.elements

    @pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
    def test_no_tensor_is_larger_than_a_chunk_or_the_head(self, objective: Objective) -> None:
        found = self.largest(
            lambda hidden, head, teacher: (
                divergence_sums(hidden, head, teacher, objective, rows_at_once=self.ROWS).loss / self.LONG
            )
        )
        assert found <= max(self.ROWS, D) * self.WIDE < self.LONG * self.WIDE

    def test_in_one_piece_there_is_one(self) -> None:
        """What the test above looks for is seen where it is."""
        found = self.largest(lambda hidden, head, teacher: in_one_piece(hidden, head, teacher, OBJECTIVES[0]))
        assert found >= self.LONG * self.WIDE

    def test_the_rows_at_once_follow_from_the_vocabulary(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(losses, "CHUNK_BYTES", 4 * self.WIDE * 9)
        asked: list[int] = []

        def counted(hidden: torch.Tensor, head: nn.Module, teacher: list[TeacherPart]) -> torch.Tensor:
            def asking(rows: torch.Tensor) -> torch.Tensor:
                asked.append(len(rows))
                logits: torch.Tensor = head(rows)
                return logits

            return divergence_sums(hidden, asking, teacher, OBJECTIVES[0]).loss

        self.largest(counted)
        assert asked == [1, *[9] * 10, 6]


@pytest.fixture
def one_rank() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Language(nn.Module):
    """An embedding, a layer and a head of the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = nn.Embedding(V, D), nn.Linear(D, D)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layer(self.embedding(tokens))  # type: ignore[no-any-return]

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.embedding.weight)


def language_loss(model: Language, tokens: torch.Tensor) -> Sums:
    return divergence_sums(model(tokens), model.head, plain_teacher(), OBJECTIVES[0], rows_at_once=7)


@pytest.mark.usefixtures("one_rank")
def test_fully_sharded_weights_get_the_same_gradients() -> None:
    """FSDP2: the gathered weight's gradients reach the shards, from the head and from the embedding tied to it."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    tokens = torch.arange(N) % V
    torch.manual_seed(0)
    plain = Language()
    language_loss(plain, tokens).loss.backward()
    torch.manual_seed(0)
    sharded = Language()
    fully_shard(sharded.layer, mesh=init_device_mesh("cpu", (1,)))
    fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
    language_loss(sharded, tokens).loss.backward()
    for expected, parameter in zip(plain.parameters(), sharded.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.full_tensor(), expected.grad)
