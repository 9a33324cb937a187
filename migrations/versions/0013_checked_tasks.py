"""The self-check of an uploaded task, where those of earlier versions are ready; decoding modes of both axes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("status", sa.String(length=16), nullable=False, server_default="ready"))
    op.add_column("tasks", sa.Column("accepted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("tasks", sa.Column("check_job_id", sa.String(length=64), nullable=True))
    op.add_column("tasks", sa.Column("self_check", JSON, nullable=True))
    op.add_column("tasks", sa.Column("error", JSON, nullable=True))
    op.add_column("observations", sa.Column("mode", sa.String(length=32), nullable=True))
    op.execute(sa.text("UPDATE observations SET mode = 'thinking' WHERE thinking"))


def downgrade() -> None:
    op.drop_column("observations", "mode")
    for name in ("error", "self_check", "check_job_id", "accepted", "status"):
        op.drop_column("tasks", name)
