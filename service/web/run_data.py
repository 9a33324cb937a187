"""What the page draws of one training run, read from the store."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from gapcast.contract.events import TrainingMetrics
from gapcast.contract.forecasts import Forecast
from gapcast.contract.training_results import TrainingRunOut
from service.dependencies import State
from service.events import repository as events
from service.forecasts import service as forecasts
from service.training_runs import service as training_runs
from service.web.points import Look, RunCurve

MOST_METRICS = 5000
"""events with metrics that are read: a run has about a hundred, and a few more for each attempt that goes on"""


def live_forecast(state: State, tenant: str, run: TrainingRunOut) -> Forecast | None:
    """Forecast a run that goes on and has been evaluated."""
    if run.ended or not run.evaluations:
        return None
    return forecasts.of_run(state.database, tenant, run, state.settings)


def read_run(session: Session, tenant: str, run: TrainingRunOut) -> RunCurve:
    """Read how far a run has come, from its evaluations and the metrics of its steps."""
    job_id = training_runs.state_of(session, tenant, run.id).job_id
    rows = events.after(session, tenant, [job_id], 0, MOST_METRICS, TrainingMetrics.type)
    held_out = run.improvement.held_out if run.improvement is not None else None
    looks = [
        Look(
            step=one.step,
            accuracy=one.accuracy,
            improvement=one.improvement.value,
            improvement_se=one.improvement.se,
            held_out=one.held_out.value if one.held_out is not None else None,
        )
        for one in run.evaluations or []
    ]
    return RunCurve(
        steps=run.configuration.recipe.steps,
        baseline=run.baseline,
        self_teacher=run.gap.self_teacher if run.gap is not None else None,
        looks=looks,
        held_out_baseline=held_out.baseline if held_out is not None else None,
        predicted=run.predicted.value if run.predicted is not None else None,
        intervals=[(one.level, one.lower, one.upper) for one in (run.predicted.intervals if run.predicted else [])],
        losses=_losses(TrainingMetrics.model_validate(row.data) for row in rows),
    )


def _losses(metrics: Iterable[TrainingMetrics]) -> list[tuple[int, float]]:
    """The losses of the steps as they came to be: an attempt that goes on takes back what came after its checkpoint."""
    way: list[TrainingMetrics] = []
    for step in metrics:
        while way and way[-1].step >= step.step:
            way.pop()
        way.append(step)
    return [(one.step, one.loss) for one in way if one.loss is not None]
