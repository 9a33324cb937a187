"""What a run knows of itself beside its weights: checkpoints keep it, and a later attempt goes on with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gapcast.contract.base import JsonObject, Warned
from gapcast.contract.events import TrainingGap, TrainingPartialMessage, TrainingProgress, TrainingResumed
from gapcast.contract.training_results import EarlyStop, Evaluation
from workers.failures import JobError
from workers.opsd.checkpoint import last_good
from workers.opsd.degenerate import Output
from workers.opsd.evaluation import Before, best_of
from workers.opsd.parts import Job, Parts
from workers.opsd.passes import Passes
from workers.opsd.warnings import Warnings


@dataclass(frozen=True)
class Spent:
    """What a run has cost."""

    seconds: float = 0.0
    rollouts: int = 0
    tokens: int = 0
    evaluation_seconds: float | None = None
    """of `seconds`; None: an older version did not count them"""


@dataclass
class Record:
    """What was measured and warned of, and what it has cost."""

    before: Before
    warnings: Warnings
    evaluations: list[Evaluation] = field(default_factory=list)
    best_path: str | None = None
    """The checkpoint with the best evaluation's weights."""
    taught: bool = False
    """True if any rollout had a context."""
    moved: bool = False
    """True if any step had a gradient other than zero."""
    passes: Passes = field(default_factory=Passes)
    """Looks at the run's own rollouts."""
    output: Output = field(default_factory=Output)
    """What the student's rollouts looked like at the start, and lately."""
    stop: EarlyStop | None = None
    """What a rule has said of the run."""
    earlier: Spent = Spent(evaluation_seconds=0.0)
    """In attempts before this one."""

    @property
    def best_step(self) -> int:
        """The step of the best evaluation; 0 before any."""
        return best_of(self.evaluations).step if self.evaluations else 0

    @property
    def has_collapsed(self) -> bool:
        """True if the newest evaluation ended the run."""
        return bool(self.evaluations) and self.evaluations[-1].collapsed

    def partial(self) -> TrainingPartialMessage:
        """Return what a run that goes on shows of its result."""
        return TrainingPartialMessage(
            baseline=self.before.baseline,
            gap=self.before.gap,
            evaluations=self.evaluations,
            rollout_looks=self.passes.looks or None,
            stop=self.stop,
            warnings=self.warnings.all,
        )

    def as_dict(self, spent: Spent) -> JsonObject:
        """Return what a checkpoint keeps, after all attempts together have cost `spent`."""
        return {
            "before": self.before.as_dict(),
            "evaluations": [one.model_dump(mode="json", exclude_none=True) for one in self.evaluations],
            "warnings": [one.model_dump(mode="json") for one in self.warnings.all],
            "best_path": self.best_path,
            "taught": self.taught,
            "moved": self.moved,
            "passes": self.passes.as_dict(),
            "output": asdict(self.output),
            "stop": self.stop.model_dump(mode="json") if self.stop is not None else None,
            "spent": asdict(spent),
        }

    @classmethod
    def read(cls, state: Mapping[str, Any], warnings: Warnings) -> "Record":
        """Read what `as_dict` returned; `warnings` begins with those that were kept."""
        warnings.all[:0] = [Warned.model_validate(one) for one in state["warnings"]]
        return cls(
            before=Before.read(state["before"]),
            warnings=warnings,
            evaluations=[Evaluation.model_validate(one) for one in state["evaluations"]],
            best_path=state["best_path"],
            taught=state["taught"],
            moved=state["moved"],
            passes=Passes.read(state.get("passes")),  # what older versions did not keep begins here
            output=Output(**state.get("output", {})),
            stop=EarlyStop.model_validate(state["stop"]) if state.get("stop") else None,
            earlier=Spent(**state["spent"]),
        )


def resumed(job: Job, parts: Parts, warnings: Warnings) -> Record | None:
    """Go on from the last good checkpoint; None if there is none, and the run begins.

    Raises:
        JobError: `checkpoint_mismatch`.
    """
    checkpoint, broken = last_good(job.resources.checkpoints)
    if len(set(job.world.all(checkpoint and checkpoint.step))) > 1:
        raise JobError("checkpoint_mismatch", "Not every process could read the last checkpoint.", None, "server")
    why = "; ".join(broken)[:500]
    if checkpoint is None:
        if broken:
            warnings.add(
                "restarted",
                f"No checkpoint could be used on this worker, so the run began again from its start ({why}).",
            )
        return None
    record = Record.read(checkpoint.state, warnings)
    if broken:
        warnings.add("checkpoint_passed_over", f"Broken checkpoints were passed over: {why}.")
    parts.trainer.resume(checkpoint.step, checkpoint.tensors)
    job.emit(TrainingResumed(step=checkpoint.step))
    return record


def begun(job: Job, parts: Parts, warnings: Warnings) -> Record:
    """Measure baseline and gap before the first step."""
    configuration = job.configuration
    job.emit(TrainingProgress(done=0, total=configuration.recipe.steps, unit="steps", phase="baseline"))
    with parts.student.passes():
        before = parts.evaluator.before(configuration.context, configuration.group_size)
    record = Record(before, warnings)
    job.emit(TrainingGap(baseline=before.baseline, gap=before.gap))
    job.emit(record.partial())
    return record
