"""Student, self-teacher and evaluation decode as each is asked to: what is encoded and drawn says so."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gapcast.contract.contexts import context_of
from gapcast.contract.measured import Decoding, OtherDecoding
from gapcast.contract.probes import ProbeConfiguration
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingConfiguration
from workers.engines.transformers import TransformersEngine
from workers.opsd.evaluation import Before, Evaluator
from workers.opsd.rollouts import draw_step
from workers.opsd.stopwatch import Stopwatch
from workers.probe.measurement import Measurement
from workers.sampling.arms import Sampler, sampling_of
from workers.sampling.drawn import draw_problems
from workers.tasks import Problem, Task

SOLUTION = context_of({"kind": "reference_solution"})
APART = Decoding(
    max_tokens=6,
    teacher=OtherDecoding(thinking=True, max_tokens=9),
    evaluation=OtherDecoding(thinking=True, temperature=0.5),
)


class Asked(NamedTuple):
    """What an engine was asked for."""

    shown: bool
    """the prompt holds more than the problem"""
    thinking: bool


class Noting:
    """An engine that notes the mode of each prompt, and how each draw samples."""

    def __init__(self, inner: TransformersEngine) -> None:
        self.inner = inner
        self.encoded: set[Asked] = set()
        self.drawn: list[tuple[int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def encode(self, prompt: Any, *, thinking: bool = False) -> tuple[int, ...]:
        self.encoded.add(Asked(len(str(prompt)) > len("123+456="), thinking))
        return self.inner.encode(prompt)  # the lab's model has no mode of its own, and room for short prompts alone

    def generate(self, requests: Any, sampling: Any, **more: Any) -> Any:
        self.drawn.append((sampling.max_tokens, sampling.temperature))
        return self.inner.generate(requests, sampling, **more)


@pytest.fixture
def noting(engine: TransformersEngine) -> Noting:
    return Noting(engine)


def sampler(engine: Any, task: Task, decoding: Decoding) -> Sampler:
    student = decoding.of("student")
    return Sampler(engine, task, sampling_of(student, task), 0, student.thinking)


@pytest.fixture
def problems(task: Task) -> list[Problem]:
    return list(draw_problems(task, 4, 0))


def test_a_probe_measures_each_side_as_it_samples(
    noting: Noting, task: Task, problems: list[Problem], configure: Callable[..., ProbeConfiguration]
) -> None:
    probe = configure({"kind": "reference_solution"}, decoding=APART, controls=["placebo"])
    Measurement(probe, sampler(noting, task, APART)).add(problems)
    assert Asked(shown=True, thinking=True) in noting.encoded
    assert Asked(shown=False, thinking=False) in noting.encoded
    assert Asked(shown=True, thinking=False) not in noting.encoded
    assert noting.drawn == [(6, 1.0), (9, 1.0)], "the student's draws, then the self-teacher's"


def test_where_nothing_differs_one_sampler_does_all(noting: Noting, task: Task) -> None:
    one = sampler(noting, task, Decoding(max_tokens=6))
    assert one.decoding_as(Decoding(max_tokens=6)) is one


def test_a_step_trains_on_the_students_rollouts_and_reads_the_teacher_in_its_mode(
    noting: Noting, task: Task, problems: list[Problem]
) -> None:
    student = sampler(noting, task, APART)
    drawn = draw_step(student, student.decoding_as(APART.of("teacher")), SOLUTION, problems, 2, 0, Stopwatch())
    assert noting.encoded == {Asked(shown=False, thinking=False), Asked(shown=True, thinking=True)}
    assert noting.drawn == [(6, 1.0)]
    assert len(drawn.lessons) == 8


def test_a_run_measures_its_gap_and_its_improvement_each_in_its_mode(
    noting: Noting, task: Task, problems: list[Problem]
) -> None:
    student = sampler(noting, task, APART)
    teacher, evaluated = (student.decoding_as(APART.of(axis)) for axis in ("teacher", "evaluation"))
    evaluator = Evaluator(evaluated, student, teacher, problems, problems[:2], 3)
    before = evaluator.before(SOLUTION, None)
    assert noting.drawn == [(6, 0.5), (6, 1.0), (9, 1.0)], "evaluated, student, self-teacher"
    assert before.asked is not None
    assert before.asked.shape == before.student.shape == before.self_teacher.shape == (4, 3)
    assert evaluator.rollouts_drawn == 3 * 12 + 6
    noting.drawn.clear()
    evaluator.after("later")
    assert noting.drawn == [(6, 0.5)]


def test_gap_and_improvement_have_their_own_baselines() -> None:
    rows = {"student": [[1, 0], [1, 0]], "self_teacher": [[1, 1], [1, 0]], "held_out": None, "asked": [[0, 0], [1, 0]]}
    before = Before.read(rows)
    assert Before.read(before.as_dict()).as_dict() == before.as_dict()
    assert (before.baseline, before.gap.student, before.gap.value) == (0.5, 0.25, 0.5)
    after = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert before.improvement(after).value == 0.5
    old = Before.read({name: rows[name] for name in ("student", "self_teacher", "held_out")})
    assert (old.asked, old.gap.value) == (None, 0.25)


KEYS = {
    "probe": "1bf98e9bb6012291d374e318e759b4cce4ab2897f691039980c333c75a201938",
    "run": "299e71e68539cf4934e234816550fc9524f121c16759d9c866041a3e7753017e",
}
"""of configurations as they were before axes could differ"""


def test_configurations_whose_axes_agree_keep_their_keys() -> None:
    fields: dict[str, Any] = {
        "model": "m",
        "model_revision": "sha256:" + "a" * 64,
        "task": "t",
        "task_revision": "sha256:" + "b" * 64,
        "context": context_of({"kind": "hints"}),
        "template_version": "1",
        "seed": 0,
        "rollouts": 2,
    }
    run = {"recipe": Recipe(), "problems": 64, "evaluation_problems": 64, "held_out_problems": 0}
    for more in ({}, {"teacher": {"thinking": True, "max_tokens": 16}}, {"evaluation": {}}):
        decoding = Decoding.model_validate({"max_tokens": 16, "thinking": True} | more)
        probe = ProbeConfiguration(**fields, decoding=decoding, problems=40, controls=[])
        assert probe.key == KEYS["probe"]
        assert TrainingConfiguration(**fields, decoding=decoding, **run).key == KEYS["run"]
    apart = Decoding.model_validate({"max_tokens": 16, "thinking": True, "teacher": {"thinking": False}})
    assert ProbeConfiguration(**fields, decoding=apart, problems=40, controls=[]).key != KEYS["probe"]


@pytest.mark.parametrize(
    ("decoding", "mode"),
    [
        ({}, None),
        ({"thinking": True}, "thinking"),
        ({"teacher": {"thinking": True}}, "plain/thinking/plain"),
        ({"teacher": {"thinking": True}, "evaluation": {"thinking": True}}, "plain/thinking/thinking"),
        ({"thinking": True, "student": {"thinking": False}}, "plain/thinking/thinking"),
        ({"teacher": {"temperature": 0.5}}, None),
    ],
)
def test_a_mode_has_a_name(decoding: dict[str, Any], mode: str | None) -> None:
    assert Decoding.model_validate(decoding).mode == mode
