"""Pools that lend their families to others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pools", sa.Column("borrow", JSON, nullable=False, server_default="[]"))
    # a change, so that the next fit has what is lent; the pool's fits until now had nothing
    op.execute("""UPDATE pools SET borrow = '["published"]', changes = changes + 1 WHERE name = 'default'""")


def downgrade() -> None:
    op.drop_column("pools", "borrow")
