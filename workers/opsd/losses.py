"""The loss of a batch of tokens, a few rows at a time: no matrix of tokens x vocabulary ever exists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from workers.opsd.divergences import divergence_and_gradient, token_divergence, workspace
from workers.opsd.objective import Objective
from workers.opsd.prepared import Prepared

__all__ = ["Head", "Objective", "Sums", "TeacherPart", "divergence_sums", "token_divergence"]

Head = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states, shape (n, D), to logits, shape (n, V): a model's `lm_head`, whatever wraps it."""

CHUNK_BYTES = 2**26
"""Of one float32 matrix of rows x vocabulary on a CPU. glibc takes blocks of more than 32 MiB from the system and gives
them back; smaller ones are a quarter faster but leave holes: 8192 tokens of 150,000 took 5.9 GB and not 0.5."""
CHUNK_BYTES_ELSEWHERE = 2**28
"""Of one on an accelerator: some 450 rows at that vocabulary for every time that the weight is read. Reckoned: a few
hundred operations a byte keep its arithmetic busy."""


@dataclass(frozen=True)
class TeacherPart:
    """One factor of the self-teacher: log q ~ sum of weight x log-probabilities over the parts, renormalised.

    One part is a plain teacher. Student and initial model with the weights r and 1 - r are a trust region.
    """

    hidden_ND: torch.Tensor  # noqa: N815 - a shape
    """The states from which the part predicts the same N tokens, with the privileged context before them."""
    head: Head
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight: {self.weight} of a teacher's part; give a number above 0, or leave the part out")


@dataclass(frozen=True)
class Sums:
    """Over the rows given, each of shape (). A mean over tokens is the caller's: he knows all the batch's tokens."""

    loss: torch.Tensor
    """Nats; the divergences of all tokens, each clipped where the objective clips. `backward` goes to hidden states and
    to whatever the student's head is made of, once."""
    agreement: torch.Tensor
    """Tokens at which student and self-teacher give the highest probability to the same one."""
    clipped: torch.Tensor
    """Tokens whose divergence reached the clip."""


def divergence_sums(
    hidden_ND: torch.Tensor,
    head: Head,
    teacher: Sequence[TeacherPart],
    objective: Objective,
    *,
    rows_at_once: int | None = None,
) -> Sums:
    """The loss of N tokens from the states that predict them, `rows_at_once` rows at a time (null: `CHUNK_BYTES`).

    Gradients are made chunk by chunk in the forward pass and kept as those of the hidden states and of the head's own
    parameters: no head runs twice, and backward only scales them. The head runs under the caller's autocast, the
    divergence in float32 (float64 for logits of it). Nothing flows into the teacher, even where it is the student.

    With FSDP2 the head must belong to a unit that is gathered when this is called (the root's parameters are, from its
    forward to its backward), and must not be sharded by itself: a head that is gathered anew for every chunk would be
    dropped again before its gradient is taken.

    Raises:
        ValueError: a teacher has no part or not one state a token, or `rows_at_once` is not positive.
    """
    tokens = len(hidden_ND)
    _require_parts(teacher, tokens)
    rows = rows_at_once if rows_at_once is not None else _rows(hidden_ND, head)
    if rows < 1:
        raise ValueError(f"rows_at_once: {rows}; give 1 or more, or null")
    prepared = Prepared(hidden_ND)
    values, agreements = [], []
    space: list[torch.Tensor] = []
    for start in range(0, max(tokens, 1), rows):  # no token is one empty chunk: every rank's head takes part
        chunk = slice(start, start + rows)
        hidden_nD = prepared.rows(chunk)
        logits_nV = head(hidden_nD)
        teacher_nV = _teacher_logits(teacher, chunk)
        with torch.no_grad(), torch.autocast(logits_nV.device.type, enabled=False):
            student_nV = _precise(logits_nV.detach())
            space = [whole[: len(student_nV)] for whole in space] or workspace(student_nV, objective)
            value_n, gradient_nV = divergence_and_gradient(student_nV, teacher_nV, objective, space)
            values.append(value_n)
            agreements.append(student_nV.argmax(dim=-1) == teacher_nV.argmax(dim=-1))
            prepared.add(chunk, logits_nV, gradient_nV)
    value_N = torch.cat(values)
    clip = torch.inf if objective.token_clip is None else objective.token_clip
    return Sums(prepared.attach(value_N.sum()), torch.cat(agreements).sum(), (value_N >= clip).sum())


def _require_parts(teacher: Sequence[TeacherPart], tokens: int) -> None:
    if not teacher:
        raise ValueError("teacher: no part; give at least one")
    for part in teacher:
        if len(part.hidden_ND) != tokens:
            raise ValueError(f"teacher: {len(part.hidden_ND)} states for {tokens} tokens; give one for every token")


@torch.no_grad()  # type: ignore[untyped-decorator] # torch's own
def _rows(hidden_ND: torch.Tensor, head: Head) -> int:
    """As many as fit into the bytes of a chunk, at least one."""
    vocabulary: int = head(hidden_ND[:1]).shape[-1]  # what a weight's shape says differs between kinds of layers
    allowed = CHUNK_BYTES if hidden_ND.device.type == "cpu" else CHUNK_BYTES_ELSEWHERE
    return max(1, allowed // (4 * vocabulary))


@torch.no_grad()  # type: ignore[untyped-decorator] # torch's own
def _teacher_logits(teacher: Sequence[TeacherPart], chunk: slice) -> torch.Tensor:
    """Logits of the mix: the parts' normalisations are constants of a row, which the mix's own makes up for."""
    first, *others = teacher
    mixed_nV = _precise(first.head(first.hidden_ND[chunk]))
    if not others:
        return mixed_nV
    mixed_nV = _weighted(mixed_nV, first.weight)
    for part in others:
        mixed_nV += _weighted(_precise(part.head(part.hidden_ND[chunk])), part.weight)
    return mixed_nV


def _weighted(logits_nV: torch.Tensor, weight: float) -> torch.Tensor:
    """With the highest logit at 0, so that no large constant costs the sum its digits."""
    return (logits_nV - logits_nV.amax(dim=-1, keepdim=True)).mul_(weight)


def _precise(logits_nV: torch.Tensor) -> torch.Tensor:
    return logits_nV if logits_nV.dtype == torch.float64 else logits_nV.float()
