"""Recommendations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recommendations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("tags", JSON, nullable=False, server_default="[]"),
        sa.Column("request", JSON, nullable=False),
        sa.Column("task", sa.String(length=255), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("fit_id", sa.String(length=64), nullable=False),
        sa.Column("advice", JSON, nullable=False),
        sa.Column("steps", JSON, nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["fit_id"], ["fits.id"], name="fk_recommendations_fit_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recommendations"),
    )
    op.create_index("ix_recommendations_tenant_id", "recommendations", ["tenant", "id"])
    op.create_index("ix_recommendations_status", "recommendations", ["status"])


def downgrade() -> None:
    op.drop_table("recommendations")
