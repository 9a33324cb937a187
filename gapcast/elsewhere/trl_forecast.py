"""For people who train with TRL, or any trainer of transformers: a run is forecast while it goes, and may be stopped.

    from gapcast.elsewhere import Run
    from gapcast.elsewhere.trl_forecast import ForecastCallback
    from gapcast.elsewhere.trl_sampling import Sampled, sdft_prompt

    sampled = Sampled(rows, score, config, sdft_prompt)
    run = Run(family="qwen3", task="mine", model="Qwen/Qwen3-1.7B", context_kind="column")
    callback = ForecastCallback(run, **sampled.looks(), stop={"min_gain": 0.05})
    SDFTTrainer(..., args=config, callbacks=[callback]).train()

It is written against `transformers.TrainerCallback` alone. Nothing that goes wrong here makes a training run fail.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import covariance, fmean, stdev
from typing import Any, TypedDict

import transformers

from gapcast.client import Client, GapcastError
from gapcast.contract.stopping import StopRule
from gapcast.elsewhere.rows import Counts, Run, keep
from gapcast.elsewhere.trl import Evaluate, checked, evaluating, recipe_of, unharmed
from gapcast.models import ExternalRun
from gapcast.words import on_track

LOOKS = 10
"""of a run that does not say how often: each costs about a training step"""
PREFIX = "self_distillation"
"""of the metrics' names"""
STATE_FILE = "gapcast_run.json"
LOST = "this run is not forecast"
LEAST_WITHIN, LEAST_SD = 0.02, 0.01
"""floors of a problem's p (1 - p), and of the standard deviation of differences over problems (docs/law.md)"""
SCHEDULES = {"constant": "constant", "constant_with_warmup": "constant", "linear": "linear", "cosine": "cosine"}
"""transformers' words and ours"""

logger = logging.getLogger(__name__)


