"""The callback in the real trainer of transformers, whatever the model; with TRL's it is tested in tests/trl."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from gapcast import Client
from gapcast.elsewhere.rows import Run, import_command
from gapcast.elsewhere.trl import ObservationCallback, recipe_of

pytestmark = pytest.mark.slow

RECIPE = {"teacher": "ema", "divergence": "reverse_kl"}
STUDENT, TEACHER, AFTER = [0, 1, 2, 4], [2, 2, 3, 4], [1, 2, 2, 4]
Make = Callable[..., tuple[transformers.Trainer, ObservationCallback]]


class Line(torch.nn.Module):
    """y = w x, which is enough to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.weight * x - labels) ** 2).mean()}


@pytest.fixture
def make(tmp_path: Path, pool: str) -> Make:
    def made(client: Client, *, run: dict[str, Any] | None = None, steps: int = 3, save: int = 0, **given: Any) -> Any:
        about = {
            "family": "qwen3",
            "task": "mine",
            "model": "m",
            "context_kind": "hints",
            "recipe": RECIPE,
            "pool": pool,
        }
        usual = {"rollouts": 4, "before": STUDENT, "self_teacher": TEACHER, "after": lambda *_: AFTER, "client": client}
        callback = ObservationCallback(Run(**(about | (run or {}))), **(usual | given))
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            max_steps=steps,
            save_strategy="steps" if save else "no",
            save_steps=save or 1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 8
        return transformers.Trainer(Line(), arguments, train_dataset=data, callbacks=[callback]), callback

    return made


def kept(tmp_path: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads((tmp_path / "out" / "gapcast_observation.json").read_text())["observations"][0]
    return row


def nobody() -> Client:
    return Client("http://127.0.0.1:9")


class TestStored:
    def test_with_gap_improvement_and_their_covariance(self, make: Make, connected: Client) -> None:
        trainer, callback = make(connected)
        trainer.train()
        assert callback.observation_id is not None
        stored = connected.observations.get(callback.observation_id)
        assert stored.gap.value == pytest.approx((2 + 1 + 1 + 0) / 16)
        assert stored.improvement.value == pytest.approx((1 + 1 + 0 + 0) / 16)
        assert stored.baseline == pytest.approx(7 / 16)
        # cov_j(gap_j, improvement_j) / problems, with both in quarters: (2,1,1,0) and (1,1,0,0)
        assert stored.cov == pytest.approx((1 * 0.5 + 0 + 0 + 1 * 0.5) / 3 / 16 / 4)
        assert stored.recipe is not None
        assert RECIPE.items() <= stored.recipe.items()
        assert stored.provenance["training"]["steps"] == 3

    def test_what_functions_measure_before_and_after(self, make: Make, connected: Client) -> None:
        seen: list[tuple[float, bool]] = []

        def student(model: Line, processing_class: object) -> list[int]:
            seen.append((model.weight.item(), model.training))
            return STUDENT

        trainer, callback = make(connected, before=student, self_teacher=lambda *_: TEACHER, after=student)
        trainer.model.train()
        trainer.train()
        assert callback.observation_id is not None
        assert seen[0] == (0.0, False)
        assert seen[1][0] > 0
        assert seen[1][1] is False  # no dropout in an evaluation
        assert trainer.model.training

    def test_with_a_gap_that_was_measured_already(self, make: Make, connected: Client) -> None:
        trainer, callback = make(connected, self_teacher=None, gap={"value": 0.2, "se": 0.05})
        trainer.train()
        assert callback.observation_id is not None
        stored = connected.observations.get(callback.observation_id)
        assert (stored.gap.value, stored.gap.se, stored.gap.variance) == (0.2, 0.05, "given")

    def test_a_collapse_is_said(self, make: Make, connected: Client) -> None:
        trainer, callback = make(connected, before=[4, 4, 3, 4], self_teacher=[4] * 4, after=lambda *_: [0, 1, 0, 0])
        trainer.train()
        assert callback.observation_id is not None
        assert connected.observations.get(callback.observation_id).collapsed


class TestNothingHarmsTheRun:
    """Each run below ends, with its steps done."""

    def test_a_server_that_is_away_leaves_a_file_that_imports(
        self, make: Make, connected: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        trainer, callback = make(nobody())
        with caplog.at_level(logging.WARNING):
            trainer.train()
        assert (trainer.state.global_step, callback.observation_id) == (3, None)
        file = tmp_path / "out" / "gapcast_observation.json"
        assert import_command(file, "http://127.0.0.1:9") in caplog.text
        assert connected.observations.import_file(file).created == 1
        assert connected.observations.import_file(file).existing == 1

    def test_a_row_that_the_server_refuses_is_kept_with_the_reason(
        self, make: Make, connected: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        trainer, callback = make(connected, run={"context_kind": "tea leaves"})
        with caplog.at_level(logging.WARNING):
            trainer.train()
        assert (trainer.state.global_step, callback.observation_id) == (3, None)
        assert "context_kind" in caplog.text
        assert kept(tmp_path)["context_kind"] == "tea leaves"

    @pytest.mark.parametrize("arm", ["before", "self_teacher", "after"])
    def test_a_measurement_that_fails(
        self, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, arm: str
    ) -> None:
        def broken(*_: object) -> list[int]:
            raise RuntimeError("out of memory")

        trainer, callback = make(nobody(), **{arm: broken})
        with caplog.at_level(logging.WARNING):
            trainer.train()
        assert (trainer.state.global_step, callback.observation_id) == (3, None)
        assert "this run becomes no observation" in caplog.text
        assert "out of memory" in caplog.text
        assert not (tmp_path / "out" / "gapcast_observation.json").exists()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"before": [1]}, "before: counts of at least 2 problems are needed, 1 came"),
            ({"before": [0, 1, 2, 5]}, r"before: 5\.0 is not a sum of 4 scores"),
            ({"before": [0, 1, 2, float("nan")]}, "before: nan is not a sum of 4 scores"),
            ({"after": lambda *_: [1, 2, 3]}, "after: counts of 4 problems are needed, 3 came"),
            ({"problem_ids": ["a", "b"]}, "before: counts of 2 problems are needed, 4 came"),
        ],
    )
    def test_counts_that_cannot_be(
        self, make: Make, caplog: pytest.LogCaptureFixture, given: dict[str, Any], said: str
    ) -> None:
        trainer, callback = make(nobody(), **given)
        with caplog.at_level(logging.WARNING):
            for event in (callback.on_train_begin, callback.on_train_end):
                event(trainer.args, trainer.state, trainer.control, model=trainer.model)
        assert callback.observation_id is None
        assert re.search(said, caplog.text)


