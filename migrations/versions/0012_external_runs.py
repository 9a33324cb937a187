"""Runs that are trained elsewhere."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "external_runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("tags", JSON, nullable=False, server_default="[]"),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("prediction_id", sa.String(length=64), nullable=True),
        sa.Column("request", JSON, nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("task", sa.String(length=255), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("looks", JSON, nullable=False),
        sa.Column("ruling", JSON, nullable=True),
        sa.Column("announced", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("observation_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name="fk_external_runs_prediction_id"),
        sa.ForeignKeyConstraint(["observation_id"], ["observations.id"], name="fk_external_runs_observation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_external_runs"),
        sa.UniqueConstraint("tenant", "external_id", name="uq_external_runs_tenant_external_id"),
    )
    op.create_index("ix_external_runs_tenant_id", "external_runs", ["tenant", "id"])


def downgrade() -> None:
    op.drop_table("external_runs")