class SelfDistillationEvaluation(transformers.TrainerCallback):  # type: ignore[misc] # transformers has no types
    """Measures the student and the self-teacher before the first step and while the run goes.

    It logs `self_distillation/student_accuracy`, `self_distillation/teacher_accuracy` and `self_distillation/gap`. The
    self-teacher is the model as it is now, with the context. The functions run on every process of a distributed run.

    Args:
        rollouts: of each problem and arm.
        student: returns each problem's sum of scores; takes the model and the trainer's processing class.
        self_teacher: the same with the context; None: the student alone is measured.
        every: steps between two looks; None: a tenth of the run.
        teacher_at_looks: measure the self-teacher at every look, too, and not before the first step alone.
        trainer: whose `log` takes the metrics, so that W&B and others get them; None: they go into the log history.

    Raises:
        ValueError: fewer than 1 rollout, or step between two looks.
    """

    def __init__(
        self,
        *,
        rollouts: int,
        student: Evaluate,
        self_teacher: Evaluate | None = None,
        every: int | None = None,
        teacher_at_looks: bool = True,
        trainer: Any = None,  # noqa: ANN401
    ) -> None:
        for name, value in (("rollouts", rollouts), ("every", every)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}.")
        self._rollouts, self._student, self._self_teacher = rollouts, student, self_teacher
        self._every, self._teacher_at_looks, self._trainer = every, teacher_at_looks, trainer
        self._problems: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Measure both arms before the first step."""
        if not state.global_step:
            with unharmed("before the first step", "nothing was measured"):
                student, teacher = self._measure(kwargs, with_teacher=True)
                self._begun(student, teacher, args, state, kwargs)
                self._log(state, self._metrics(student, teacher))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Measure at every look and at the last step."""
        every = self._every or max(1, state.max_steps // LOOKS)
        if state.global_step % every == 0 or state.global_step == state.max_steps:
            with unharmed(f"at step {state.global_step}", "this look is lost"):
                student, teacher = self._measure(kwargs, with_teacher=self._teacher_at_looks)
                more = self._looked(student, args, state, control)
                self._log(state, self._metrics(student, teacher) | more)
        return control

    def _begun(
        self,
        student: list[float],
        teacher: list[float] | None,
        args: Any,  # noqa: ANN401
        state: Any,  # noqa: ANN401
        kwargs: Mapping[str, Any],
    ) -> None:
        """Take what was measured before the first step."""

    def _looked(self, student: list[float], args: Any, state: Any, control: Any) -> dict[str, float]:  # noqa: ANN401
        """Take a look, and return more metrics."""
        return {}

    def _measure(self, kwargs: Mapping[str, Any], *, with_teacher: bool) -> tuple[list[float], list[float] | None]:
        with evaluating(kwargs["model"]) as model:
            student = self._counts(self._student, model, kwargs, "student")
            taught = self._self_teacher if with_teacher else None
            return student, None if taught is None else self._counts(taught, model, kwargs, "self_teacher")

    def _counts(self, evaluate: Evaluate, model: object, kwargs: Mapping[str, Any], name: str) -> list[float]:
        counts = checked(evaluate(model, kwargs.get("processing_class")), name, self._rollouts, self._problems)
        self._problems = len(counts)
        return counts

    def _metrics(self, student: Counts, teacher: Counts | None) -> dict[str, float]:
        own = fmean(student) / self._rollouts
        found = {f"{PREFIX}/student_accuracy": own}
        if teacher is not None:
            taught = fmean(teacher) / self._rollouts
            found |= {f"{PREFIX}/teacher_accuracy": taught, f"{PREFIX}/gap": taught - own}
        return found

    def _log(self, state: Any, metrics: Mapping[str, float]) -> None:  # noqa: ANN401
        if self._trainer is not None:
            self._trainer.log(dict(metrics))
        elif state.is_world_process_zero:
            state.log_history.append({**metrics, "step": state.global_step})


class Begun(TypedDict):
    """A run that was begun, kept for a start that goes on from a checkpoint."""

    run_id: str
    before: list[float]
    gap: dict[str, float] | None
    self_teacher: list[float] | None


class ForecastCallback(SelfDistillationEvaluation):
    """Reports a run's looks, logs where it is expected to end, stops it if asked, and stores its end as an observation.

    A look that cannot be sent is sent with the next one. A run that is resumed from a checkpoint goes on with what its
    first start has begun.

    Args:
        run: what is trained, or its `prediction_id`. Without a recipe that of TRL's SDPO and SDFT trainers is read off
            their configuration.
        rollouts, student, self_teacher, every, teacher_at_looks, trainer: as of `SelfDistillationEvaluation`.
        gap: in place of `self_teacher`, a gap that was measured already: `{"value": 0.18, "se": 0.02}`; neither: the
            forecast does without, and the run becomes no observation.
        stop: the rule that may stop the run, such as `{"min_gain": 0.05}`; None: it is forecast alone.
        problem_ids: names of the problems, where they have some: their hash tells a changed set.
        client: None: a fresh one, whose address and key are GAPCAST_URL and GAPCAST_API_KEY.

    Raises:
        ValueError: both of `self_teacher` and `gap` are given, or the rule is none.
    """

    def __init__(
        self,
        run: Run,
        *,
        rollouts: int,
        student: Evaluate,
        self_teacher: Evaluate | None = None,
        gap: Mapping[str, float] | None = None,
        stop: StopRule | Mapping[str, Any] | None = None,
        every: int | None = None,
        teacher_at_looks: bool = False,
        problem_ids: Sequence[str | int] | None = None,
        client: Client | None = None,
        trainer: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(
            rollouts=rollouts,
            student=student,
            self_teacher=self_teacher,
            every=every,
            teacher_at_looks=teacher_at_looks,
            trainer=trainer,
        )
        if self_teacher is not None and gap is not None:
            raise ValueError("gap: expected gap or self_teacher, got both. Leave one out.")
        self.external_run: ExternalRun | None = None
        """as the server has last shown it: `forecast`, `ruling`, and at the end `observation_id`"""
        self.stopped = False
        """true once the rule has stopped the run"""
        self._run = replace(run, external_id=run.external_id or f"trl-{uuid.uuid4().hex}")
        self._stop = None if stop is None else StopRule.model_validate(stop).model_dump(exclude_none=True)
        self._gap = None if gap is None else {name: float(gap[name]) for name in ("value", "se")}
        self._problem_ids, self._client = problem_ids, client
        self._begun_with: Begun | None = None
        self._pending: list[dict[str, Any]] = []
        self._after: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Begin the run, or go on with what its first start has begun."""
        if not state.global_step:
            super().on_train_begin(args, state, control, **kwargs)
        elif state.is_world_process_zero:
            with unharmed("to go on", LOST):
                self._go_on(Path(args.output_dir) / STATE_FILE)

    def _go_on(self, file: Path) -> None:
        begun: Begun = json.loads(file.read_text())
        run = self._ask(begun, lambda client, run_id: client.external_runs.get(run_id))
        if run.ended:
            logger.warning("Gapcast: %s: %s has ended (%s)", LOST, run.id, run.status)
            return
        self._begun_with, self.external_run, self._problems = begun, run, len(begun["before"])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """End the run: at its last step with its last look, before it as one that was stopped."""
        begun, run = self._begun_with, self.external_run
        if begun is None or run is None or not self._after:
            return
        with unharmed("after the last step", "this run becomes no observation"):
            if begun["gap"] is None and self._run.prediction_id is None:
                logger.warning("Gapcast: this run becomes no observation: its gap is not known")
                return
            self._report(begun)
            whole = state.global_step == run.steps
            end = _end(begun, self._after, self._rollouts, self._problem_ids) if whole else {"stopped": True}
            self.external_run = self._ask(begun, lambda client, run_id: client.external_runs.end(run_id, end))
            logger.info("Gapcast: stored observation %s", self.external_run.observation_id)

    def _begun(
        self,
        student: list[float],
        teacher: list[float] | None,
        args: Any,  # noqa: ANN401
        state: Any,  # noqa: ANN401
        kwargs: Mapping[str, Any],
    ) -> None:
        if not state.is_world_process_zero:
            return
        gap = self._gap if teacher is None else _gap(student, teacher, self._rollouts)
        body = self._body(student, gap, args, state, kwargs["model"])
        begun: Begun = {"run_id": "", "before": student, "gap": gap, "self_teacher": teacher}
        self.external_run = self._ask(begun, lambda client, _: client.external_runs.create(body))
        self._begun_with = begun | {"run_id": self.external_run.id}
        keep(self._begun_with, Path(args.output_dir) / STATE_FILE)

    def _body(
        self,
        before: Counts,
        gap: dict[str, float] | None,
        args: Any,  # noqa: ANN401
        state: Any,  # noqa: ANN401
        model: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        run = self._run
        body: dict[str, Any] = {
            "external_id": run.external_id,
            "seed": args.seed % 2**32,
            "baseline": _accuracy(before, self._rollouts),
            "evaluation": {
                "problems": len(before),
                "rollouts": self._rollouts,
                "fingerprint": _fingerprint(self._problem_ids, len(before)),
            },
        }
        if self._stop is not None:
            body["stop"] = self._stop
        if run.prediction_id is not None:
            return body | {"prediction_id": run.prediction_id}
        recipe = run.recipe or recipe_of(args, state.max_steps, model)
        if recipe is None:
            raise ValueError(
                "recipe: this trainer's is not known. Give Run(recipe={'teacher': ..., 'divergence': ...})."
            )
        schedule = SCHEDULES.get(str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)))
        known = {"steps": state.max_steps, "learning_rate": args.learning_rate, "schedule": schedule}
        body |= {
            "model": {"name": run.model, "family": run.family},
            "task": run.task,
            "context": {"kind": run.context_kind, "options": dict(run.context or {})},
            "recipe": {name: value for name, value in (known | dict(recipe)).items() if value is not None},
            "gap": gap,
            "pool": run.pool,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _looked(self, student: list[float], args: Any, state: Any, control: Any) -> dict[str, float]:  # noqa: ANN401
        more: dict[str, float] = {}
        says_stop = False
        begun, run = self._begun_with, self.external_run
        if state.is_world_process_zero and begun is not None and run is not None:
            self._after = student
            if not run.looks or run.looks[-1].step < state.global_step:  # else a start before this one has been here
                found = _accuracy(student, self._rollouts)
                self._pending.append({"step": state.global_step, "value": found.pop("accuracy"), **found})
            try:
                run = self._report(begun)
            except GapcastError as error:
                logger.warning("Gapcast: the look at step %d goes with the next one: %s", state.global_step, error)
            else:
                more = _told(run)
                says_stop = run.ruling is not None and run.ruling.stop
        if _agreed(args, says_stop):
            self.stopped = control.should_training_stop = True
        return more

    def _report(self, begun: Begun) -> ExternalRun:
        """Send the looks that are still to be sent."""
        if self._pending:
            looks = list(self._pending)
            self.external_run = self._ask(begun, lambda client, run_id: client.external_runs.append(run_id, looks))
            self._pending.clear()
        if self.external_run is None:
            raise RuntimeError("no run was begun")
        return self.external_run

    def _ask(self, begun: Begun, ask: Callable[[Client, str], ExternalRun]) -> ExternalRun:
        client = self._client or Client()
        try:
            return ask(client, begun["run_id"])
        finally:
            if client is not self._client:
                client.close()


def _told(run: ExternalRun) -> dict[str, float]:
    """Log where a run is expected to end, and return it as metrics."""
    if run.forecast is None:
        return {}
    now = run.forecast.now
    logger.info("Gapcast: step %d of %d: %s", now.step, run.steps, on_track(run.forecast))
    if run.ruling is not None and run.announced is not None:
        logger.warning("Gapcast: %s", run.ruling.message)
    return {f"{PREFIX}/expected_improvement": now.expected, f"{PREFIX}/p_above_min_gain": now.p_above_min_gain}


def _agreed(args: Any, says_stop: bool) -> bool:  # noqa: ANN401
    """Return what the main process says, on every process: they stop together."""
    if args.world_size == 1:
        return says_stop
    from accelerate.utils import broadcast_object_list

    said = [says_stop]
    broadcast_object_list(said)
    return bool(said[0])


def _accuracy(counts: Counts, rollouts: int) -> dict[str, float]:
    """The mean accuracy, with its standard error over rollouts where several of each problem show one."""
    p = [count / rollouts for count in counts]
    found = {"accuracy": fmean(p)}
    if rollouts > 1:
        within = fmean(share * (1 - share) for share in p) * rollouts / (rollouts - 1)
        found["se"] = float((max(within, LEAST_WITHIN) / len(p) / rollouts) ** 0.5)
    return found


def _differences(before: Counts, arm: Counts, rollouts: int) -> list[float]:
    return [(other - one) / rollouts for one, other in zip(before, arm, strict=True)]


def _gap(student: Counts, teacher: Counts, rollouts: int) -> dict[str, float]:
    differences = _differences(student, teacher, rollouts)
    return {"value": fmean(differences), "se": max(stdev(differences), LEAST_SD) / len(differences) ** 0.5}


def _end(begun: Begun, after: Counts, rollouts: int, problem_ids: Sequence[str | int] | None) -> dict[str, Any]:
    """The end of a run that was trained to its last step, in counts, as a body of the API."""
    before, taught = begun["before"], begun["self_teacher"]
    counts = {"before": before, "after": list(after), "rollouts": rollouts}
    end: dict[str, Any] = {"improvement": counts}
    if problem_ids is not None:
        counts["problem_ids"] = list(problem_ids)
    if taught is not None:
        gap, gain = _differences(before, taught, rollouts), _differences(before, after, rollouts)
        end |= {"gap": begun["gap"], "cov": covariance(gap, gain) / len(gap)}
    return end


def _fingerprint(problem_ids: Sequence[str | int] | None, problems: int) -> str:
    named = json.dumps([str(name) for name in problem_ids or range(problems)])
    return hashlib.sha256(named.encode()).hexdigest()[:16]
