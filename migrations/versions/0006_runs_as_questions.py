"""What a question is matched by: context, dose, tuning, held-out improvement and curve of every stored run."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS: Sequence[tuple[str, Any]] = (
    ("context", sa.String(length=1024)),
    ("gap_spread", sa.Double()),
    ("steps", sa.BigInteger()),
    ("problems_per_step", sa.BigInteger()),
    ("schedule", sa.String(length=16)),
    ("learning_rate", sa.Double()),
    ("adaptation", sa.String(length=8)),
    ("training_problems", sa.BigInteger()),
    ("thinking", sa.Boolean()),
    ("held_out_improvement", sa.Double()),
    ("held_out_se", sa.Double()),
    ("held_out_baseline", sa.Double()),
    ("curve", JSON),
)
INDEXES = {
    "ix_observations_tenant_task_context": ["tenant", "task", "context"],
    "ix_observations_tenant_gap": ["tenant", "gap"],
}
OURS = "source IN ('lab', 'training')"
"""runs that were trained here: their notes say all of it"""
LIVE_RATE = 0.5
DIVERGENCES = ("forward_kl", "reverse_kl", "js")


def upgrade() -> None:
    for name, kind in COLUMNS:
        op.add_column("observations", sa.Column(name, kind, nullable=True))
    with op.batch_alter_table("observations") as table:
        table.alter_column("improvement", existing_type=sa.Double(), nullable=True)
        table.alter_column("improvement_se", existing_type=sa.Double(), nullable=True)
    for name, columns in INDEXES.items():
        op.create_index(name, "observations", columns)
    for name in ("steps", "problems_per_step", "learning_rate"):
        op.execute(f"UPDATE observations SET {name} = {_note('recipe', name)}")
    op.execute(
        f"UPDATE observations SET adaptation = CASE WHEN {_note('recipe', 'lora_rank')} IS NULL THEN 'full' "
        f"ELSE 'lora' END WHERE {_note('recipe', 'learning_rate')} IS NOT NULL"
    )
    op.execute(f"UPDATE observations SET training_problems = {_note('gap', 'problems', of='measured')} WHERE {OURS}")
    op.execute(f"UPDATE observations SET thinking = {_thinking()} WHERE {OURS}")
    for name, path in (
        ("held_out_improvement", ("held_out", "improvement", "value")),
        ("held_out_se", ("held_out", "improvement", "se")),
        ("held_out_baseline", ("held_out", "baseline")),
    ):
        op.execute(f"UPDATE observations SET {name} = {_note(*path)} WHERE {OURS}")
    _name_contexts()
    # an EMA teacher of this rate follows the student at once, and counts as one that is the student
    rate = _note("recipe", "ema_rate")
    for divergence in DIVERGENCES:
        _move_cells("ema", "live", divergence, f"{rate} >= {LIVE_RATE}")


def _move_cells(old: str, new: str, divergence: str, condition: str) -> None:
    """Name the teacher in the cells of some rows otherwise."""
    op.execute(
        f"UPDATE observations SET cell = family || '|' || task || '|{new}-{divergence}' "
        f"WHERE cell = family || '|' || task || '|{old}-{divergence}' AND {condition}"
    )


def _name_contexts() -> None:
    """Give the runs that were trained here their context's key, as `context_key` of the contract makes it."""
    rows = sa.table(
        "observations", *(sa.column(name) for name in ("id", "source", "context")), sa.column("provenance", JSON)
    )
    ours = sa.select(rows.c.id, rows.c.provenance).where(rows.c.source.in_(("lab", "training")))
    for row_id, notes in op.get_bind().execute(ours).all():
        context, task = notes.get("context"), notes.get("task_revision")
        if not isinstance(context, dict) or not isinstance(context.get("options"), dict):
            continue
        options = dict(context["options"])
        key = {"kind": context["kind"], "options": options, "template": str(notes.get("template_version"))}
        shown = options.get("options", {}) if context["kind"] == "placebo" else options
        kind = options.get("of") if context["kind"] == "placebo" else context["kind"]
        if kind == "column" or (kind == "static" and shown.get("text") is None):
            key["text"] = task
        if context["kind"] == "static" and options.get("text") is not None:
            options["text"] = "sha256:" + hashlib.sha256(options["text"].encode()).hexdigest()
        text = json.dumps(key, sort_keys=True, separators=(",", ":"))
        op.execute(rows.update().where(rows.c.id == row_id).values(context=text))


def _note(*path: str, of: str = "provenance") -> str:
    """A number in a column of JSON, null where there is none."""
    if op.get_bind().dialect.name == "postgresql":
        value = f"{of} #> '{{{','.join(path)}}}'"
        return f"CASE WHEN jsonb_typeof({value}) = 'number' THEN ({value})::text::double precision END"
    value = f"{of}, '$.{'.'.join(path)}'"
    return f"CASE WHEN json_type({value}) IN ('integer', 'real') THEN json_extract({value}) END"


def _thinking() -> str:
    """The mode that a run was decoded in, which is off where its configuration leaves it out."""
    if op.get_bind().dialect.name == "postgresql":
        return "coalesce(provenance #>> '{decoding,thinking}' = 'true', false)"
    return "coalesce(json_extract(provenance, '$.decoding.thinking') = 1, 0)"


def downgrade() -> None:
    # runs that are known on held-out problems alone have no place in the older schema
    op.execute(
        "DELETE FROM observation_exclusions WHERE observation_id IN "
        "(SELECT id FROM observations WHERE improvement IS NULL)"
    )
    op.execute("DELETE FROM observations WHERE improvement IS NULL")
    rate = _note("recipe", "ema_rate")
    for divergence in DIVERGENCES:
        _move_cells("live", "ema", divergence, f"{rate} >= {LIVE_RATE}")
        # nor has a teacher that it does not know: such runs are in no cell
        op.execute(f"UPDATE observations SET cell = NULL WHERE cell = family || '|' || task || '|live-{divergence}'")
    with op.batch_alter_table("observations") as table:
        table.alter_column("improvement", existing_type=sa.Double(), nullable=False)
        table.alter_column("improvement_se", existing_type=sa.Double(), nullable=False)
    for name in INDEXES:
        op.drop_index(name, "observations")
    for name, _ in reversed(COLUMNS):
        op.drop_column("observations", name)
