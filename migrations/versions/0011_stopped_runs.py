"""Runs that a rule has stopped, or that pause after a pilot: why, under which law, and what is stored of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("observations", sa.Column("stopped_at", sa.BigInteger(), nullable=True))
    op.add_column("training_runs", sa.Column("held", sa.String(length=16), nullable=True))
    op.add_column("training_runs", sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("training_runs", sa.Column("watched_by", JSON, nullable=True))


def downgrade() -> None:
    for name in ("watched_by", "released", "held"):
        op.drop_column("training_runs", name)
    op.drop_column("observations", "stopped_at")
