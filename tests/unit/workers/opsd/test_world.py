import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingOptions
from workers.engines import Request, Sampling, model_folder
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.opsd.replicas import ReplicaEngine, SharedSampler
from workers.opsd.student import Student
from workers.opsd.world import ALONE, World, _require_gpus, interleaved
from workers.sampling.arms import Draw, Rows, Sampler
from workers.sampling.drawn import draw_problems
from workers.tasks import Problem, Task, Verdict

T = TypeVar("T")


class TestParts:
    @given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
    def test_what_is_shared_comes_back_in_order(self, items: list[int], size: int) -> None:
        parts = [World(rank, size).share(items) for rank in range(size)]
        assert parts == World(0, size).parts(items)
        assert interleaved(parts) == items

    @given(st.lists(st.integers(1, 100), max_size=40), st.integers(1, 7))
    def test_of_sorted_work_all_get_about_as_much(self, widths: list[int], size: int) -> None:
        parts = World(0, size).parts(sorted(widths))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        sums = [sum(part) for part in parts]
        assert max(sums) - min(sums) <= max(widths, default=0)


def test_alone_it_is_told_what_it_tells() -> None:
    assert ALONE.first
    assert ALONE.gather([3, 1, 2]) == [3, 1, 2]
    assert ALONE.total(0.1, 2) == [0.1, 2]
    assert [ALONE.any(one) for one in (True, False)] == [True, False]


def test_more_processes_than_gpus_are_refused() -> None:
    _require_gpus(4, 4)
    with pytest.raises(JobError, match=r"training\.processes: 4 on a worker with 2 GPU\(s\)") as failure:
        _require_gpus(4, 2)
    assert (failure.value.code, failure.value.param) == ("not_enough_gpus", "training.processes")


@dataclass
class Meeting:
    """Where two threads meet and tell each other something."""

    told: list[Any] = field(default_factory=lambda: [None, None])
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=120))


@dataclass(frozen=True)
class Threads(World):
    """A world of two threads of this process."""

    size: int = 2
    meeting: Meeting = field(default_factory=Meeting)

    def all(self, mine: T) -> list[T]:
        self.meeting.told[self.rank] = mine
        self.meeting.barrier.wait()
        found = list(self.meeting.told)
        self.meeting.barrier.wait()
        return found


def in_two(work: Callable[[World], T]) -> list[T]:
    """What each of two comes to."""
    meeting = Meeting()
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, [Threads(rank, meeting=meeting) for rank in range(2)]))


def test_sums_and_flags_are_those_of_all() -> None:
    assert in_two(lambda world: world.total(world.rank, 0.5)) == [[1, 1.0]] * 2
    assert in_two(lambda world: world.any(world.rank == 1)) == [True, True]
    assert in_two(lambda world: world.any(False)) == [False, False]
    assert in_two(lambda world: world.gather(world.share("abcde"))) == [list("abcde")] * 2


@dataclass(frozen=True)
class Counting:
    """A task whose verifier remembers what it was asked."""

    task: Task
    asked: list[str]

    def verify(self, problem: Problem, completion: str) -> Verdict:
        self.asked.append(problem.id)
        return self.task.verify(problem, completion)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


class TestReplicas:
    @pytest.fixture
    def replicas(self) -> list[TransformersEngine]:
        return [TransformersEngine.load(model_folder("lab/addition-qwen3-s")) for _ in range(2)]

    def test_two_draw_what_one_draws_and_each_half_of_it(
        self, task: Task, engine: TransformersEngine, replicas: list[TransformersEngine], sampling: Sampling
    ) -> None:
        problems = draw_problems(task, 5, 0)
        draw = Draw.plain("any", problems, 3)
        expected = Sampler(engine, task, sampling, 0).draw([draw])
        asked: tuple[list[str], list[str]] = ([], [])
        drawn: tuple[list[Request], list[Request]] = ([], [])

        def work(world: World) -> list[Rows]:
            trained = Student(replicas[world.rank], Recipe(), TrainingOptions(), 0)
            shared = ReplicaEngine(replicas[world.rank], trained, world)
            generate = shared._engine.generate

            def remember(requests: Any, *more: Any, **named: Any) -> Any:
                drawn[world.rank].extend(requests)
                return generate(requests, *more, **named)

            shared._engine.generate = remember  # type: ignore[method-assign]
            counting: Any = Counting(task, asked[world.rank])
            return SharedSampler(shared, counting, sampling, 0, world=world).draw([draw])

        for found in in_two(work):
            assert found == expected
        assert [len(one) for one in drawn] == [3, 2]
        assert [len(one) for one in asked] == [8, 7]

    def test_they_say_how_many_they_are(self, replicas: list[TransformersEngine]) -> None:
        student = Student(replicas[0], Recipe(), TrainingOptions(), 0)
        assert ReplicaEngine(replicas[1], student, World(0, 2)).fingerprint()["processes"] == "2"
