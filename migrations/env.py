"""Run by alembic: migrate over the connection that `service.migrate` hands in."""

from alembic import context

from service.events.models import Event
from service.fits.models import Fit
from service.jobs.models import Job
from service.kit.database import Base
from service.kit.idempotency import IdempotencyRow
from service.observations.models import Observation
from service.predictions.models import Prediction
from service.probes.models import Probe
from service.tasks.models import StoredProblem, StoredTask
from service.training_runs.models import Checkpoint, TrainingRun

TABLES = (
    *(Fit, Job, IdempotencyRow, Observation, Event, Prediction, Probe, StoredTask, StoredProblem),
    *(TrainingRun, Checkpoint),
)
"""Imported, so that the metadata knows them when a new revision is written."""

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
