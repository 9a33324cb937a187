"""Runs of TRL's real trainers on a lab model become observations of a real server."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import transformers

from gapcast import Client
from gapcast.elsewhere import Run
from gapcast.elsewhere.trl import ObservationCallback, recipe_of
from gapcast.elsewhere.trl_sampling import Attempt, Sampled, sdft_prompt, sdpo_prompt
from tests.support.product import serving
from tests.trl.lab import MODEL, STEPS, lab_rows, score, sdft_config, sdpo_config, trainer_of
from workers.engines import model_folder

RUN = Run(family="lab-qwen3", task="lab/addition", model=MODEL, context_kind="hints", pool="trl-runs")


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("served"), {"GAPCAST_WORKER": "off"}) as (client, _):
        yield client


class TestARunBecomesAnObservation:
    def test_of_sdft(self, connected: Client, tmp_path: Path) -> None:
        rows, config = lab_rows(64), sdft_config(tmp_path)
        callback = ObservationCallback(RUN, **Sampled(rows, score, config, sdft_prompt).arms(), client=connected)
        trainer_of(config, rows, callback).train()
        assert callback.observation_id is not None
        stored = connected.observations.get(callback.observation_id)
        assert (stored.pool, stored.source, stored.family) == ("trl-runs", "trl", "lab-qwen3")
        assert (stored.gap.problems, stored.gap.rollouts, stored.gap.variance) == (64, 4, "counts")
        assert stored.improvement.variance == "counts"
        # three of four digits are revealed, so the self-teacher is far better, and the student learns from it
        assert stored.gap.value > 4 * stored.gap.se
        assert stored.improvement.value > 2 * stored.improvement.se
        assert stored.cov > 0  # both share the student's rollouts before training
        assert stored.recipe is not None
        assert stored.recipe["steps"] == STEPS
        assert stored.provenance["training"]["versions"]["trl"]

    def test_of_sdpo(self, connected: Client, tmp_path: Path) -> None:
        rows, config = lab_rows(64), sdpo_config(tmp_path, distillation_alpha=1.0)
        run = Run(**vars(RUN) | {"context_kind": "peer_solution", "external_id": f"sdpo {tmp_path}"})
        callback = ObservationCallback(run, **Sampled(rows, score, config, sdpo_prompt).arms(), client=connected)
        trainer_of(config, rows, callback).train()
        assert callback.observation_id is not None
        stored = connected.observations.get(callback.observation_id)
        assert (stored.external_id, stored.context_kind) == (f"sdpo {tmp_path}", "peer_solution")
        assert stored.recipe is not None
        assert (stored.recipe["teacher"], stored.recipe["divergence"]) == ("frozen", "reverse_kl")
        kept = json.loads((tmp_path / "gapcast_observation.json").read_text())["observations"]
        assert connected.observations.create(kept).existing == 1  # the kept row says the same

    def test_a_server_that_is_away_leaves_a_file_and_the_command(
        self, connected: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows, config = lab_rows(16), sdft_config(tmp_path, max_steps=2)
        with Client("http://127.0.0.1:9") as nobody, caplog.at_level(logging.WARNING):
            callback = ObservationCallback(RUN, **Sampled(rows, score, config, sdft_prompt).arms(), client=nobody)
            trainer_of(config, rows, callback).train()
        assert callback.observation_id is None
        said = re.search(r"gapcast observations import (\S+) --url http://127.0.0.1:9", caplog.text)
        assert said is not None, caplog.text
        assert connected.observations.import_file(said[1]).created == 1


class TestSampling:
    def test_agrees_with_the_probes_own_engine(self, tmp_path: Path) -> None:
        """Student and self-teacher, 256 problems x 4: within four standard errors of what our engine finds."""
        from gapcast.contract.measured import ModelOptions
        from workers.engines import Request, Sampling
        from workers.engines.transformers import TransformersEngine

        rows, config = lab_rows(256), sdft_config(tmp_path)
        sampled = Sampled(rows, score, config, sdft_prompt)
        engine = TransformersEngine.load(model_folder(MODEL), ModelOptions())
        for arm, prompts in (
            (sampled.before, [row["prompt"] for row in rows]),
            (sampled.self_teacher, [sdft_prompt(row, [], config) for row in rows]),
        ):
            requests = [Request(engine.encode(prompt), 4, place) for place, prompt in enumerate(prompts)]
            groups = engine.generate(requests, Sampling(1.0, 1.0, 16))
            texts = [[one.text for one in group] for group in groups]
            theirs = [sum(score([], group, [row["answer"]] * 4)) for group, row in zip(texts, rows, strict=True)]
            ours = arm(engine.model, engine.tokenizer)
            off = [(one - other) / 4 for one, other in zip(ours, theirs, strict=True)]
            mean = sum(off) / len(off)
            error = (sum((one - mean) ** 2 for one in off) / (len(off) - 1) / len(off)) ** 0.5
            assert abs(mean) < 4 * error
            assert 0.1 < sum(ours) / 4 / len(rows) < 0.95  # there was something to agree on

    def test_a_context_is_made_of_the_other_rollouts(self, tmp_path: Path) -> None:
        rows, config = lab_rows(4), sdft_config(tmp_path)
        groups: list[list[str]] = []
        shown: list[list[str]] = []

        def scored(completions: list[str], **rest: Any) -> list[float]:
            groups.extend(completions[start : start + 4] for start in range(0, len(completions), 4))
            return [0.0] * len(completions)

        def teacher(row: dict[str, Any], attempts: list[Attempt], config: Any) -> None:
            shown.append([one.text for one in attempts])

        trainer = trainer_of(config, rows)
        sampled = Sampled(rows, scored, config, teacher)
        sampled.before(trainer.model, trainer.processing_class)
        sampled.self_teacher(trainer.model, trainer.processing_class)
        assert shown == [[*group[:at], *group[at + 1 :]] for group in groups[:4] for at in range(4)]
        assert len({text for group in groups[:4] for text in group}) > 4
        assert groups[:4] != groups[4:]  # without a context the self-teacher answers anew

    def test_training_does_not_depend_on_how_much_was_drawn(self, tmp_path: Path) -> None:
        losses = []
        for rollouts in (2, 5):
            rows, config = lab_rows(16), sdft_config(tmp_path, max_steps=3)
            sampled = Sampled(rows, score, config, sdft_prompt, rollouts=rollouts)
            trainer = trainer_of(
                config, rows, ObservationCallback(RUN, **sampled.arms(), client=Client("http://127.0.0.1:9"))
            )
            trainer.train()
            losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
        assert len(losses[0]) == 3
        assert losses[0] == losses[1]

    def test_prompts_that_the_trainer_cuts_are_cut_and_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows, config = lab_rows(4), sdft_config(tmp_path, max_prompt_length=9)
        trainer = trainer_of(config, rows)
        sampled = Sampled(rows, score, config, sdft_prompt)
        with caplog.at_level(logging.WARNING):
            sampled.before(trainer.model, trainer.processing_class)
            assert "are cut" not in caplog.text
            sampled.self_teacher(trainer.model, trainer.processing_class)
        assert "self-teacher: 16 of 16 prompts are truncated by max_prompt_length=9" in caplog.text

    def test_what_is_no_share_is_refused(self, tmp_path: Path) -> None:
        rows, config = lab_rows(4), sdft_config(tmp_path)
        trainer = trainer_of(config, rows)
        sampled = Sampled(rows, lambda completions, **rest: [1.5] * len(completions), config, sdft_prompt)
        with pytest.raises(ValueError, match=r"score: 1\.5 is not a number between 0 and 1"):
            sampled.before(trainer.model, trainer.processing_class)


class Recorder(transformers.TrainerCallback):  # type: ignore[misc]
    """Keeps the teacher's prompts that a trainer builds, by the events that it sends to callbacks."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def on_self_distillation_batch_prepared(self, *_: Any, **given: Any) -> None:
        width = given["teacher_input_ids"].shape[1] - given["completion_ids"].shape[1]
        prompts = given["teacher_input_ids"][:, :width]
        self.prompts += given["processing_class"].batch_decode(prompts, skip_special_tokens=True)


