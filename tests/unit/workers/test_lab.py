import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from gapcast.contract.probes import Difference
from gapcast.contract.training_results import TrainedRun
from service.observations.service import row_of_run
from tests.support.training_results import GAP, evaluation, training_configuration, training_result
from workers.engines import folder_revision, model_folder
from workers.lab import build as lab_build
from workers.lab import measure as lab_measure
from workers.lab import pretrain as lab_pretrain
from workers.lab.__main__ import main
from workers.lab.addition import AdditionCurriculum
from workers.lab.models import MODELS
from workers.lab.tokenizer import build_tokenizer
from workers.tasks import Task


class TestShipped:
    def test_the_index_describes_the_files_that_are_shipped(self, tmp_path: Path) -> None:
        lab_build.write_index(lab_build.LAB_MODELS, tmp_path / "lab.json")
        assert json.loads((tmp_path / "lab.json").read_text()) == json.loads(lab_build.INDEX.read_text())

    def test_the_models_are_small(self) -> None:
        sizes = [lab_build.parameters(model_folder(spec.name)) for spec in MODELS]
        assert 80_000 < sizes[0] < 120_000
        assert 300_000 < sizes[1] < 500_000
        assert sum(file.stat().st_size for file in lab_build.LAB_MODELS.rglob("*") if file.is_file()) < 10_000_000

    def test_other_users_can_read_the_files(self) -> None:
        files = [file for file in lab_build.LAB_MODELS.rglob("*") if file.is_file()]
        assert files
        assert all(file.stat().st_mode & 0o004 for file in files)


class TestTokenizer:
    def test_text_comes_back_as_it_went_in(self) -> None:
        tokenizer = build_tokenizer()
        text = "Hints: 0_7_\n\n123+456= ~!"
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text)
        assert tokenizer.decode(ids) == text

    def test_a_character_that_it_lacks_is_one_unknown_token(self) -> None:
        tokenizer = build_tokenizer()
        assert tokenizer("é")["input_ids"] == [tokenizer.unk_token_id]


class TestCurriculum:
    def test_never_shows_a_problem_of_the_task(self) -> None:
        curriculum = AdditionCurriculum(0)
        examples = curriculum.examples("none", 20_000)  # of 1e6 sums 768 are reserved: 15 hits by chance
        assert not {example.prompt for example in examples} & curriculum.task.prompts

    @pytest.mark.parametrize("kind", ["hints", "feedback", "reference_solution", "static"])
    def test_the_question_comes_last_and_the_answer_is_its_sum(self, kind: str) -> None:
        for example in AdditionCurriculum(1).examples(kind, 200):
            left, right = example.prompt.split("\n\n")[1].removesuffix("=").split("+")
            assert int(example.answer) == int(left) + int(right)

    def test_a_few_solutions_are_wrong(self) -> None:
        examples = AdditionCurriculum(2).examples("reference_solution", 4000)
        wrong = sum(f"Solution: {example.answer}\n" not in example.prompt for example in examples) / 4000
        assert wrong == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 4000) ** 0.5)


