"""The law of a pool: refitted after every change, each version kept."""

import hashlib
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from cachetools import LRUCache, cached
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gapcast.contract.events import FitCreated, FitDrift
from gapcast.contract.lists import FitQuery
from gapcast.contract.observations import Notes
from service.errors import OldFit
from service.events import repository as events
from service.fits import laws, repository
from service.fits.laws import VERSION, Laws, Table
from service.fits.models import Fit
from service.fits.repository import Draft
from service.fits.summary import Drifting, Lent, PoolSummary, summarize
from service.kit.database import Database
from service.kit.errors import NotFound
from service.kit.keyed_locks import KeyedLocks
from service.law import GapLaw
from service.observations import repository as observations
from service.observations.models import Pool
from service.observations.repository import AnyRow
from service.observations.service import find_pool

log = structlog.get_logger()

AT_ONCE = 5_000
"""observations up to which a question waits for a fit that is due (about a second at most); a larger pool answers from
its newest fit and says so"""
CLAIM_SECONDS = 60.0
"""after which another process takes over a refit whose process died; a longer one is made twice, which does no harm"""


class Kept(NamedTuple):
    """A stored fit, and whether these rows had none before."""

    fit: Fit
    is_new: bool


class Input(NamedTuple):
    """All that is read of a pool to fit it, and of those that it borrows."""

    rows: Sequence[AnyRow]
    costs: Sequence[tuple[str, Notes]]
    lent: Sequence[Lent]
    lent_rows: Sequence[AnyRow]


class Current(NamedTuple):
    """The newest fit of a pool, its laws, and how many changes of the pool it does not know yet."""

    fit: Fit
    laws: Laws
    behind: int

    @property
    def law(self) -> GapLaw:
        """Of every run at its end, on the training problems."""
        return self.laws.whole

    @property
    def summary(self) -> PoolSummary:
        """What the fit keeps of its rows."""
        return self.fit.summary or PoolSummary()


_due = KeyedLocks()
"""one for each pool: of many questions that wait for one fit, the first makes it"""


def current(database: Database, tenant: str, name: str) -> Current:
    """Return the newest fit; in a small pool a fit that is due is made first.

    While it is computed no lock of the database and no connection is held, so that nobody else waits for it.

    Raises:
        UnknownPool: nothing was ever stored in a pool of this name.
    """
    with database.read() as session:
        found = newest(session, tenant, name)
    if found is not None:
        return found
    with _due.holding((database.url, tenant, name)):
        with database.read() as session:
            found = newest(session, tenant, name)
        if found is not None:
            return found
        made = refit(database, tenant, name)
        with database.read() as session:
            return fixed(session, tenant, made.fit.id)


def newest(session: Session, tenant: str, name: str) -> Current | None:
    """Read the newest fit; None where a fit would have to be made first.

    Raises:
        UnknownPool: nothing was ever stored in a pool of this name.
    """
    return newest_of(session, find_pool(session, tenant, name))


def newest_of(session: Session, pool: Pool) -> Current | None:
    """Read the newest fit of a pool that was read in this session; None where one would have to be made first."""
    is_due = pool.changes > pool.fitted_changes and pool.observations <= AT_ONCE
    return None if is_due else stored(session, pool)


def stored(session: Session, pool: Pool) -> Current | None:
    """Read the newest fit that is stored, however far it is behind; None for a pool that was never fitted."""
    if pool.fit_id is None:
        return None
    return Current(*fit_and_laws(session, pool.tenant, pool.fit_id), pool.changes - pool.fitted_changes)


def fixed(session: Session, tenant: str, fit_id: str) -> Current:
    """Read one version of the law, for what is answered under it however the pool goes on.

    Raises:
        NotFound: this tenant has none of this id.
        OldFit: another version of the law wrote its record.
    """
    return Current(*fit_and_laws(session, tenant, fit_id), 0)


