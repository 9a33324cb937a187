"""The first schema: jobs, events, probes, predictions, observations, fits and idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# as they are at this revision, whatever becomes of service.kit later
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_subject_id_id", "events", ["subject_id", "id"])

    op.create_table(
        "fits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("record", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fits"),
        sa.UniqueConstraint("tenant", "pool", "fingerprint", name="uq_fits_tenant_pool_fingerprint"),
    )
    op.create_index("ix_fits_tenant_pool_id", "fits", ["tenant", "pool", "id"])

    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_idempotency_keys"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("available_at", TIME, nullable=False),
        sa.Column("dispatched_at", TIME, nullable=True),
        sa.Column("cancel_requested_at", TIME, nullable=True),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state_available_at", "jobs", ["state", "available_at"])
    op.create_index("ix_jobs_state_lease_expires_at", "jobs", ["state", "lease_expires_at"])
    op.create_index("ix_jobs_tenant_state", "jobs", ["tenant", "state"])

    op.create_table(
        "observations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("family", sa.String(length=255), nullable=False),
        sa.Column("task", sa.String(length=255), nullable=False),
        sa.Column("cell", sa.String(length=600), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("context_kind", sa.String(length=32), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=True),
        sa.Column("gap", sa.Double(), nullable=False),
        sa.Column("gap_se", sa.Double(), nullable=False),
        sa.Column("improvement", sa.Double(), nullable=False),
        sa.Column("improvement_se", sa.Double(), nullable=False),
        sa.Column("cov", sa.Double(), nullable=False),
        sa.Column("collapsed", sa.Boolean(), nullable=False),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("provenance", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_observations"),
        sa.UniqueConstraint("tenant", "pool", "external_id", name="uq_observations_tenant_pool_external_id"),
    )
    op.create_index("ix_observations_tenant_pool_id", "observations", ["tenant", "pool", "id"])

    op.create_table(
        "probes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("configuration", JSON, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_probes_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_probes"),
        sa.UniqueConstraint("tenant", "key", name="uq_probes_tenant_key"),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("family", sa.String(length=255), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("probe_id", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("fit_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["fit_id"], ["fits.id"], name="fk_predictions_fit_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_predictions_job_id"),
        sa.ForeignKeyConstraint(["probe_id"], ["probes.id"], name="fk_predictions_probe_id"),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_job_id", "predictions", ["job_id"])
    op.create_index("ix_predictions_tenant_id", "predictions", ["tenant", "id"])


def downgrade() -> None:
    op.drop_index("ix_predictions_tenant_id", "predictions")
    op.drop_index("ix_predictions_job_id", "predictions")

    op.drop_table("predictions")
    op.drop_table("probes")
    op.drop_index("ix_observations_tenant_pool_id", "observations")

    op.drop_table("observations")
    op.drop_index("ix_jobs_tenant_state", "jobs")
    op.drop_index("ix_jobs_state_lease_expires_at", "jobs")
    op.drop_index("ix_jobs_state_available_at", "jobs")

    op.drop_table("jobs")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_fits_tenant_pool_id", "fits")

    op.drop_table("fits")
    op.drop_index("ix_events_subject_id_id", "events")

    op.drop_table("events")
