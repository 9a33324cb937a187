"""Names and tags of what users create."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LABELLED = ("predictions", "probes", "training_runs", "observations")


def upgrade() -> None:
    for table in LABELLED:
        op.add_column(table, sa.Column("name", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("tags", JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    for table in reversed(LABELLED):
        op.drop_column(table, "tags")
        op.drop_column(table, "name")
