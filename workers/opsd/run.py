"""One training run from its configuration to its observation."""

import time
from collections.abc import Callable
from dataclasses import asdict

from safetensors import SafetensorError

from gapcast.contract.events import Emit, TrainingEvaluated, TrainingProgress
from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import (
    Artifact,
    EarlyStop,
    Evaluation,
    Held,
    HeldOutResult,
    Phase,
    Predicted,
    StepImprovement,
    StoppedBy,
    TrainingResult,
    WorkerCost,
)
from service.scores import Scores
from workers.contexts.templates import require_template_version
from workers.failures import JobError, Paused
from workers.opsd.evaluation import best_of, evaluation, warn_of_no_learning
from workers.opsd.export import Story, export_model
from workers.opsd.keeping import Keeper
from workers.opsd.parts import Job, Parts, load_parts
from workers.opsd.record import Record, Spent, begun, resumed
from workers.opsd.warnings import Warnings
from workers.opsd.watching import Watch, Watcher
from workers.opsd.world import ALONE, World
from workers.resources import Resources
from workers.tasks import require_scoring_version

METRICS = 100
"""Events with metrics in a run, about: a curve that a page can draw."""


def run_training(
    configuration: TrainingConfiguration,
    resources: Resources,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
    watch: Watch | None = None,
) -> TrainingResult:
    """Measures baseline and gap, trains, measures again; returns the observation.

    Every evaluation draws fresh samples, and no two runs share any (`own_seed`). With checkpoints in `resources` the
    run goes on from the last good one; with the transformers engine on one thread it then has the very losses, weights
    and observation of the run that was never stopped.

    Where several processes share a run (`run_on_ranks` starts them), each comes here with its `world`. Together they
    draw what one would draw; losses and weights differ from its own by rounding, and any number of them goes on from
    any checkpoint. The first alone writes, and its result counts.

    `watch` forecasts the run at its looks and speaks for its rules; without one nothing is forecast, and a rule that
    needs a forecast stops nothing.

    Raises:
        JobError: the configuration cannot be trained on this worker.
        Paused: `stop()` was true after a step, in any process, or the run puts itself aside; its checkpoint is written.
        ValueError: `options.processes` is not the size of the world.
    """
    require_template_version(configuration.template_version)
    require_scoring_version(configuration.scoring_version)
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
    started, job = time.monotonic(), Job(configuration, resources, emit, stop, world)
    parts, warnings = load_parts(job), Warnings(emit)
    record = resumed(job, parts, warnings)
    run = _Run(job, parts, record or begun(job, parts, warnings), started, watch)
    if record is None:
        run.checkpoint()
    return run.finish()


