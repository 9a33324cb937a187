"""Rollouts of probes that are stored to be read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sample_sets",
        sa.Column("probe_id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("evicted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("bytes", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("stored_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["probe_id"], ["probes.id"], name="fk_sample_sets_probe_id"),
        sa.PrimaryKeyConstraint("probe_id", name="pk_sample_sets"),
    )
    op.create_index("ix_sample_sets_tenant", "sample_sets", ["tenant"])
    op.create_table(
        "samples",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("probe_id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=32), nullable=False),
        sa.Column("problem_id", sa.String(length=255), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("flip", sa.String(length=8), nullable=True),
        sa.Column("sample", JSON, nullable=False),
        sa.ForeignKeyConstraint(["probe_id"], ["sample_sets.probe_id"], name="fk_samples_probe_id"),
        sa.PrimaryKeyConstraint("id", name="pk_samples"),
    )
    op.create_index("ix_samples_probe_id_id", "samples", ["probe_id", "id"])
    op.create_table(
        "sample_policies",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("store", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_sample_policies"),
    )


def downgrade() -> None:
    for name in ("sample_policies", "samples", "sample_sets"):
        op.drop_table(name)
