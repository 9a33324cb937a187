"""One training run from its configuration to its observation."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from gapcast.contract.base import Warned
from gapcast.contract.events import (
    Emit,
    TrainingCheckpoint,
    TrainingEvaluated,
    TrainingGap,
    TrainingPartialMessage,
    TrainingProgress,
    TrainingResumed,
)
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import (
    Artifact,
    Evaluation,
    HeldOutResult,
    Phase,
    Predicted,
    StepImprovement,
    StoppedBy,
    TrainingResult,
    WorkerCost,
)
from workers.contexts.templates import require_template_version
from workers.engines import checked_folder
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError, Paused
from workers.opsd.checkpoint import (
    BrokenCheckpoint,
    forget_earlier,
    keep_only,
    last_good,
    read_checkpoint,
    write_checkpoint,
)
from workers.opsd.configuration import own_seed
from workers.opsd.evaluation import Before, Evaluator, best_of, collapsed, evaluation, warn_of_no_learning
from workers.opsd.export import Story, export_model
from workers.opsd.replicas import ReplicaEngine, SharedSampler
from workers.opsd.rollout_engine import rollout_engine
from workers.opsd.student import Student
from workers.opsd.trainer import Trainer
from workers.opsd.warnings import Warnings
from workers.opsd.world import ALONE, World
from workers.resources import Resources
from workers.sampling.arms import sampling_of
from workers.sampling.drawn import draw_problems
from workers.sampling.statistics import Scores
from workers.tasks import Problem, Split, load_task

METRICS = 100
"""Events with metrics in a run, about: a curve that a page can draw."""
NEWEST = 2
"""Checkpoints that are kept beside the best one: the newest may be damaged by what ended the run."""


def run_training(
    configuration: TrainingConfiguration,
    resources: Resources,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
) -> TrainingResult:
    """Measures baseline and gap, trains, measures again; returns the observation.

    Every evaluation draws fresh samples, and no two runs share any (`own_seed`). With checkpoints in `resources` the
    run goes on from the last good one; with the transformers engine on one thread it then has the very losses, weights
    and observation of the run that was never stopped.

    Where several processes share a run (`run_on_ranks` starts them), each comes here with its `world`. Together they
    draw what one would draw; losses and weights differ from its own by rounding, and any number of them goes on from
    any checkpoint. The first alone writes, and its result counts.

    Raises:
        JobError: the configuration cannot be trained on this worker.
        Paused: `stop()` was true after a step, in any process; its checkpoint is written.
        ValueError: `options.processes` is not the size of the world.
    """
    require_template_version(configuration.template_version)
    processes = configuration.options.processes
    if processes > 1 and configuration.engine == "vllm":
        raise JobError(
            "engine_option_not_supported",
            f"training.processes: {processes} processes draw their rollouts with transformers; ask for that engine, or "
            "set training.processes to 1.",
            "training.processes",
        )
    if processes != world.size:
        raise ValueError(f"options.processes: {processes} in a world of {world.size}")
    return _Run(configuration, resources, emit, stop, world).finish()


@dataclass(frozen=True)
class _Spent:
    """What a run has cost."""

    seconds: float = 0.0
    rollouts: int = 0
    tokens: int = 0


class _Run:
    def __init__(
        self,
        configuration: TrainingConfiguration,
        resources: Resources,
        emit: Emit,
        stop: Callable[[], bool],
        world: World,
    ) -> None:
        self._started, self._world = time.monotonic(), world
        self._configuration, self._resources, self._emit, self._stop = configuration, resources, emit, stop
        seed = own_seed(configuration)
        task = load_task(configuration.task, configuration.task_revision, resources.task_folder)
        problems = draw_problems(task, configuration.problems, seed)
        held_out: list[Problem] = []
        if configuration.held_out_problems:
            held_out = draw_problems(task, configuration.held_out_problems, seed, Split.held_out)
        self._origin = checked_folder(resources.source, configuration.model_revision)
        trained = TransformersEngine.load(self._origin, configuration.model_options, on_cpu=world.size > 1)
        self._student = Student(trained, configuration.recipe, configuration.options, seed)
        self._engine, self._push = rollout_engine(configuration, trained, self._origin, self._student, world)
        # of several processes the replica has all weights, and what was trained is sharded
        self._whole = self._engine.model if isinstance(self._engine, ReplicaEngine) else trained.model
        sampling, thinking = sampling_of(configuration, task), configuration.decoding.thinking
        sampler = SharedSampler(self._engine, task, sampling, seed, thinking, world=world)
        self._evaluator = Evaluator(sampler, problems, held_out, configuration.rollouts)
        self._trainer = Trainer(
            self._student,
            sampler,
            problems,
            configuration.context,
            configuration.recipe,
            configuration.options,
            self._push,
            world,
        )
        self._warnings = Warnings(emit)
        self._evaluations: list[Evaluation] = []
        self._best_path: str | None = None
        self._kept: list[int] = []
        self._taught = self._moved = False
        self._earlier = _Spent()
        self._drawn = self._tokens = 0
        self._before = self._resume() or self._begin()

    # --- beginning

    def _begin(self) -> Before:
        self._progress("baseline")
        with self._student.passes():
            before = self._evaluator.before(self._configuration.context, self._configuration.group_size)
        self._emit(TrainingGap(baseline=before.baseline, gap=before.gap))
        self._before = before
        self._tell_partial()
        self._checkpoint()
        return before

    def _resume(self) -> Before | None:
        found, broken = last_good(self._resources.checkpoints)
        if len(set(self._world.all(found and found.step))) > 1:
            raise JobError("checkpoint_mismatch", "Not every process could read the last checkpoint.", None, "server")
        why = "; ".join(broken)[:500]
        if found is None:
            if broken:
                self._warnings.add(
                    "restarted",
                    f"No checkpoint could be used on this worker, so the run began again from its start ({why}).",
                )
            return None
        state = found.state
        self._warnings = Warnings(self._emit, [Warned.model_validate(one) for one in state["warnings"]])
        if broken:
            self._warnings.add("checkpoint_passed_over", f"Broken checkpoints were passed over: {why}.")
        self._evaluations = [Evaluation.model_validate(one) for one in state["evaluations"]]
        self._best_path = state["best_path"]
        self._taught, self._moved = state["taught"], state["moved"]
        self._earlier = _Spent(**state["spent"])
        self._trainer.resume(found.step, found.tensors)
        self._emit(TrainingResumed(step=found.step))
        return Before.read(state["before"])

    # --- the way

    def finish(self) -> TrainingResult:
        """Trains to the end, exports, and returns the result."""
        recipe, steps = self._configuration.recipe, self._configuration.recipe.steps
        self._progress("training")
        while self._trainer.done < steps and not self._has_collapsed():
            metrics = self._trainer.step()
            step = metrics.step
            self._drawn += recipe.problems_per_step * recipe.group_size
            self._tokens += metrics.tokens
            self._taught |= metrics.with_context > 0
            self._moved |= bool(metrics.gradient_norm)
            if step % max(1, steps // METRICS) == 0 or step in {1, steps}:
                self._emit(metrics)
            self._progress("training")
            # the last one, too: what follows may take as long as a tenth of the run
            due = step % self._configuration.checkpoint_every == 0 or step == steps
            if step % self._configuration.evaluate_every == 0 and step < steps:
                due |= self._evaluate(f"step-{step}")
            asked = self._world.any(self._stop())
            if due or asked:
                self._checkpoint()
            if asked:
                raise Paused(step)
        return self._result("collapse" if self._has_collapsed() else "steps")

    def _has_collapsed(self) -> bool:
        return bool(self._evaluations) and self._evaluations[-1].collapsed

    def _evaluate(self, name: str) -> bool:
        """Looks how far the student has come; returns whether this is the best so far, whose weights are kept."""
        self._progress("evaluation")
        with self._student.passes():
            scores, held_out = self._evaluator.after(name)
        told = evaluation(self._trainer.done, self._before, scores, held_out)
        self._evaluations.append(told)
        if self._before.has_lost(scores) and self._before.has_lost(self._look_again(name)):
            self._warn_of_collapse()
            if self._configuration.options.stop_on_collapse:
                told.collapsed = True
        self._tell(told)
        self._tell_partial()
        return best_of(self._evaluations) is told and told.improvement.value > 0

    def _warn_of_collapse(self) -> None:
        self._warnings.add(
            "collapsed",
            f"At step {self._trainer.done} the student has lost more than half of its baseline of "
            f"{self._before.baseline:.3f}.",
            step=self._trainer.done,
            baseline=self._before.baseline,
        )

    def _look_again(self, name: str) -> Scores:
        """Of many looks some are low by chance: with a small baseline one run in twelve was stopped for nothing."""
        with self._student.passes():
            return self._evaluator.after(f"{name}-again")[0]

    # --- what is told and kept

    def _progress(self, phase: Phase) -> None:
        total = self._configuration.recipe.steps
        self._emit(TrainingProgress(done=self._trainer.done, total=total, unit="steps", phase=phase))

    def _tell(self, seen: Evaluation) -> None:
        self._emit(TrainingEvaluated.model_validate(seen, from_attributes=True))

    def _tell_partial(self) -> None:
        self._emit(
            TrainingPartialMessage(
                baseline=self._before.baseline,
                gap=self._before.gap,
                evaluations=self._evaluations,
                warnings=self._warnings.all,
            )
        )

    def _checkpoint(self) -> None:
        folder, step = self._resources.checkpoint_folder, self._trainer.done
        if folder is None:
            return
        best = best_of(self._evaluations).step if self._evaluations else 0
        if best == step and step:
            self._best_path = str(folder / f"step_{step}")
        state = {
            "before": self._before.as_dict(),
            "evaluations": [one.model_dump(mode="json") for one in self._evaluations],
            "warnings": [one.model_dump(mode="json") for one in self._warnings.all],
            "best_path": self._best_path,
            "taught": self._taught,
            "moved": self._moved,
            "spent": asdict(self._total()),
        }
        tensors = self._trainer.tensors() if step else {}
        if not self._world.first:
            return
        try:
            written = write_checkpoint(folder, step, state, tensors)
        except (OSError, SafetensorError) as error:
            # the run is worth more than its insurance
            self._warnings.add(
                "checkpoint_not_written", f"No checkpoint could be written at step {step}: {error}"[:500]
            )
            return
        self._emit(TrainingCheckpoint.model_validate(written.as_dict()))
        self._kept = [*self._kept, step]
        keep_only(folder, [*self._kept[-NEWEST:], best])
        forget_earlier(folder, self._best_path, whole=len(self._kept) >= NEWEST)

    def _total(self) -> _Spent:
        """What the run has cost in all its attempts."""
        return _Spent(
            seconds=self._earlier.seconds + time.monotonic() - self._started,
            rollouts=self._earlier.rollouts + self._drawn + self._evaluator.rollouts_drawn,
            tokens=self._earlier.tokens + self._tokens + self._evaluator.tokens,
        )

    # --- the end

    def _result(self, stopped_by: StoppedBy) -> TrainingResult:
        """Measures the end with fresh samples, also after a collapse: what showed that was the worst of many looks."""
        self._progress("evaluation")
        with self._student.passes():
            scores, held_out = self._evaluator.after("after")
        before = self._before
        last = evaluation(self._trainer.done, before, scores, held_out)
        self._evaluations = [one for one in self._evaluations if one.step != last.step] + [last]
        self._tell(last)
        has_collapsed = collapsed(before.baseline, last.improvement)
        if has_collapsed:
            self._warn_of_collapse()
        warn_of_no_learning(before.gap, last.improvement, self._taught, self._moved, self._warnings)
        self._tell_partial()
        artifact = self._export(last, has_collapsed=has_collapsed)
        best = best_of(self._evaluations)
        return TrainingResult(
            baseline=before.baseline,
            gap=before.gap,
            improvement=last.improvement,
            cov=before.covariance(scores),
            collapsed=has_collapsed,
            counts=before.counts(scores),
            best=StepImprovement(step=best.step, improvement=best.improvement, held_out=best.held_out),
            held_out=self._held_out(last),
            stopped_by=stopped_by,
            steps=self._trainer.done,
            evaluations=self._evaluations,
            warnings=self._warnings.all,
            artifact=artifact,
            cost=self._cost(),
            versions=self._engine.fingerprint(),
            problem_ids=[problem.id for problem in self._evaluator.problems],
        )

    def _held_out(self, last: Evaluation) -> HeldOutResult | None:
        scores = self._before.held_out
        if scores is None or last.held_out is None:
            return None
        return HeldOutResult(baseline=float(scores.mean()), improvement=last.held_out, problems=len(scores))

    def _cost(self) -> WorkerCost:
        gpus = 0 if self._student.device.type == "cpu" else self._configuration.options.processes
        total = self._total()
        return WorkerCost(**asdict(total), steps=self._trainer.done, gpu_hours=gpus * total.seconds / 3600)

    def _export(self, last: Evaluation, *, has_collapsed: bool) -> Artifact | None:
        """Writes the weights that were asked for; those of a collapsed run are never the ones."""
        folder, which = self._resources.export_folder, self._configuration.options.export
        if folder is None or which == "none":
            return None
        self._progress("export")
        chosen = last
        if which == "best" or has_collapsed:
            chosen = best_of(self._evaluations)
            if chosen.improvement.value <= 0:
                self._warnings.add("nothing_exported", "No evaluation was better than the model before training.")
                return None
            if chosen.step != last.step and not self._load_best():
                self._warnings.add("nothing_exported", f"The weights of step {chosen.step}, the best, are gone.")
                return None
        if not self._world.first:
            return None
        card = self._resources.card
        predicted = card.get("predicted")
        story = Story(
            step=chosen.step,
            last=last,
            baseline=self._before.baseline,
            gap=self._before.gap,
            run_id=card.get("run_id"),
            predicted=Predicted.model_validate(predicted) if predicted else None,
        )
        try:
            return export_model(folder, self._origin, self._whole, self._configuration, story)
        except (OSError, SafetensorError) as error:
            # what was measured is not to be lost over a full disk
            self._warnings.add("nothing_exported", f"The model could not be written to {folder}: {error}"[:500])
            return None

    def _load_best(self) -> bool:
        weights: dict[str, Any] = {}
        with suppress(BrokenCheckpoint):
            weights = read_checkpoint(Path(self._best_path or "")).tensors["student"]
        if self._world.any(not weights):
            return False
        self._student.load(weights)
        if self._world.size > 1:
            self._push()
        return True
