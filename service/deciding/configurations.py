"""What is compared, what has been measured of it, by which rules, and the answer of a look."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from service.law.observations import FloatArray

Stop = Literal["decided", "indifferent", "law", "budget", "most_problems"]


class Configuration(NamedTuple):
    """One configuration of a comparison.

    Attributes:
        law: index of the law that predicts it.
        question: the fields of ``service.law.Probe`` but for what a probe measures: family, cell, teacher, divergence,
            context, model. ``improvement_var`` may be there and does not count: the latent improvement ranks.
        paired: configurations with the same text share model, decoding, law and cell, and the law treats their contexts
            alike, so that the larger gap has the larger prediction. Only their gaps are tested against each other.
        student: configurations with the same text share the student's samples (model and decoding).
        teacher: configurations with the same text share the self-teacher's samples, too (the context as well).
        rollouts: K, for each problem and arm.
        most: problems that it may have at most.
    """

    law: int
    question: Mapping[str, Any]
    paired: str
    student: str
    teacher: str
    rollouts: int
    most: int


class Known(NamedTuple):
    """The measurements of one configuration so far.

    Attributes:
        differences: (n,) self-teacher minus student accuracy of each problem. All configurations go through the
            problems in one order; one that has fewer has the first ones.
        gap_var: sampling variance of their mean.
        student: the student's accuracy.
        gap_spread: variance over problems of the true gap; ``None`` where one rollout does not show it.
    """

    differences: FloatArray
    gap_var: float
    student: float
    gap_spread: float | None


class Rules(NamedTuple):
    """How a comparison decides.

    Attributes:
        confidence: probability that the answer needs, in (0, 1); 1 minus it is the risk that a best configuration is
            eliminated.
        indifference: difference in improvement that does not matter, accuracy share.
        pick: how many configurations are chosen.
        seed: of all draws, together with the round.
        first: problems that every configuration gets before any other question.
    """

    confidence: float = 0.95
    indifference: float = 0.01
    pick: int = 1
    seed: int = 0
    first: int = 32


class Standing(NamedTuple):
    """Where one configuration stands.

    Attributes:
        mean: predicted improvement, accuracy share.
        lower, upper: its 80 % interval.
        p_best: probability that a run of it improves most.
        p_picked: probability that it is among the ``pick`` best.
        loss: expected loss of choosing it instead of the best, accuracy share.
        eliminated: its gap is shown to be smaller than that of ``pick`` others of its group.
        refused: the law refuses to predict it. It ranks by its draws all the same.
    """

    mean: float
    lower: float
    upper: float
    p_best: float
    p_picked: float
    loss: float
    eliminated: bool
    refused: bool


class Decision(NamedTuple):
    """The answer of a look, and the next round.

    Attributes:
        standings: one for each configuration.
        leader: the configuration with the largest predicted improvement.
        picked: the leader, then those that are most probably best, ``pick`` in all.
        p_best_picked: probability that the best one is among the picked.
        alike: configurations that the leader does not beat by more than ``indifference`` with ``confidence``.
        stop: the reason to end; ``None`` while a next round pays.
        more: problems that configurations shall have after the next round, in total; empty at a stop.
        eliminated: all that have been eliminated so far.
    """

    standings: tuple[Standing, ...]
    leader: int
    picked: tuple[int, ...]
    p_best_picked: float
    alike: tuple[int, ...]
    stop: Stop | None
    more: dict[int, int]
    eliminated: frozenset[int]


def cost(configurations: Sequence[Configuration], have: Mapping[int, int], want: Mapping[int, int]) -> int:
    """Count the rollouts from some problems to more.

    The self-teacher's arm is paid once a ``teacher``, the student's arm and the ``none`` arm once a ``student``: for
    each problem as many rollouts as the most demanding configuration takes.

    Args:
        configurations: all of the comparison.
        have: problems measured, by index; 0 where it is missing.
        want: problems after the round, in total; as in ``have`` where it is missing.
    """
    return _total(
        configurations, {**have, **{index: max(n, have.get(index, 0)) for index, n in want.items()}}
    ) - _total(configurations, have)


def _total(configurations: Sequence[Configuration], problems: Mapping[int, int]) -> int:
    plain, taught = dict[str, int](), dict[str, int]()
    for arms, name in ((plain, "student"), (taught, "teacher")):
        covered: dict[str, int] = {}
        for index in sorted(problems, key=lambda index: -configurations[index].rollouts):
            each, n = configurations[index], problems[index]
            key = getattr(each, name)
            arms[key] = arms.get(key, 0) + max(n - covered.get(key, 0), 0) * each.rollouts
            covered[key] = max(n, covered.get(key, 0))
    return sum(taught.values()) + 2 * sum(plain.values())