@pytest.mark.slow
class TestResume:
    def test_keeps_what_was_measured_before_the_first_step(self, make: Make, connected: Client, tmp_path: Path) -> None:
        make(nobody(), save=2)[0].train()
        first = kept(tmp_path)
        trainer, callback = make(connected, before=[4, 4, 4, 4], steps=5, save=5)
        trainer.train(resume_from_checkpoint=True)
        assert trainer.state.global_step == 5
        assert callback.observation_id is not None
        again = kept(tmp_path)
        assert again["improvement"] == first["improvement"]
        assert again["external_id"] == first["external_id"]

    def test_without_it_there_is_no_observation(
        self, make: Make, connected: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        make(nobody(), save=2)[0].train()
        (tmp_path / "out" / "gapcast_before.json").unlink()
        trainer, callback = make(connected, steps=5, save=5)
        with caplog.at_level(logging.WARNING):
            trainer.train(resume_from_checkpoint=True)
        assert (trainer.state.global_step, callback.observation_id) == (5, None)
        assert "gapcast_before.json" in caplog.text


def test_what_is_given_wrongly_is_refused_before_anything_is_trained(make: Make) -> None:
    with pytest.raises(ValueError, match="give one of self_teacher"):
        make(nobody(), gap={"value": 0.1, "se": 0.1})
    with pytest.raises(ValueError, match="rollouts: 0"):
        make(nobody(), rollouts=0)


def test_trls_live_teacher_is_the_laws() -> None:
    args = SimpleNamespace(
        **{"teacher_model_kind": "live", "teacher_update_rate": 0.1, "teacher_sync_steps": 1},
        **{"distillation_mode": "sampled_token", "distillation_alpha": 1.0, "learning_rate": 1e-5},
        **{"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "world_size": 1, "num_generations": 4},
    )
    recipe = recipe_of(args, 7, None)
    assert recipe is not None
    assert (recipe["teacher"], recipe["divergence"], "ema_rate" in recipe) == ("live", "reverse_kl", False)