class _Run:
    """A run that has begun: trains to the end and says how it goes."""

    def __init__(self, job: Job, parts: Parts, record: Record, started: float, watch: Watch | None) -> None:
        self._job, self._configuration, self._emit = job, job.configuration, job.emit
        self._parts, self._record, self._started = parts, record, started
        self._student, self._trainer, self._evaluator = parts.student, parts.trainer, parts.evaluator
        self._keeper, self._watcher = Keeper(job, parts, record), Watcher(job, parts, record, watch)
        self._drawn = self._tokens = 0

    def checkpoint(self) -> None:
        """Keep the run as it is now, where that was asked for."""
        self._keeper.write(self._total())

    def finish(self) -> TrainingResult:
        """Trains to the end, exports, and returns the result."""
        recipe, steps = self._configuration.recipe, self._configuration.recipe.steps
        self._progress("training")
        self._rest_if_held()  # whoever lost the attempt before this one may not have heard that it was
        while self._trainer.done < steps and not self._record.has_collapsed:
            metrics = self._trainer.step()
            step = metrics.step
            self._drawn += recipe.problems_per_step * recipe.group_size
            self._tokens += metrics.tokens
            self._record.taught |= metrics.with_context > 0
            self._record.moved |= bool(metrics.gradient_norm)
            if step % max(1, steps // METRICS) == 0 or step in {1, steps}:
                self._emit(metrics)
            self._progress("training")
            # the last one, too: what follows may take as long as a tenth of the run
            due = step % self._configuration.checkpoint_every == 0 or step == steps
            due |= self._look(step, has_passed=self._watcher.step(metrics, self._parts))
            asked = self._job.world.any(self._job.stop())
            held = self._held()
            if due or asked or held:
                self.checkpoint()
            if asked or held:
                raise Paused(step, held)
        return self._result("collapse" if self._record.has_collapsed else "steps")

    def _held(self) -> Held | None:
        return self._watcher.held(self._trainer.done, self._cost()) if self._trainer.done else None

    def _rest_if_held(self) -> None:
        held = self._held()
        if held is not None:
            raise Paused(held.step, held)

    def _look(self, step: int, *, has_passed: bool) -> bool:
        """Evaluate where that is due, and forecast; return whether this is the best so far, whose weights are kept."""
        is_due = step % self._configuration.evaluate_every == 0 or self._watcher.is_pilots_end(step)
        if step == self._configuration.recipe.steps or not (is_due or has_passed):
            return False
        scores = self._evaluate(f"step-{step}") if is_due else None
        if not self._record.has_collapsed:
            self._watcher.look(step, scores)
        self._emit(self._record.partial())
        last = self._record.evaluations[-1] if scores is not None else None
        return last is not None and best_of(self._record.evaluations) is last and last.improvement.value > 0

    def _evaluate(self, name: str) -> Scores:
        """Look how far the student has come."""
        self._progress("evaluation")
        with self._student.passes():
            scores, held_out = self._evaluator.after(name)
        told = evaluation(self._trainer.done, self._record.before, scores, held_out)
        self._record.evaluations.append(told)
        if self._record.before.has_lost(scores) and self._record.before.has_lost(self._look_again(name)):
            self._warn_of_collapse()
            if self._configuration.options.stop_on_collapse:
                told.collapsed = True
        self._tell(told)
        if told.collapsed:
            self._watcher.stop(EarlyStop(step=told.step, rule="collapse"))
        return scores

    def _warn_of_collapse(self) -> None:
        self._record.warnings.add(
            "collapsed",
            f"At step {self._trainer.done} the student has lost more than half of its baseline of "
            f"{self._record.before.baseline:.3f}.",
            step=self._trainer.done,
            baseline=self._record.before.baseline,
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

    def _total(self) -> Spent:
        """What the run has cost in all its attempts."""
        evaluating = self._record.earlier.evaluation_seconds
        return Spent(
            seconds=self._record.earlier.seconds + time.monotonic() - self._started,
            rollouts=self._record.earlier.rollouts + self._drawn + self._evaluator.rollouts_drawn,
            tokens=self._record.earlier.tokens + self._tokens + self._evaluator.tokens,
            evaluation_seconds=None if evaluating is None else evaluating + self._evaluator.seconds,
        )

    # --- the end

    def _result(self, stopped_by: StoppedBy) -> TrainingResult:
        """Measures the end with fresh samples, also after a collapse: what showed that was the worst of many looks."""
        self._progress("evaluation")
        with self._student.passes():
            scores, held_out = self._evaluator.after("after")
        before = self._record.before
        last = evaluation(self._trainer.done, before, scores, held_out)
        self._record.evaluations = [one for one in self._record.evaluations if one.step != last.step] + [last]
        self._tell(last)
        is_lost = before.has_lost(scores)
        if is_lost:
            self._warn_of_collapse()
        warn_of_no_learning(
            before.gap, last.improvement, self._record.taught, self._record.moved, self._record.warnings
        )
        self._emit(self._record.partial())
        artifact = self._export(last, has_collapsed=is_lost)
        best = best_of(self._record.evaluations)
        return TrainingResult(
            baseline=before.baseline,
            gap=before.gap,
            improvement=last.improvement,
            cov=before.covariance(scores),
            collapsed=is_lost,
            counts=before.counts(scores),
            best=StepImprovement(step=best.step, improvement=best.improvement, held_out=best.held_out),
            held_out=self._held_out(last),
            stopped_by=stopped_by,
            steps=self._trainer.done,
            evaluations=self._record.evaluations,
            rollout_looks=self._record.passes.looks or None,
            stop=self._record.stop,
            warnings=self._record.warnings.all,
            artifact=artifact,
            cost=self._cost(),
            versions=self._parts.engine.fingerprint(),
            problem_ids=[problem.id for problem in self._evaluator.problems],
        )

    def _held_out(self, last: Evaluation) -> HeldOutResult | None:
        scores = self._record.before.held_out
        if scores is None or last.held_out is None:
            return None
        return HeldOutResult(baseline=float(scores.mean()), improvement=last.held_out, problems=len(scores))

    def _cost(self) -> WorkerCost:
        gpus = 0 if self._student.device.type == "cpu" else self._configuration.options.processes
        total = self._total()
        return WorkerCost(**asdict(total), steps=self._trainer.done, gpu_hours=gpus * total.seconds / 3600)

    def _export(self, last: Evaluation, *, has_collapsed: bool) -> Artifact | None:
        """Writes the weights that were asked for; those of a collapsed run are never the ones."""
        folder, which = self._job.resources.export_folder, self._configuration.options.export
        if folder is None or which == "none":
            return None
        self._progress("export")
        chosen = last
        if which == "best" or has_collapsed:
            chosen = best_of(self._record.evaluations)
            if chosen.improvement.value <= 0:
                self._record.warnings.add(
                    "nothing_exported", "No evaluation was better than the model before training."
                )
                return None
            if chosen.step != last.step and not self._keeper.load_best():
                self._record.warnings.add("nothing_exported", f"The weights of step {chosen.step}, the best, are gone.")
                return None
        if not self._job.world.first:
            return None
        card = self._job.resources.card
        predicted = card.get("predicted")
        story = Story(
            step=chosen.step,
            last=last,
            baseline=self._record.before.baseline,
            gap=self._record.before.gap,
            run_id=card.get("run_id"),
            predicted=Predicted.model_validate(predicted) if predicted else None,
        )
        try:
            return export_model(folder, self._parts.origin, self._parts.whole, self._configuration, story)
        except (OSError, SafetensorError) as error:
            # what was measured is not to be lost over a full disk
            self._record.warnings.add("nothing_exported", f"The model could not be written to {folder}: {error}"[:500])
            return None
