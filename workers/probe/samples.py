"""The rollouts of a probe that are kept to be read: those of its first problems, within bounds."""

from collections.abc import Mapping, Sequence
from typing import cast

from gapcast.contract.events import Emit, ProbeSamples
from gapcast.contract.samples import ArmName, Sample, SampleLimits, SampleMessage
from workers.contexts import BuiltContext
from workers.engines import Prompt
from workers.sampling.arms import Draw, Rollout, Rows
from workers.sampling.self_teacher import Taught
from workers.tasks import Problem

ROLLOUTS = 4
"""of a problem and arm that are kept, as many as a probe draws by default: more problems say more than more rollouts
of one"""


class SampleLog:
    """Passes rollouts on until the bounds are reached; without `limits` none."""

    def __init__(self, limits: SampleLimits | None, emit: Emit) -> None:
        self._limits, self._emit = limits, emit
        self._count = self._size = 0
        self._open = limits is not None and limits.count > 0

    def add(
        self, problems: Sequence[Problem], plain: Mapping[str, tuple[Draw, Rows]], taught: Mapping[str, Taught]
    ) -> None:
        """Take all arms of the next problems; each problem is kept whole or not at all."""
        if not self._open or self._limits is None:
            return
        first, kept = self._count == 0, list[Sample]()
        for place, problem in enumerate(problems):
            of_problem = [one.within(self._limits.characters) for one in _samples(problem, place, plain, taught)]
            size = sum(one.size for one in of_problem)
            self._open = self._count + len(of_problem) <= self._limits.count and self._size + size <= self._limits.bytes
            if not self._open:
                break
            self._count, self._size = self._count + len(of_problem), self._size + size
            kept += of_problem
        if kept:
            self._emit(ProbeSamples(first=first, samples=kept))


def _samples(
    problem: Problem, place: int, plain: Mapping[str, tuple[Draw, Rows]], taught: Mapping[str, Taught]
) -> list[Sample]:
    """The first rollouts of a problem, arm by arm."""
    arms: dict[str, tuple[Draw, Rows, list[BuiltContext] | None]] = {
        **{arm: (draw, rows, None) for arm, (draw, rows) in plain.items()},
        **{arm: (one.draw, one.rows, one.built[place]) for arm, one in taught.items()},
    }
    return [
        _sample(
            problem, arm, number, draw.prompts[place][number], built[number] if built is not None else None, rollout
        )
        for number in range(ROLLOUTS)
        for arm, (draw, rows, built) in arms.items()
        for rollout in rows[place][number : number + 1]
    ]


def _sample(
    problem: Problem, arm: str, number: int, prompt: Prompt, built: BuiltContext | None, rollout: Rollout
) -> Sample:
    sample, verdict = rollout.sample, rollout.verdict
    return Sample(
        problem_id=problem.id,
        rollout=number,
        arm=cast(ArmName, arm),
        prompt=prompt if isinstance(prompt, str) else [SampleMessage(**message) for message in prompt],
        context=built.text if built is not None else None,
        completion=sample.text,
        answer=verdict.read,
        expected=problem.answer,
        score=verdict.score,
        note=verdict.note,
        finish_reason="length" if sample.truncated else "stop",
        tokens=len(sample.token_ids),
    )
