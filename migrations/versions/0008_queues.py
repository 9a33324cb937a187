"""Jobs have queues, and workers have slots for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # the default is for servers of the version before, which may go on for a while and store probes above all
    op.add_column("jobs", sa.Column("queue", sa.String(16), nullable=False, server_default="probes"))
    op.execute("UPDATE jobs SET queue = 'training' WHERE kind = 'training'")
    op.create_table(
        "slots",
        sa.Column("worker", sa.String(255), nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("worker", "queue", name="pk_slots"),
    )


def downgrade() -> None:
    op.drop_table("slots")
    op.drop_column("jobs", "queue")