class TestTeacherPrompts:
    """Ours are the very texts that the trainers build."""

    def test_of_sdft(self, tmp_path: Path) -> None:
        rows, config, recorder = lab_rows(16), sdft_config(tmp_path, max_steps=1), Recorder()
        trainer_of(config, rows, recorder).train()
        assert len(recorder.prompts) == 64
        assert set(recorder.prompts) == {sdft_prompt(row, [], config) for row in rows}

    @pytest.mark.parametrize("feedback", ["none", "always", "without a solution"])
    def test_of_sdpo(self, tmp_path: Path, feedback: str) -> None:
        config = sdpo_config(
            tmp_path,
            max_steps=1,
            include_environment_feedback=feedback != "none",
            environment_feedback_only_without_solution=feedback == "without a solution",
        )
        rows, recorder = lab_rows(16), Recorder()
        drawn: list[tuple[str, Attempt]] = []

        def scored(prompts: list[str], completions: list[str], answer: list[str], **rest: Any) -> list[float]:
            found = [float(said[-1:] in set("02468")) for said in completions]  # so that successes differ
            drawn.extend(zip(prompts, map(Attempt, completions, found), strict=True))
            return found

        trainer = trainer_of(config, rows, recorder)
        trainer.reward_funcs = [scored]
        trainer.train()
        by_prompt = {row["prompt"]: row for row in rows}
        expected = []
        for start in range(0, len(drawn), 4):
            group = drawn[start : start + 4]
            for place, (prompt, _) in enumerate(group):
                others = [one for at, (_, one) in enumerate(group) if at != place]
                expected.append(sdpo_prompt(by_prompt[prompt], others, config) or prompt)
        assert recorder.prompts == expected
        assert len(set(expected)) > 16  # some have a solution, some have none


