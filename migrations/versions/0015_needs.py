"""Jobs say what they need of a worker, and workers what they offer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # the defaults are for servers and workers of the version before, which may go on for a while
    op.add_column("jobs", sa.Column("needs", sa.Text, nullable=False, server_default="{}"))
    op.add_column("slots", sa.Column("offer", JSON, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("slots", "offer")
    op.drop_column("jobs", "needs")
