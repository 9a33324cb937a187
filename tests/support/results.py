"""What workers measure, made of the contract's classes; any field can be overridden."""

from typing import Any

from gapcast.contract.probes import (
    Arm,
    Control,
    Controls,
    Covariates,
    Difference,
    Gap,
    Leak,
    LogRatio,
    ProbeConfiguration,
    ProbeCost,
    ProbeOut,
    ProbeResult,
    ProbeSeconds,
    VarianceComponents,
)

PROBLEMS, ROLLOUTS = 16, 2


def arm(**change: Any) -> Arm:
    """An arm whose problems all have one success."""
    fields = {
        "accuracy": 0.5,
        "counts": [1] * PROBLEMS,
        "rollouts": ROLLOUTS,
        "mean_tokens": 5.0,
        "truncated": 0.0,
        "contexts_missing": {},
    }
    return Arm.model_validate(fields | change, extra="forbid")


def probe_result(**change: Any) -> ProbeResult:
    """A whole probe that found a gap of 30 points and nothing against it."""
    fields = {
        "gap": Gap(value=0.3, se=0.03, student=0.25, self_teacher=0.55, problems=PROBLEMS, rollouts=ROLLOUTS),
        "net_gap": Difference(value=0.4, se=0.04),
        "arms": {name: arm() for name in ("student", "none", "context", "placebo")},
        "problem_ids": [f"train-{number}" for number in range(PROBLEMS)],
        "controls": Controls(
            none=Control(value=0.01, se=0.02),
            placebo=Control(value=-0.1, se=0.02),
            shuffled_feedback=None,
            leak=Leak(copied=0.1, contains_answer=0.0),
        ),
        "contexts_missing": 0.0,
        "variance": VarianceComponents(sigma_d2=0.02, w_student=0.15, w_teacher=0.2),
        "covariates": Covariates(
            headroom=0.75,
            pass_at_k={"1": 0.25, "2": 0.4},
            mean_sd=0.2,
            log_ratio=LogRatio(mean=-0.125, top_tenth=0.54, tokens=100),
        ),
        "stopped_by": "size",
        "seconds": ProbeSeconds(load=3.5, probe=1.5),
        "cost": ProbeCost(
            rollouts_drawn=96, rollouts_reused=32, prompt_tokens=1000, completion_tokens=480, gpu_hours=0.25
        ),
        "engine": {"engine": "transformers", "device": "cpu"},
        "template": "completion/2",
    }
    return ProbeResult.model_validate(fields | change, extra="forbid")


def stored(result: ProbeResult) -> dict[str, Any]:
    """A result as the database holds it."""
    return result.model_dump(mode="json")


def probe(configuration: dict[str, Any] | None = None, **change: Any) -> ProbeOut:
    """A measured probe as the API shows it, with what its configuration has otherwise."""
    asked = {
        "model": "lab/addition-qwen3-s",
        "model_revision": "sha256:0",
        "task": "lab/addition",
        "task_revision": "sha256:1",
        "context": {"kind": "hints"},
        "template_version": "2",
        "decoding": {},
        "problems": PROBLEMS,
        "rollouts": ROLLOUTS,
        "seed": 0,
        "controls": ["placebo"],
    }
    fields = {
        "id": "probe_1",
        "status": "succeeded",
        "key": "k",
        "configuration": ProbeConfiguration.model_validate(asked | (configuration or {})),
        "result": probe_result(),
        "created_at": "2026-11-22T10:00:00Z",
        "finished_at": "2026-11-22T10:01:00Z",
    }
    return ProbeOut.model_validate(fields | change, extra="forbid")
