"""A stored run as the API shows it; pure, no database."""

from typing import Any

from gapcast.contract.training import CheckpointOut, TrainingRunOut
from service.jobs.models import JobState
from service.kit.clock import rfc3339
from service.training_runs.models import Checkpoint
from service.training_runs.repository import Row


def run_out(row: Row) -> TrainingRunOut:
    """Show a run: its result, else what is known so far."""
    run, job, result = row.run, row.job, row.result
    state = JobState(job.state)
    known = result or row.partial or {}
    improvement = _improvement(result) if result is not None else None
    return TrainingRunOut.model_validate(
        {
            "id": run.id,
            "status": state.value,
            **{name: getattr(run, name) for name in ("group_id", "prediction_id", "pool", "family", "configuration")},
            "seed": run.configuration["seed"],
            "progress": None if state.is_terminal else job.progress,
            **{name: known.get(name) for name in ("baseline", "gap", "evaluations")},
            "warnings": known.get("warnings") or [],
            "improvement": improvement,
            "predicted": _judged(run.predicted, improvement),
            "observation_id": run.observation_id,
            **{name: (result or {}).get(name) for name in ("collapsed", "stopped_by", "artifact", "cost", "versions")},
            "checkpoint": _checkpoint(row.checkpoint),
            "error": job.error if state.is_terminal else None,
            "created_at": rfc3339(run.created_at),
            "started_at": rfc3339(job.started_at) if job.started_at is not None else None,
            "finished_at": rfc3339(job.finished_at) if job.finished_at is not None else None,
        }
    )


def _improvement(result: dict[str, Any]) -> dict[str, Any]:
    """The child's improvement, best and held-out problems as one object."""
    best, held_out = result["best"], result["held_out"]
    shown: dict[str, Any] = result["improvement"] | {"best": {"step": best["step"], **best["improvement"]}}
    if held_out is not None:
        apart = {"step": best["step"], **best["held_out"]} if best["held_out"] is not None else None
        shown["held_out"] = {
            **held_out["improvement"],
            **{name: held_out[name] for name in ("baseline", "problems")},
            "best": apart,
        }
    return shown


def _judged(predicted: dict[str, Any] | None, improvement: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was predicted, and which intervals hold the outcome."""
    if predicted is None or improvement is None:
        return predicted
    value = improvement["value"]
    intervals = [one | {"covered": one["lower"] <= value <= one["upper"]} for one in predicted["intervals"]]
    return predicted | {"intervals": intervals}


def _checkpoint(row: Checkpoint | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {"step": row.step, "bytes": row.bytes, "created_at": rfc3339(row.created_at)}


def checkpoint_out(row: Checkpoint) -> CheckpointOut:
    """Show a checkpoint."""
    names = ("id", "step", "attempt", "bytes", "sha256", "path")
    return CheckpointOut(**{name: getattr(row, name) for name in names}, created_at=rfc3339(row.created_at))
