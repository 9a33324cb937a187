"""The self-teacher's arms: each rollout of the student is answered again with a context made for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gapcast.contract.contexts import Context
from workers.contexts import (
    Attempt,
    BuiltContext,
    Material,
    build_context,
    extract_hints,
    prompt_shape,
    teacher_prompt,
)
from workers.engines import Prompt
from workers.sampling.arms import Draw, Rollout, Rows, Sampler
from workers.sampling.schedule import LOOK, PILOT
from workers.tasks import Problem

DONORS = 512
"""Problems whose rollouts are kept for contexts that show another problem's: enough that two rarely meet again, and
few enough to hold in memory."""
DONOR_ROLLOUTS = 4
"""of each of them; the groups of all 256 that a probe may draw would take gigabytes"""


def donors_of(place: int) -> range:
    """The places of the problems whose rollouts may stand in a wrong context of the problem at `place`.

    They are those that are done with it at the latest, however the probe takes its problems: a longer probe, or a
    sequential one, gives its first problems the very same contexts.
    """
    end = max(PILOT, (place // LOOK + 1) * LOOK)
    return range(max(0, end - DONORS), end)


@dataclass(frozen=True)
class Taught:
    """One arm on some problems."""

    draw: Draw
    built: list[list[BuiltContext]]
    """What each rollout was shown; a rollout without a context got the student's prompt and a fresh sample."""
    rows: Rows


class SelfTeacher:
    """Draws one arm for each of `contexts`; their names make the samples of one independent of the others'.

    Args:
        sampler: of the student's rollouts too.
        contexts: by arm.
        rollouts: of every problem and arm.
        group_size: of the recipe's groups; null where no context depends on them.
    """

    def __init__(
        self, sampler: Sampler, contexts: Mapping[str, Context], rollouts: int, group_size: int | None
    ) -> None:
        self._sampler, self._contexts = sampler, contexts
        self._group = group_size or 1
        self.extra = max(0, self._group - rollouts)
        """Rollouts of a problem that only fill its groups, where these are larger than the probe's."""
        self._shape = prompt_shape(sampler.engine)
        self._done: list[list[Material]] = []
        """donors, by problem; those that no other problem can draw on any more are emptied"""

    def peers(self, arm: str, problems: Sequence[Problem]) -> list[Draw]:
        """What is to be drawn beside the student's rollouts: nothing, or the rest of the groups."""
        return [Draw.plain(arm, problems, self.extra)] if self.extra else []

    def draw(self, problems: Sequence[Problem], student: Rows, peers: Sequence[Rows]) -> dict[str, Taught]:
        """All arms on the next problems, given the student's rollouts and what `peers` asked for."""
        attempts = [_attempts([*row, *(peers[0][index] if peers else [])]) for index, row in enumerate(student)]
        materials = [
            [_material(problem, tried, place, self._group) for place in range(len(row))]
            for problem, row, tried in zip(problems, student, attempts, strict=True)
        ]
        for context in self._contexts.values():
            materials = self._with_hints(context, materials)
        first = len(self._done)
        self._done += [row[:DONOR_ROLLOUTS] for row in materials]
        built = {arm: self._build(arm, context, materials, first) for arm, context in self._contexts.items()}
        for place in range(donors_of(len(self._done)).start):
            self._done[place] = []
        draws = {arm: Draw(arm, problems, self._prompts(problems, rows)) for arm, rows in built.items()}
        tables = self._sampler.draw(list(draws.values()))
        return {arm: Taught(draws[arm], built[arm], rows) for arm, rows in zip(draws, tables, strict=True)}

    def _with_hints(self, context: Context, materials: list[list[Material]]) -> list[list[Material]]:
        sampler = self._sampler
        flat = [one for row in materials for one in row]
        found = iter(extract_hints(sampler.engine, context, flat, sampler.sampling, sampler.seed, self._shape))
        return [[next(found) for _ in row] for row in materials]

    def _build(
        self, arm: str, context: Context, materials: list[list[Material]], first: int
    ) -> list[list[BuiltContext]]:
        """The contexts of the newest problems, which begin at place `first`."""
        task, seed = self._sampler.task, self._sampler.seed
        built = []
        seen, donors = range(0), list[Material]()
        for place, row in enumerate(materials, start=first):
            if donors_of(place) != seen:
                seen = donors_of(place)
                donors = [one for done in self._done[seen.start : seen.stop] for one in done]
            built.append(
                [build_context(context, task, one, donors, seed=seed, draw=f"{arm}-{k}") for k, one in enumerate(row)]
            )
        return built

    def _prompts(self, problems: Sequence[Problem], built: list[list[BuiltContext]]) -> list[list[Prompt]]:
        return [
            [teacher_prompt(problem, one, self._shape) for one in row]
            for problem, row in zip(problems, built, strict=True)
        ]


def _attempts(rollouts: Sequence[Rollout]) -> list[Attempt]:
    return [Attempt(one.sample.text, one.verdict) for one in rollouts]


def _material(problem: Problem, attempts: Sequence[Attempt], place: int, size: int) -> Material:
    """A rollout's group: itself and the ones that follow it, around the end."""
    return Material(problem, tuple(attempts[(place + step) % len(attempts)] for step in range(size)), 0)