class TestResume:
    def test_goes_on_with_what_the_first_start_measured(self, connected: Client, tmp_path: Path) -> None:
        rows = lab_rows(16)

        def train(steps: int, resume: bool) -> ObservationCallback:
            config = sdft_config(tmp_path, max_steps=steps, save_strategy="steps", save_steps=2)
            sampled = Sampled(rows, score, config, sdft_prompt)
            callback = ObservationCallback(RUN, **sampled.arms(), client=connected)
            trainer_of(config, rows, callback).train(resume_from_checkpoint=resume)
            return callback

        file = tmp_path / "gapcast_observation.json"
        first = connected.observations.get(train(2, resume=False).observation_id or "")
        begun = json.loads(file.read_text())["observations"][0]
        again = train(4, resume=True)
        resumed = json.loads(file.read_text())["observations"][0]
        assert resumed["gap"] == begun["gap"]
        assert (resumed["external_id"], resumed["recipe"]["steps"]) == (first.external_id, 4)
        assert again.observation_id is None or again.observation_id == first.id  # one run is one observation


class TestRecipe:
    def test_is_read_off_the_configuration(self, tmp_path: Path) -> None:
        config = sdpo_config(
            tmp_path,
            teacher_model_kind="ema",
            teacher_update_rate=0.1,
            distillation_mode="topk_logits",
            distillation_topk=20,
            distillation_alpha=0.5,
            gradient_accumulation_steps=2,
        )
        assert recipe_of(config, 7, None) == {
            "teacher": "ema",
            "ema_rate": 0.1,
            "divergence": "js",
            "top_k": 20,
            "steps": 7,
            "learning_rate": 5e-4,
            "problems_per_step": 32,
            "group_size": 4,
        }

    def test_a_policy_loss_beside_it_is_no_recipe_of_the_laws(self, tmp_path: Path) -> None:
        assert recipe_of(sdpo_config(tmp_path, distillation_weight=0.5), 7, None) is None

    def test_another_trainer_has_none(self, tmp_path: Path) -> None:
        assert recipe_of(transformers.TrainingArguments(output_dir=str(tmp_path)), 7, None) is None
