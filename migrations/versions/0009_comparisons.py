"""Comparisons, and the jobs that measure for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("tags", JSON, nullable=False, server_default="[]"),
        sa.Column("request", JSON, nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("fit_id", sa.String(length=64), nullable=False),
        sa.Column("members", JSON, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["fit_id"], ["fits.id"], name="fk_comparisons_fit_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comparisons"),
    )
    op.create_index("ix_comparisons_tenant_id", "comparisons", ["tenant", "id"])
    op.create_table(
        "comparison_parts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("comparison_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("asked", JSON, nullable=False),
        sa.Column("partial", JSON, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.ForeignKeyConstraint(["comparison_id"], ["comparisons.id"], name="fk_comparison_parts_comparison_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_comparison_parts_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comparison_parts"),
        sa.UniqueConstraint("job_id", name="uq_comparison_parts_job_id"),
    )
    op.create_index("ix_comparison_parts_comparison_id", "comparison_parts", ["comparison_id"])


def downgrade() -> None:
    op.drop_table("comparison_parts")
    op.drop_table("comparisons")
