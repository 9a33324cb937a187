"""The law of a pool: found if it was fitted already, fitted and stored if not."""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.fits import repository
from service.fits.models import Fit
from service.law import GapLaw, Observations
from service.law.record import VERSION
from service.observations import repository as observations
from service.observations.models import Observation


class Current(NamedTuple):
    """A fit and the observations that it was fitted to."""

    fit: Fit
    observations: Sequence[Observation]


def current(session: Session, tenant: str, pool: str) -> Current:
    """The fit of all that the pool holds now. Needs a session that may write: a new observation means a new fit."""
    rows = observations.fitted(session, tenant, pool)
    named = fingerprint(rows)
    fit = repository.by_fingerprint(session, tenant, pool, named)
    if fit is None:
        record = GapLaw().fit(_as_law_input(rows)).to_record()
        fit = repository.add(session, tenant, pool, named, len(rows), record)
    return Current(fit, rows)


def find_current(session: Session, tenant: str, pool: str) -> Fit | None:
    """The same, but None where it would have to be fitted first."""
    return repository.by_fingerprint(session, tenant, pool, fingerprint(observations.fitted(session, tenant, pool)))


def fingerprint(rows: Sequence[Observation]) -> str:
    """What makes two fits the same: the law's version and the observations, which never change once stored."""
    text = "\n".join([str(VERSION), *(row.id for row in rows)])
    return hashlib.sha256(text.encode()).hexdigest()


_KEPT = 32
_laws: dict[str, GapLaw] = {}
"""The laws of the last fits that were used, by id; a fit never changes."""


def law_of(fit: Fit) -> GapLaw:
    """The estimator behind a stored fit; its record is read from the database only when it is not kept."""
    law = _laws.get(fit.id)
    if law is None:
        if len(_laws) >= _KEPT:
            _laws.clear()
        law = _laws[fit.id] = GapLaw.from_record(fit.record)
    return law


def _as_law_input(rows: Sequence[Observation]) -> Observations:
    return Observations(
        gap=[row.gap for row in rows],
        gap_var=[row.gap_se**2 for row in rows],
        improvement=[row.improvement for row in rows],
        improvement_var=[row.improvement_se**2 for row in rows],
        cov=[row.cov for row in rows],
        family=[row.family for row in rows],
        cell=[row.cell for row in rows],
        baseline=[math.nan if row.baseline is None else row.baseline for row in rows],
        collapsed=[row.collapsed for row in rows],
        ids=[row.id for row in rows],
    )
