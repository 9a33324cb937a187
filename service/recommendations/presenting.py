"""A stored recommendation as the API shows it."""

from collections.abc import Mapping

from gapcast.contract.probes import Difference
from gapcast.contract.recommendations import RecommendationOut, RecommendationRequest, Step, Trained
from gapcast.contract.training_results import TrainingRunOut
from service.kit.clock import rfc3339
from service.recommendations.advising import Advice
from service.recommendations.models import Recommendation


def run_ids(row: Recommendation) -> list[str]:
    """The runs that one has started."""
    return [run_id for step in row.steps for run_id in step["training_run_ids"]]


def show(row: Recommendation, runs: Mapping[str, TrainingRunOut]) -> RecommendationOut:
    """Show one; `runs` are those that it has started, by id."""
    advice = Advice.model_validate(row.advice)
    steps = [Step.model_validate(step) for step in row.steps]
    trained = [
        _trained(place, runs[run_id])
        for step in steps
        for place, run_id in zip(step.configurations, step.training_run_ids, strict=False)
    ]
    measured = [one for one in trained if one.improvement is not None]
    return RecommendationOut.model_validate(
        {
            **advice.model_dump(exclude={"steps"}),
            "id": row.id,
            "name": row.name,
            "tags": row.tags,
            "status": row.status,
            "request": RecommendationRequest.model_validate(row.request),
            "fit_id": row.fit_id,
            "pool": row.pool,
            "plan": steps,
            "trained": trained,
            "best": max(measured, key=lambda one: one.improvement.value if one.improvement else -1.0, default=None),
            "error": row.error,
            "created_at": rfc3339(row.created_at),
            "finished_at": rfc3339(row.finished_at) if row.finished_at else None,
        }
    )


def _trained(place: int, run: TrainingRunOut) -> Trained:
    found = run.improvement
    return Trained(
        place=place,
        training_run_id=run.id,
        status=run.status,
        improvement=Difference(value=found.value, se=found.se) if found is not None else None,
    )
