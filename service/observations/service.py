"""The lab pool: observations that we measured ourselves and ship."""

import json
from importlib.resources import files
from typing import Any

from sqlalchemy.orm import Session

from service.observations import repository

LAB_POOL = "lab"


def shipped() -> list[dict[str, Any]]:
    """The observations in the package, as `gapcast lab measure` wrote them."""
    rows: list[dict[str, Any]] = json.loads(files("service.observations").joinpath("lab_pool.json").read_text())
    return rows


def seed_lab_pool(session: Session, tenant: str) -> int:
    """Store the shipped observations that the pool does not have yet; returns how many were new."""
    known = repository.known_external_ids(session, tenant, LAB_POOL)
    new = [row for row in shipped() if row["external_id"] not in known]
    for row in new:
        repository.add(session, tenant, _stored(row))
    return len(new)


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    columns = ("pool", "external_id", "family", "task", "cell", "model", "baseline", "cov", "collapsed", "source")
    return {name: row[name] for name in columns} | {
        "context_kind": row["context"]["kind"],
        "gap": row["gap"]["value"],
        "gap_se": row["gap"]["se"],
        "improvement": row["improvement"]["value"],
        "improvement_se": row["improvement"]["se"],
        "excluded": False,
        "provenance": {name: value for name, value in row.items() if name not in {*columns, "gap", "improvement"}},
    }