def refit(database: Database, tenant: str, name: str) -> Kept:
    """Fit a pool as it is now.

    Raises:
        UnknownPool: nothing was ever stored in a pool of this name.
    """
    with database.read() as session:
        pool = find_pool(session, tenant, name)
        given = read(session, tenant, name, pool.changes, lending(session, pool))
    made = draft(given)
    with database.write() as session:
        return keep(session, pool, pool.changes, made)


def read(session: Session, tenant: str, name: str, changes: int, lent: Sequence[Lent] = ()) -> Input:
    """The rows that a pool had at one of its changes, and those that other pools lend."""
    return Input(
        observations.fitted(session, tenant, name, changes),
        observations.costs(session, tenant, name, changes),
        lent,
        lent_rows(session, tenant, lent),
    )


def lending(session: Session, pool: Pool) -> list[Lent]:
    """Return the pools that a pool borrows, as they are now."""
    lent = (_lent(session, observations.pool(session, pool.tenant, name)) for name in pool.borrow)
    return [one for one in lent if one is not None]


def _lent(session: Session, pool: Pool | None) -> Lent | None:
    if pool is None:
        return None
    rows = observations.fitted(session, pool.tenant, pool.name, pool.changes)
    fit_id = pool.fit_id if pool.fitted_changes == pool.changes else None
    return Lent(pool=pool.name, changes=pool.changes, hash=fingerprint(rows), fit_id=fit_id)


def lent_rows(session: Session, tenant: str, lent: Sequence[Lent]) -> Sequence[AnyRow]:
    """Read the rows that pools lent at their changes."""
    return [row for one in lent for row in observations.fitted(session, tenant, one.pool, one.changes)]


def draft(given: Input) -> Draft:
    """Fit rows; no database."""
    rows = table(given.rows)
    record = laws.fit(rows, table(given.lent_rows) if given.lent else None).to_record()
    summary = summarize(given.rows, rows, given.costs).model_copy(update={"lent": list(given.lent)})
    return Draft(fingerprint(given.rows, given.lent), len(rows), record, summary)


def keep(session: Session, pool: Pool, changes: int, made: Draft) -> Kept:
    """Store a fit and let the pool point at it, unless a later one came first; the same rows keep their first fit."""
    fit, is_new = repository.add(session, pool.tenant, pool.name, changes, made)
    before = repository.get(session, pool.tenant, pool.fit_id) if pool.fit_id is not None else None
    if repository.point_at(session, pool.tenant, pool.name, fit.id, changes):
        if is_new:
            events.add(session, pool.tenant, fit.id, FitCreated(pool=pool.name, n=fit.n, changes=changes))
        _alarm(session, fit, before)
    return Kept(fit, is_new)


def _alarm(session: Session, fit: Fit, before: Fit | None) -> None:
    """Tell of a family that drifts now and did not in the fit before."""
    known = drift_of(before) if before is not None else {}
    for family, found in drift_of(fit).items():
        if found.alarm and not (family in known and known[family].alarm):
            log.warning("drift", pool=fit.pool, family=family, log_bayes_factor=round(found.log_bayes_factor, 2))
            drift = {"log_bayes_factor": found.log_bayes_factor, "versions": found.versions}
            events.add(session, fit.tenant, fit.id, FitDrift(pool=fit.pool, family=family, **drift))


def drift_of(fit: Fit) -> dict[str, Drifting]:
    """Return the drift of each family with several versions; of none where it was not tested."""
    return (fit.summary.drift if fit.summary is not None else None) or {}


def fingerprint(rows: Sequence[AnyRow], lent: Sequence[Lent] = ()) -> str:
    """What makes two fits the same: the law's version, what is lent, and the rows, which never change once stored."""
    text = "\n".join([str(VERSION), *(row.id for row in rows), *(f"{one.pool} {one.hash}" for one in lent)])
    return hashlib.sha256(text.encode()).hexdigest()


def table(rows: Sequence[AnyRow]) -> Table:
    """Stored rows as a fit takes them."""
    return Table(rows, [column.key for column in observations.FITTED])


