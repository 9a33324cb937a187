"""The checkpoints that a run keeps: the newest, and the one with the best weights."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from gapcast.contract.events import TrainingCheckpoint
from workers.opsd.checkpoint import BrokenCheckpoint, forget_earlier, keep_only, read_checkpoint, write_checkpoint
from workers.opsd.parts import Job, Parts
from workers.opsd.record import Record, Spent

NEWEST = 2
"""Checkpoints that are kept beside the best one: the newest may be damaged by what ended the run."""


class Keeper:
    """Writes this attempt's checkpoints and removes those that are no longer needed."""

    def __init__(self, job: Job, parts: Parts, record: Record) -> None:
        self._job, self._parts, self._record = job, parts, record
        self._kept: list[int] = []

    def write(self, spent: Spent) -> None:
        """Write a checkpoint of now; of several processes the first alone does, and all take part.

        A run goes on without one that cannot be written: it is worth more than its insurance.
        """
        folder, step, record = self._job.resources.checkpoint_folder, self._parts.trainer.done, self._record
        if folder is None:
            return
        best = record.best_step
        if best == step and step:
            record.best_path = str(folder / f"step_{step}")
        state = record.as_dict(spent)
        tensors = self._parts.trainer.tensors() if step else {}
        if not self._job.world.first:
            return
        try:
            written = write_checkpoint(folder, step, state, tensors)
        except (OSError, SafetensorError) as error:
            record.warnings.add(
                "checkpoint_not_written", f"No checkpoint could be written at step {step}: {error}"[:500]
            )
            return
        self._job.emit(TrainingCheckpoint.model_validate(written.as_dict()))
        self._kept = [*self._kept, step]
        keep_only(folder, [*self._kept[-NEWEST:], best])
        forget_earlier(folder, record.best_path, whole=len(self._kept) >= NEWEST)

    def load_best(self) -> bool:
        """Load the best evaluation's weights in every process; returns False if they are gone in any."""
        weights: dict[str, Any] = {}
        with suppress(BrokenCheckpoint):
            weights = read_checkpoint(Path(self._record.best_path or "")).tensors["student"]
        world = self._job.world
        if world.any(not weights):
            return False
        self._parts.student.load(weights)
        if world.size > 1:
            self._parts.push()
        return True
