import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch

from gapcast.contract.events import TrainingMetrics
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import TrainingOptions
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError
from workers.opsd.rollouts import Lesson, batches
from workers.opsd.student import _without_dropout
from workers.opsd.trainer import Trainer, learning_rate
from workers.sampling.arms import Sampler
from workers.sampling.drawn import draw_problems
from workers.tasks import Task

pytestmark = pytest.mark.slow

Make = Callable[..., Trainer]


def steps(trainer: Trainer, count: int) -> list[TrainingMetrics]:
    return [trainer.step() for _ in range(count)]


def losses(found: list[TrainingMetrics]) -> list[float | None]:
    return [one.loss for one in found]


class TestStep:
    def test_same_seed_same_losses(self, trainer: Make) -> None:
        first, again = (losses(steps(trainer(), 3)) for _ in range(2))
        assert first == again
        assert all(loss is not None and loss > 0 for loss in first)

    def test_rollouts_without_context_carry_no_loss(self, trainer: Make) -> None:
        made = trainer({"kind": "none"})
        before = made.student.weights()
        (metrics,) = steps(made, 1)
        assert (metrics.loss, metrics.gradient_norm, metrics.agreement) == (None, None, None)
        assert (metrics.with_context, metrics.missing) == (0, {"kind_is_none": 8})
        assert all(torch.equal(before[name], after) for name, after in made.student.weights().items())

    def test_its_seconds_are_those_of_its_phases(self, trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        made, verified, generate = trainer(), Sampler.verified, TransformersEngine.generate

        def late(seconds: float, then: Callable[..., Any]) -> Callable[..., Any]:
            def waits(*given: Any, **named: Any) -> Any:
                time.sleep(seconds)
                return then(*given, **named)

            return waits

        monkeypatch.setattr(TransformersEngine, "generate", late(0.1, generate))
        monkeypatch.setattr(Sampler, "verified", late(0.2, verified))
        monkeypatch.setattr(made, "_sums", late(0.3, made._sums))
        monkeypatch.setattr(made, "_pushed", late(0.4, lambda: None))
        (metrics,) = steps(made, 1)
        assert metrics.seconds is not None
        seconds = metrics.seconds.model_dump()
        total = seconds.pop("total")
        least = {"rollouts": 0.1, "verification": 0.2, "forward_backward": 0.3, "weight_sync": 0.4}
        assert seconds.keys() == least.keys()
        assert all(seconds[phase] >= some for phase, some in least.items()), seconds
        assert total >= sum(seconds.values())
        assert metrics.tokens_per_second == pytest.approx(metrics.tokens / total)

    def test_a_step_that_learns_nothing_spends_no_seconds_on_it(self, trainer: Make) -> None:
        (metrics,) = steps(trainer({"kind": "none"}), 1)
        assert metrics.seconds is not None
        assert (metrics.seconds.forward_backward, metrics.seconds.weight_sync) == (0, 0)
        assert metrics.seconds.rollouts > 0

    def test_coverage_is_the_share_of_rollouts_that_teach(self, trainer: Make) -> None:
        found = steps(trainer({"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}}), 4)
        assert 0 < sum(one.with_context for one in found) / 4 < 1
        assert sum(one.missing.get("not_covered", 0) for one in found) == sum(
            8 * (1 - one.with_context) for one in found
        )

    @pytest.mark.parametrize("changed", [{"divergence": "reverse_kl"}, {"divergence": "js"}, {"top_k": 4}])
    def test_each_objective_lowers_its_own_loss(self, trainer: Make, changed: dict[str, Any]) -> None:
        made = trainer({"kind": "hints", "options": {"level": 3}}, problems_per_step=16, learning_rate=3e-3, **changed)
        found = [loss for loss in losses(steps(made, 12)) if loss is not None]
        assert sum(found[-3:]) < 0.75 * sum(found[:3])

    def test_micro_batches_give_the_step_of_the_whole(self, trainer: Make) -> None:
        whole = trainer()
        parts = trainer(options=TrainingOptions(micro_batch=3))
        assert losses(steps(whole, 2)) == pytest.approx(losses(steps(parts, 2)), abs=1e-5)
        weights = parts.student.weights()
        for name, weight in whole.student.weights().items():
            assert torch.allclose(weight, weights[name], atol=1e-4), name

    def test_activations_that_are_computed_again_give_the_same_step(self, trainer: Make) -> None:
        usual = steps(trainer(), 2)
        again = steps(trainer(options=TrainingOptions(gradient_checkpointing=True)), 2)
        assert [one.gradient_norm for one in usual] == pytest.approx([one.gradient_norm for one in again], rel=1e-5)

    def test_activations_are_computed_again_without_dropout(self, trainer: Make) -> None:
        made = trainer(options=TrainingOptions(gradient_checkpointing=True))
        plain = trainer()
        for one in (made, plain):
            for layer in one.student.model.model.layers:
                layer.self_attn.attention_dropout = 0.5
        _without_dropout(made.student.model)
        assert losses(steps(made, 2)) == pytest.approx(losses(steps(plain, 2)), abs=1e-6)

    def test_bfloat16_passes_keep_float32_weights(self, trainer: Make) -> None:
        made = trainer(options=TrainingOptions(precision="bfloat16"))
        exact = steps(trainer(), 1)[0].loss
        rough = steps(made, 1)[0].loss
        assert rough != exact
        assert rough == pytest.approx(exact, rel=0.1)
        assert {weight.dtype for weight in made.student.weights().values()} == {torch.float32}

    def test_skipped_tokens_and_clips_change_the_loss(self, trainer: Make) -> None:
        plain, skipped, clipped = (
            steps(trainer(**changed), 1)[0].loss for changed in ({}, {"skip_tokens": 2}, {"token_clip": 0.1})
        )
        assert plain is not None
        assert skipped != pytest.approx(plain)
        assert clipped is not None
        assert 0 < clipped <= 0.1 < plain
        assert steps(trainer(skip_tokens=50), 1)[0].loss is None

    def test_a_gradient_that_is_no_number_ends_the_run(self, trainer: Make) -> None:
        made = trainer(learning_rate=1.0)
        with torch.no_grad():
            made.student.model.model.norm.weight.mul_(1e30)
        with pytest.raises(JobError) as failure:
            steps(made, 2)
        assert failure.value.code in {"training_diverged", "model_not_finite"}

    def test_a_problem_that_comes_twice_in_a_step_draws_other_rollouts(self, trainer: Make) -> None:
        made = trainer(problems_per_step=48, group_size=1)  # each of the 16 problems three times
        drawn: list[tuple[int, ...]] = []
        generate = made._sampler.engine.generate

        def remember(requests: Any, sampling: Any, **more: Any) -> Any:
            drawn.extend((request.seed, *request.tokens) for request in requests)
            return generate(requests, sampling, **more)

        made._sampler.engine.generate = remember  # type: ignore[method-assign]
        made.step()
        assert len(set(drawn)) == 48


class TestTeachers:
    def weights(self, made: Trainer) -> dict[str, torch.Tensor]:
        return {name: one.detach().clone() for name, one in made.teacher._network.model.named_parameters()}

    def test_frozen_stays_what_the_student_was(self, trainer: Make) -> None:
        made = trainer()
        before = made.student.weights()
        steps(made, 2)
        assert all(torch.equal(one, before[name]) for name, one in self.weights(made).items())
        assert made.teacher.state() == {}

    def test_in_bfloat16_a_teacher_with_the_students_weights_says_the_same(self, trainer: Make) -> None:
        """Otherwise a run without any information would train on rounding."""
        made = trainer(options=TrainingOptions(precision="bfloat16"))
        lesson = Lesson((5, 6, 7), (5, 6, 7), (8, 9, 10, 11))
        sums = made._sums([lesson])
        assert float(sums.loss.detach()) == 0
        kept = {name: one.dtype for name, one in made.teacher._network.model.named_parameters()}
        assert {torch.bfloat16, torch.float32} == set(kept.values())

    @pytest.mark.parametrize("lora", [None, 4])
    def test_ema_is_the_moving_average_of_the_students(self, trainer: Make, lora: int | None) -> None:
        made = trainer(teacher="ema", ema_rate=0.25, lora_rank=lora)
        average = made.student.weights()
        for _ in range(3):
            made.step()
            for name, weight in made.student.weights().items():
                average[name] += 0.25 * (weight - average[name])
        found = {name.replace(".teacher.", ".student."): one for name, one in made.teacher.state().items()}
        assert found.keys() == average.keys()
        assert all(torch.allclose(found[name], one, atol=1e-6) for name, one in average.items())
        assert any(not torch.equal(found[name], one) for name, one in made.student.weights().items())

    def test_a_lora_teacher_before_training_is_the_model_itself(self, trainer: Make) -> None:
        """Full and LoRA start from one model: the first loss is the same, for each teacher."""
        for teacher in ("frozen", "ema", "trust_region"):
            full, lora = (steps(trainer(teacher=teacher, lora_rank=rank), 1)[0].loss for rank in (None, 4))
            assert full == pytest.approx(lora, abs=1e-5)

    def test_frozen_and_moving_teachers_part_after_the_first_step(self, trainer: Make) -> None:
        rules = {"frozen": {}, "ema": {"ema_rate": 0.9}, "trust_region": {"trust_rate": 0.9}}
        found = {rule: losses(steps(trainer(teacher=rule, **more), 3)) for rule, more in rules.items()}
        assert len({rows[0] for rows in found.values()}) <= 2  # at first all weights are the same
        assert len({rows[2] for rows in found.values()}) == 3


class TestLora:
    def test_only_the_adapter_is_trained(self, trainer: Make) -> None:
        made = trainer(lora_rank=4, learning_rate=1e-2)
        before = {name: one.detach().clone() for name, one in made.student.model.named_parameters()}
        (metrics,) = steps(made, 1)
        assert metrics.gradient_norm
        changed = {
            name for name, one in made.student.model.named_parameters() if not torch.equal(one.detach(), before[name])
        }
        assert changed
        assert all(".student." in name for name in changed)
        assert set(made.student.weights()) >= changed


@pytest.mark.slow
class TestResume:
    @pytest.mark.parametrize(
        "recipe",
        [{}, {"teacher": "ema"}, {"teacher": "trust_region", "divergence": "js"}, {"teacher": "ema", "lora_rank": 4}],
    )
    def test_a_trainer_that_takes_over_goes_on_as_the_first_would(self, trainer: Make, recipe: dict[str, Any]) -> None:
        first = trainer(**recipe)
        steps(first, 2)
        tensors = first.tensors()
        expected = losses(steps(first, 2))
        second = trainer(**recipe)
        second.resume(2, tensors)
        assert losses(steps(second, 2)) == expected
        weights = second.student.weights()
        assert all(torch.equal(weight, weights[name]) for name, weight in first.student.weights().items())

    def test_weights_of_another_recipe_are_refused(self, trainer: Make) -> None:
        tensors = trainer(lora_rank=4).tensors()
        with pytest.raises(JobError) as failure:
            trainer().resume(1, tensors)
        assert failure.value.code == "checkpoint_mismatch"


class TestLearningRate:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            ("constant", [0.5, 1, 1, 1, 1, 1]),
            ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]),
            ("cosine", [0.5, 1, 1, 0.853553, 0.5, 0.146447]),
        ],
    )
    def test_is_a_function_of_the_step(self, schedule: Any, expected: list[float]) -> None:
        recipe = Recipe(steps=6, learning_rate=1.0, warmup_steps=2, schedule=schedule)
        assert [learning_rate(recipe, step) for step in range(1, 7)] == pytest.approx(expected, abs=1e-6)


class TestBatches:
    def test_every_problem_once_before_any_comes_again(self, task: Task) -> None:
        problems = draw_problems(task, 10, 0)
        rows = [problem.id for batch in islice(batches(problems, 4, 0), 5) for problem in batch]
        assert sorted(rows[:10]) == sorted(rows[10:]) == sorted(problem.id for problem in problems)
        assert rows[:10] != rows[10:]
