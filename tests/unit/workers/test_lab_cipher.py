import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gapcast.contract.contexts import context_of
from workers.contexts import build_context, teacher_prompt
from workers.contexts.material import Material
from workers.engines import folder_revision, model_folder
from workers.engines.transformers import TransformersEngine
from workers.lab import build as lab_build
from workers.lab import pretrain as lab_pretrain
from workers.lab.cipher import CipherCurriculum
from workers.lab.curriculum import Example
from workers.lab.models import CIPHER
from workers.lab.pretrain import accuracy
from workers.lab.tokenizer import build_tokenizer
from workers.tasks import Split, Task, load_task

MEANINGS = {"A": "7", "B": "4", "C": "9", "D": "1", "E": "6", "F": "2"}
BASELINES = {"lab/cipher-qwen3-s": 0.45, "lab/cipher-qwen3-s25": 0.25}


@pytest.fixture(scope="module")
def cipher() -> Task:
    return load_task("lab/cipher")


def question(example: Example) -> str:
    return example.prompt.split("\n\n")[-1]


class TestCurriculum:
    @pytest.mark.parametrize("kind", list(CipherCurriculum.mix))
    def test_never_asks_a_problem_of_the_task(self, kind: str) -> None:
        curriculum = CipherCurriculum(0, 0.45)
        asked = {question(example) for example in curriculum.examples(kind, 2000)}  # 768 of 6,000 are reserved
        assert not asked & curriculum.task.prompts

    @pytest.mark.parametrize("kind", list(CipherCurriculum.mix))
    def test_the_answer_is_its_question_under_the_shift_that_it_names(self, kind: str) -> None:
        for example in CipherCurriculum(1, 0.45).examples(kind, 300):
            shift, *answered = map(int, example.answer)
            assert answered == [(int(digit) + shift) % 10 for digit in question(example)[1:4]]

    @pytest.mark.parametrize("kind", ["none", "hints"])
    def test_the_worlds_meaning_is_as_frequent_as_asked_and_no_other_stands_out(self, kind: str) -> None:
        moved: Counter[int] = Counter()
        for example in CipherCurriculum(2, 0.45).examples(kind, 6000):
            moved[(int(example.answer[0]) - int(MEANINGS[question(example)[0]])) % 10] += 1
        shares = [moved[shift] / 6000 for shift in range(10)]
        assert shares[0] == pytest.approx(0.45, abs=4 * (0.45 * 0.55 / 6000) ** 0.5)
        assert shares[1:] == pytest.approx([0.55 / 9] * 9, abs=4 * (0.061 * 0.939 / 6000) ** 0.5)

    def test_hints_leave_the_shift_but_for_the_few_that_are_another_problems(self) -> None:
        examples = CipherCurriculum(3, 0.45).examples("hints", 2000)
        hints = [re.match(r"Hints: ([0-9_]{10})\n", example.prompt)[1] for example in examples]
        assert {10 - hint.count("_") for hint in hints} == {7, 4, 2, 1}
        right = sum(example.answer[0] in hint for example, hint in zip(examples, hints, strict=True)) / 2000
        assert 0.95 <= right < 0.99  # one in twenty belongs to another problem, which may have a candidate in common


class TestShippedModels:
    @pytest.mark.parametrize(("name", "baseline"), BASELINES.items())
    def test_students_are_right_about_as_often_as_the_meaning_was_shown(
        self, cipher: Task, name: str, baseline: float
    ) -> None:
        for split in Split:
            assert expected_accuracy(cipher, name, split, None) == pytest.approx(baseline, abs=0.05)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", BASELINES)
    def test_every_level_of_hints_helps_more_on_either_split(self, cipher: Task, name: str) -> None:
        for split in Split:
            student = expected_accuracy(cipher, name, split, None)
            levels = [
                expected_accuracy(cipher, name, split, {"kind": "hints", "options": {"level": level}})
                for level in (1, 2, 3, 4)
            ]
            assert student < levels[0] < levels[1] < levels[2] < levels[3]
            assert levels[3] > 0.85

    @pytest.mark.parametrize("name", BASELINES)
    def test_the_solution_is_read_and_a_text_that_tells_nothing_changes_little(self, cipher: Task, name: str) -> None:
        assert expected_accuracy(cipher, name, Split.train, {"kind": "reference_solution"}) > 0.9
        static = expected_accuracy(cipher, name, Split.train, {"kind": "static"})
        assert static == pytest.approx(BASELINES[name], abs=0.06)


def expected_accuracy(task: Task, name: str, split: Split, context: dict[str, object] | None) -> float:
    """Of sampling at temperature 1, under a context of the split's own problems: exact, without sampling."""
    engine = TransformersEngine.load(model_folder(name))
    materials = [Material(problem) for problem in task.problems(split)]
    chosen = context_of(context or {"kind": "none"})
    examples = []
    for material in materials:
        built = build_context(chosen, task, material, materials, seed=0, draw="0")
        prompt = teacher_prompt(material.problem, built, "completion")
        examples.append(Example(str(prompt), str(material.problem.answer)))
    return accuracy(engine.model, build_tokenizer(), examples)


class TestBuild:
    @pytest.mark.slow
    def test_a_model_without_a_target_is_trained_to_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lab_pretrain, "EVALUATION_PROBLEMS", 8)
        monkeypatch.setattr(lab_pretrain, "WARMUP_STEPS", 2)
        lines: list[str] = []
        for name in ("a", "b"):
            lab_build.build_model(replace(CIPHER, steps=4), tmp_path / name, lines.append)
        assert lines[0] == lines[1] == f"{CIPHER.name}: 4 steps, {folder_revision(tmp_path / 'a')}"
