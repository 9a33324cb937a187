"""Training runs with their checkpoints, and jobs that can be paused."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("pause_requested_at", TIME, nullable=True))
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=80), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_checkpoints_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
        sa.UniqueConstraint("job_id", "attempt", "step", name="uq_checkpoints_job_id_attempt_step"),
    )
    op.create_table(
        "training_runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("prediction_id", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("live_key", sa.String(length=64), nullable=True),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=255), nullable=False),
        sa.Column("parameters", sa.Double(), nullable=True),
        sa.Column("configuration", JSON, nullable=False),
        sa.Column("predicted", JSON, nullable=True),
        sa.Column("checkpoint_id", sa.String(length=64), nullable=True),
        sa.Column("partial", JSON, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("observation_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoints.id"], name="fk_training_runs_checkpoint_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_training_runs_job_id"),
        sa.ForeignKeyConstraint(["observation_id"], ["observations.id"], name="fk_training_runs_observation_id"),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name="fk_training_runs_prediction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_training_runs"),
        sa.UniqueConstraint("live_key", name="uq_training_runs_live_key"),
    )
    op.create_index("ix_training_runs_tenant_id", "training_runs", ["tenant", "id"])
    op.create_index("ix_training_runs_group_id", "training_runs", ["group_id"])
    op.create_index("ix_training_runs_prediction_id", "training_runs", ["prediction_id"])


def downgrade() -> None:
    op.drop_index("ix_training_runs_prediction_id", "training_runs")
    op.drop_index("ix_training_runs_group_id", "training_runs")
    op.drop_index("ix_training_runs_tenant_id", "training_runs")
    op.drop_table("training_runs")
    op.drop_table("checkpoints")
    op.drop_column("jobs", "pause_requested_at")