_KEPT = 32
"""fits whose laws stay in memory, those that were used last; a fit never changes"""


def _id(fit: Fit) -> str:
    return fit.id


@cached(LRUCache[str, Laws](_KEPT), key=_id, condition=threading.Condition())
def laws_of(fit: Fit) -> Laws:
    """The laws behind a stored fit; its record is read from the database only when it is not kept.

    Raises:
        OldFit: another version of the law wrote the record.
    """
    try:
        return Laws.from_record(fit.record)
    except ValueError as error:
        raise OldFit from error


def _tenant_and_id(_: Session, tenant: str, fit_id: str) -> tuple[str, str]:
    return tenant, fit_id


@cached(LRUCache[tuple[str, str], tuple[Fit, Laws]](_KEPT), key=_tenant_and_id, condition=threading.Condition())
def fit_and_laws(session: Session, tenant: str, fit_id: str) -> tuple[Fit, Laws]:
    """Return a fit and its laws; neither ever changes, and they are read from the database only when not kept.

    Raises:
        NotFound: this tenant has none of this id.
        OldFit: another version of the law wrote its record.
    """
    fit = get(session, tenant, fit_id)
    found = laws_of(fit)
    session.expunge(fit)  # it outlives this session, whose rollback would make it forget what it has read
    return fit, found


def law_of(fit: Fit) -> GapLaw:
    """The law of every run at its end, on the training problems.

    Raises:
        OldFit: another version of the law wrote the record.
    """
    return laws_of(fit).whole


def get(session: Session, tenant: str, fit_id: str) -> Fit:
    """Read one.

    Raises:
        NotFound: there is no such fit.
    """
    fit = repository.get(session, tenant, fit_id)
    if fit is None:
        raise missing(fit_id)
    return fit


def page(session: Session, tenant: str, wanted: FitQuery) -> Sequence[Fit]:
    """Read one page of the fits of a pool, or of all, with one more than its limit.

    Raises:
        UnknownPool: there is no such pool.
    """
    if wanted.pool is not None:
        find_pool(session, tenant, wanted.pool)
    return repository.page(session, tenant, wanted)


def missing(fit_id: str) -> NotFound:
    """The error for an id that names no fit of this tenant."""
    return NotFound(f"There is no fit {fit_id[:80]!r}.")


class Refitter:
    """Fits pools that have changed, one after the other, in a thread of this process.

    What is due stands in the pools' rows, so any number of processes may run one and none needs to be told: `wake`
    only saves the wait.
    """

    def __init__(self, database: Database, every: float) -> None:
        self._database, self._every = database, every
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_fitting, name="refitter", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for due pools now."""
        self._woken.set()

    def stop(self) -> None:
        """End after the fit at hand; returns within 10 seconds."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(10)

    def _keep_fitting(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                found = refit_one(self._database)
            except SQLAlchemyError as error:
                log.warning("refit_postponed", error=f"{type(error).__name__}: {error}"[:300])
                found = False
            except Exception:
                log.exception("refit_failed")
                found = False
            if found:
                # at most half of one core: changes that come meanwhile go into the next fit together
                self._stopped.wait(min(time.monotonic() - began, 5.0))
            else:
                self._woken.wait(self._every)
                self._woken.clear()


def refit_one(database: Database) -> bool:
    """Fit one pool that is due; False when there is none. The fit itself holds no lock and no connection."""
    with database.write() as session:
        pool = repository.claim_due(session, CLAIM_SECONDS)
    if pool is None:
        return False
    try:
        with database.read() as session:
            given = read(session, pool.tenant, pool.name, pool.changes, lending(session, pool))
        made = draft(given)
        with database.write() as session:
            fit, _ = keep(session, pool, pool.changes, made)
    except Exception:
        with suppress(SQLAlchemyError), database.write() as session:
            repository.end_claim(session, pool.tenant, pool.name)
        raise
    log.info("refitted", pool=pool.name, n=fit.n, fit=fit.id)
    return True
