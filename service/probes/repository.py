"""The SQL of probes."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, get_args

from sqlalchemy import Select, Text, case, cast, select, update
from sqlalchemy.orm import Session, defer

from gapcast.contract.base import JsonObject
from gapcast.contract.labels import Labelled
from gapcast.contract.lists import ProbeQuery
from gapcast.contract.probes import ExtraControl
from service.jobs.models import Job, JobState
from service.kit.clock import now
from service.kit.json_paths import without
from service.kit.pagination import Filters, conditions, of_labels, select_page
from service.probes.models import Probe

GROWING = (
    ("problem_ids",),
    *(("arms", name, "counts") for name in ("student", "none", "context", *get_args(ExtraControl))),
)
"""what of a result grows with its problems, as paths"""

MODEL, TASK = Probe.configuration["model"].as_string(), Probe.configuration["task"].as_string()

FILTERS: Filters = {
    **of_labels(Probe, Probe.id, MODEL, TASK),
    "model": MODEL,
    "task": TASK,
    "context_kind": Probe.configuration["context"]["kind"].as_string(),
    "status": case((Probe.result.is_not(None), JobState.succeeded), else_=Job.state),
}


class ProbeState(NamedTuple):
    """A probe's job, and whether either has ended."""

    job_id: str
    ended: bool


def find(session: Session, tenant: str, key: str) -> Probe | None:
    """The probe with this content address."""
    query = select(Probe).where(Probe.tenant == tenant, Probe.key == key)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def find_all(session: Session, tenant: str, keys: Collection[str]) -> Sequence[Probe]:
    """The probes with these content addresses, as far as there are any."""
    return session.execute(select(Probe).where(Probe.tenant == tenant, Probe.key.in_(keys))).scalars().all()


def _with_job(tenant: str) -> Select[Probe, Job]:
    return select(Probe, Job).join(Job, Job.id == Probe.job_id).where(Probe.tenant == tenant)


def get(session: Session, tenant: str, probe_id: str) -> tuple[Probe, Job] | None:
    """Read one with its job."""
    query = _with_job(tenant).where(Probe.id == probe_id)
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    return None if row is None else (row[0], row[1])


def state(session: Session, tenant: str, probe_id: str) -> ProbeState | None:
    """Read how far one is, but not what it has measured: this is asked several times a second."""
    query = select(Probe.job_id, Job.state, Probe.result.is_not(None)).join(Job, Job.id == Probe.job_id)
    row = session.execute(query.where(Probe.tenant == tenant, Probe.id == probe_id)).one_or_none()
    return None if row is None else ProbeState(row[0], bool(row[2]) or JobState(row[1]).is_terminal)


def model_of(session: Session, tenant: str, probe_id: str) -> str | None:
    """Read the name of one's model, and nothing else of it."""
    query = select(Probe.configuration["model"].as_string()).where(Probe.tenant == tenant, Probe.id == probe_id)
    return session.execute(query).scalar_one_or_none()


def page(
    session: Session, tenant: str, wanted: ProbeQuery
) -> list[tuple[Probe, Job, JsonObject | None, JsonObject | None]]:
    """Read one page, with one row more than its limit: each with its job, and its short result and partial result."""
    result, partial = (without(session, column, GROWING) for column in (Probe.result, Probe.partial))
    query = select(Probe, Job, result, partial).join(Job, Job.id == Probe.job_id).where(Probe.tenant == tenant)
    query = query.options(defer(Probe.result, raiseload=True), defer(Probe.partial, raiseload=True))
    rows = session.execute(select_page(query.where(*conditions(wanted, FILTERS)), Probe.id, wanted))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


class Measured(NamedTuple):
    """A probe that has a result: its configuration and how many problems it has."""

    id: str
    configuration: JsonObject
    problems: int


def measured(session: Session, tenant: str, model: str, task: str) -> list[Measured]:
    """The probes of a model and task that have a result, without it."""
    query = select(Probe.id, Probe.configuration, Probe.result["gap"]["problems"].as_integer()).where(
        Probe.tenant == tenant,
        Probe.result.is_not(None),
        Probe.configuration["model"].as_string() == model,
        Probe.configuration["task"].as_string() == task,
    )
    return [Measured(*row) for row in session.execute(query)]


def spent(session: Session, tenant: str, model: str, limit: int) -> list[tuple[JsonObject, JsonObject]]:
    """Cost and seconds of the newest probes of a model, as they were measured."""
    cost, seconds = Probe.result["cost"], Probe.result["seconds"]
    query = select(cost, seconds).where(
        Probe.tenant == tenant, Probe.result.is_not(None), Probe.configuration["model"].as_string() == model
    )
    rows = session.execute(query.order_by(Probe.id.desc()).limit(limit))
    return [(row[0], row[1]) for row in rows if row[0] and row[1]]


def by_id(session: Session, probe_id: str) -> Probe:
    """Read one of any tenant; for workers, which serve them all."""
    return session.execute(select(Probe).where(Probe.id == probe_id)).scalar_one()


def add(session: Session, values: dict[str, Any]) -> Probe:
    """Store one that has no result yet."""
    probe = Probe(created_at=now(), **values)
    session.add(probe)
    session.flush()
    return probe


def hand_over(session: Session, probe_id: str, old_job: str, new_job: str) -> bool:
    """Give a probe a new job in place of one that ended without a result; False when somebody else did so first.

    Whoever wanted the ended job has got its end; the new one is wanted once `want` says so.
    """
    statement = (
        update(Probe)
        .where(Probe.id == probe_id, Probe.job_id == old_job, Probe.result.is_(None))
        .values(job_id=new_job, wanted=False)
        .returning(Probe.id)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none() is not None


def want(session: Session, probe_id: str, labels: Labelled) -> None:
    """Note that a probe was asked for by itself: it goes on when the last prediction that waits for it is cancelled.

    One that has neither name nor tags takes these; others stay as they are.
    """
    statement = update(Probe).where(Probe.id == probe_id, Probe.wanted.is_(False)).values(wanted=True)
    session.execute(statement.execution_options(synchronize_session=False))
    if labels.name is not None or labels.tags:
        unlabelled = Probe.name.is_(None), cast(Probe.tags, Text) == "[]"
        named = update(Probe).where(Probe.id == probe_id, *unlabelled).values(name=labels.name, tags=labels.tags)
        session.execute(named.execution_options(synchronize_session=False))


def store_partial(session: Session, probe_id: str, partial: JsonObject) -> None:
    """Write what is known so far of a probe that has no result yet; the caller holds its job."""
    _write(session, probe_id, {"partial": partial})


def store_result(session: Session, probe_id: str, result: JsonObject) -> None:
    """Write what was measured; a probe has one result for ever."""
    _write(session, probe_id, {"result": result, "partial": None, "finished_at": now()})


def _write(session: Session, probe_id: str, values: dict[str, Any]) -> None:
    statement = (
        update(Probe)
        .where(Probe.id == probe_id, Probe.result.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    session.execute(statement)