class TestBuild:
    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stops at the first check and evaluates on little."""
        monkeypatch.setattr(lab_pretrain, "EVALUATION_PROBLEMS", 8)

    @pytest.mark.slow
    @pytest.mark.usefixtures("quick")
    def test_is_reproducible(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            torch.rand(3)  # whatever was drawn before must not matter
            lab_build.build_model(replace(MODELS[0], target_accuracy=-1.0), tmp_path / name, lambda line: None)
        assert folder_revision(tmp_path / "a") == folder_revision(tmp_path / "b")

    def test_finished_models_are_skipped_and_an_interrupted_one_is_not_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []

        def interrupted(*arguments: Any) -> int:
            started.append("training")
            raise InterruptedError

        monkeypatch.setattr(lab_build, "pretrain", interrupted)
        (tmp_path / MODELS[0].folder).mkdir()
        lines: list[str] = []
        with pytest.raises(InterruptedError):
            lab_build.build(lines.append, tmp_path, tmp_path / "lab.json")
        assert lines == [f"{MODELS[0].name}: already built, skipped"]
        assert started == ["training"]
        assert not (tmp_path / MODELS[1].folder).exists()


class TestMeasure:
    def test_no_run_is_listed_twice(self) -> None:
        ids = [run.external_id for run in lab_measure.runs()]
        assert len(ids) == len(set(ids)) >= 24

    def test_a_row_brings_the_runs_curve_and_what_an_outcome_has(self) -> None:
        run = TrainedRun(
            external_id="x",
            pool="lab",
            source="lab",
            family="lab-qwen3",
            configuration=training_configuration(),
            outcome=training_result(evaluations=[evaluation(), evaluation(step=20)]),
        )
        row = json.loads(json.dumps(lab_measure.row_of(run)))
        assert not {"best", "problem_ids", "artifact", "warnings"} & row.keys()
        assert [look.step for look in row_of_run(TrainedRun.read(row)).curve or []] == [10, 20]

    def test_goes_on_where_it_stopped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        measured: list[str] = []

        def fake(run: lab_measure.Run) -> TrainedRun:
            if len(measured) == 3:
                raise InterruptedError
            measured.append(run.external_id)
            value = len(measured) / 100
            return TrainedRun(
                external_id=run.external_id,
                pool="lab",
                source="lab",
                family="lab-qwen3",
                configuration=training_configuration(),
                outcome=training_result(
                    gap=GAP.model_copy(update={"value": value}), improvement=Difference(value=value, se=0.01)
                ),
            )

        monkeypatch.setattr(lab_measure, "measure", fake)
        out = tmp_path / "pool.json"
        with pytest.raises(InterruptedError):
            lab_measure.measure_pool(out, lambda line: None)
        assert [row["external_id"] for row in json.loads(out.read_text())] == measured
        first, lines = measured.copy(), []
        measured.clear()
        wanted = lab_measure.runs()[:5]
        monkeypatch.setattr(lab_measure, "runs", lambda: wanted)
        lab_measure.measure_pool(out, lines.append)
        assert [row["external_id"] for row in json.loads(out.read_text())] == first + measured
        assert len(measured) == 2
        assert sum("already measured" in line for line in lines) == 3


class TestShippedPool:
    @pytest.fixture(scope="module")
    @staticmethod
    def pool() -> list[dict[str, Any]]:
        path = lab_build.INDEX.parent.parent / "observations" / "lab_pool.json"
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        return rows

    def test_every_run_of_the_list_is_there_and_no_other(self, pool: list[dict[str, Any]]) -> None:
        assert [row["external_id"] for row in pool] == [run.external_id for run in lab_measure.runs()]

    def test_was_measured_on_the_shipped_models_and_task(self, pool: list[dict[str, Any]], task: Task) -> None:
        for row in pool:
            assert row["model_revision"] == folder_revision(model_folder(row["model"]))
            assert row["task_revision"] == task.revision

    def test_no_two_observations_share_their_baseline(self, pool: list[dict[str, Any]]) -> None:
        assert len({(row["model"], row["baseline"], row["gap"]["se"]) for row in pool}) == len(pool)

    def test_gaps_fill_the_range(self, pool: list[dict[str, Any]]) -> None:
        gaps = sorted(row["gap"]["value"] for row in pool)
        assert gaps[0] < 0.02
        assert gaps[-1] > 0.45
        assert max(b - a for a, b in pairwise(gaps)) < 0.2


class TestCommand:
    def test_help_names_both_commands(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as leaving:
            main(["--help"])
        assert leaving.value.code == 0
        shown = capsys.readouterr().out
        assert "build" in shown
        assert "measure" in shown

    def test_measure_needs_a_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as leaving:
            main(["measure"])
        assert leaving.value.code == 2
        assert "--out" in capsys.readouterr().err
