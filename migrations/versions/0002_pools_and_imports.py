"""Pools with a counter of their changes, exclusions with a history, and what an imported observation brings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME: sa.types.TypeEngine[object] = sa.Double().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pools",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("observations", sa.BigInteger(), nullable=False),
        sa.Column("fit_id", sa.String(length=64), nullable=True),
        sa.Column("fitted_changes", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["fit_id"], ["fits.id"], name="fk_pools_fit_id"),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_pools"),
    )
    op.create_table(
        "observation_exclusions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("observation_id", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["observation_id"], ["observations.id"], name="fk_observation_exclusions_observation_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_observation_exclusions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_observation_exclusions_observation_id", "observation_exclusions", ["observation_id"])

    op.add_column("observations", sa.Column("added_at", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("observations", sa.Column("content", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("observations", sa.Column("excluded_reason", sa.String(length=1000), nullable=True))
    op.add_column("observations", sa.Column("measured", JSON, nullable=True))
    op.add_column("observations", sa.Column("parameters", sa.Double(), nullable=True))
    op.add_column("observations", sa.Column("prediction_id", sa.String(length=64), nullable=True))
    op.add_column("observations", sa.Column("version", sa.String(length=255), nullable=True))
    op.create_index("ix_observations_tenant_pool_family_id", "observations", ["tenant", "pool", "family", "id"])
    op.create_index("ix_observations_tenant_pool_content", "observations", ["tenant", "pool", "content"])
    op.create_index("ix_observations_tenant_id", "observations", ["tenant", "id"])
    op.create_index("ix_observations_prediction_id", "observations", ["prediction_id"])

    op.add_column("fits", sa.Column("changes", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("fits", sa.Column("law_version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("fits", sa.Column("summary", JSON, nullable=True))
    # earlier fits stay as history: they have no summary, so none of them is found as the current one
    op.execute("UPDATE fits SET fingerprint = 'before-0002:' || substr(fingerprint, 1, 48)")
    op.execute(
        "INSERT INTO pools (tenant, name, changes, observations, fitted_changes, created_at) "
        "SELECT tenant, pool, 1, count(*), -1, min(created_at) FROM observations GROUP BY tenant, pool"
    )
    op.create_index("ix_events_tenant_id", "events", ["tenant", "id"])
    op.add_column("idempotency_keys", sa.Column("response", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "response")
    op.drop_index("ix_events_tenant_id", "events")
    op.drop_column("fits", "summary")
    op.drop_column("fits", "law_version")
    op.drop_column("fits", "changes")
    op.drop_index("ix_observations_prediction_id", "observations")
    op.drop_index("ix_observations_tenant_id", "observations")
    op.drop_index("ix_observations_tenant_pool_content", "observations")
    op.drop_index("ix_observations_tenant_pool_family_id", "observations")
    for column in ("version", "prediction_id", "parameters", "measured", "excluded_reason", "content", "added_at"):
        op.drop_column("observations", column)
    op.drop_index("ix_observation_exclusions_observation_id", "observation_exclusions")

    op.drop_table("observation_exclusions")
    op.drop_table("pools")
