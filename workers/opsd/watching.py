"""What is decided at the looks of a run: where it will end, and if it goes on (docs: LIVE)."""

import traceback
from typing import NamedTuple, Protocol

import numpy as np

from gapcast.contract.events import TrainingForecast, TrainingMetrics, TrainingStop
from gapcast.contract.training_results import EarlyStop, Held, TrainingOutcome, TrainingPartial, WorkerCost
from service.scores import Scores, arm_variance
from workers.opsd.parts import Job, Parts
from workers.opsd.passes import PassCounter
from workers.opsd.record import Record


class Looked(NamedTuple):
    """What a look says: where the run is expected to end, and what a rule says of it, if one does."""

    forecast: TrainingForecast
    stop: EarlyStop | None


class Watch(Protocol):
    """What knows the law and the rule. It decides alike for alike looks, so that a resumed run goes the same way."""

    def look(self, so_far: TrainingPartial, step: int, scores: tuple[Scores, Scores] | None) -> Looked:
        """Look at a run.

        Args:
            so_far: its baseline, gap and looks.
            step: that it has done.
            scores: of its problems, before the first step and now; None where it was not evaluated now.
        """
        ...


class Watcher:
    """Takes the steps and the looks of a run, and says if it puts itself aside."""

    def __init__(self, job: Job, parts: Parts, record: Record, watch: Watch | None) -> None:
        self._job, self._record, self._watch = job, record, watch
        if watch is None and job.configuration.options.stop is not None:
            record.warnings.add(
                "not_forecast", "This worker cannot forecast the run, so training.stop does not stop it."
            )
        self._fingerprint = parts.engine.fingerprint()
        configuration, recipe = job.configuration, job.configuration.recipe
        self._pilot, self._released = configuration.pilot_step, job.resources.released
        self._counter = None
        if configuration.evaluated == configuration.problems:
            # where other problems count, scores on the training problems say little of them
            ids = [problem.id for problem in parts.evaluator.problems]
            draws = recipe.steps * recipe.problems_per_step
            self._counter = PassCounter(ids, record.before.student, recipe.group_size, draws)

    def step(self, metrics: TrainingMetrics, parts: Parts) -> bool:
        """Take a step; return True if its rollouts complete a look."""
        self._record.output.add(metrics, self._record.warnings)
        if self._counter is None:
            return False
        return self._counter.add(self._record.passes, metrics.step, parts.trainer.scored)

    def look(self, step: int, after: Scores | None) -> None:
        """Forecast the run and hear the rules, from all looks so far; `after` is what a new evaluation has found."""
        if self._watch is None:
            return
        scores = (self._record.before.student, after) if after is not None else None
        world = self._job.world
        looked = world.all(self._ask(self._watch, step, scores) if world.first else None)[0]  # one decides for all
        if looked is None:
            return
        self._job.emit(looked.forecast)
        known = self._record.stop
        if looked.stop is not None and not self._released and (known is None or looked.stop.carried_out):
            self.stop(looked.stop)

    def _ask(self, watch: Watch, step: int, scores: tuple[Scores, Scores] | None) -> Looked | None:
        try:
            return watch.look(self._record.partial(), step, scores)
        except Exception as error:  # days of training are not to be lost over what they would come to
            traceback.print_exc()
            self._record.warnings.add(
                "not_forecast", f"The run could not be forecast at step {step} ({type(error).__name__}: {error})."[:500]
            )
            return None

    def stop(self, stop: EarlyStop) -> None:
        """Keep and tell what a rule has said."""
        self._record.stop = stop
        self._job.emit(TrainingStop(**dict(stop)))

    def is_pilots_end(self, step: int) -> bool:
        """True if the run pauses with a forecast after this step."""
        return step == self._pilot

    def held(self, step: int, cost: WorkerCost) -> Held | None:
        """Return why the run puts itself aside after this step; None if it goes on, as it does once it was resumed."""
        stop = self._record.stop
        if self._released:
            return None
        if stop is not None and stop.carried_out and stop.rule != "collapse":
            return Held(step=step, by=stop.rule, outcome=self._outcome(stop, cost))
        if self._pilot is not None and step >= self._pilot:
            return Held(step=step, by="pilot")
        return None

    def _outcome(self, stop: EarlyStop, cost: WorkerCost) -> TrainingOutcome:
        """The run as an observation: with the estimate of its end, never with its last value (docs: LIVE)."""
        before, evaluations, gap = self._record.before, self._record.evaluations, self._record.before.gap
        if stop.improvement is None:
            raise ValueError(f"{stop.rule}: a run that is put aside needs an estimate of its end")
        shared = evaluations[-1].cov if evaluations else None
        most = gap.se * stop.improvement.se  # the errors of both hold the baseline's
        cov = float(np.clip(arm_variance(before.student) if shared is None else shared, -most, most))
        return TrainingOutcome(
            baseline=before.baseline,
            gap=gap,
            improvement=stop.improvement,
            cov=cov,
            collapsed=False,
            held_out=None,
            evaluations=evaluations,
            rollout_looks=self._record.passes.looks or None,
            stopped_at=stop.step,
            cost=cost,
            versions=self._fingerprint,
        )
