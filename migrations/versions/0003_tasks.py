"""Task files that users bring, with their problems, and what a probe has measured when it is cut short."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.String(length=80), nullable=False),
        sa.Column("header", JSON, nullable=False),
        sa.Column("train_problems", sa.Integer(), nullable=False),
        sa.Column("held_out_problems", sa.Integer(), nullable=False),
        sa.Column("hint_levels", sa.Integer(), nullable=False),
        sa.Column("with_hints", sa.Integer(), nullable=False),
        sa.Column("with_reference_solution", sa.Integer(), nullable=False),
        sa.Column("with_privileged_context", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("uploaded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("tenant", "name", "revision", name="uq_tasks_tenant_name_revision"),
    )
    op.create_table(
        "problems",
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("problem_id", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_problems_task_id"),
        sa.PrimaryKeyConstraint("task_id", "number", name="pk_problems"),
        sa.UniqueConstraint("task_id", "problem_id", name="uq_problems_task_id_problem_id"),
    )
    op.add_column("probes", sa.Column("partial", JSON, nullable=True))
    op.add_column("probes", sa.Column("wanted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("probes", "wanted")
    op.drop_column("probes", "partial")
    op.drop_table("problems")
    op.drop_table("tasks")
