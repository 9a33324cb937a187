"""Rollouts that are kept to be read: the first problems of a probe, within bounds, for those who want it."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlalchemy.orm import Session

from gapcast.contract.base import Page
from gapcast.contract.lists import SampleExport, SampleQuery
from gapcast.contract.samples import Flip, Sample, SampleOut, SampleStorage, StoredSamples
from service.kit.errors import InvalidRequest
from service.kit.ids import new_id
from service.samples import repository, shapes
from service.samples.models import StoredSample
from service.settings import Settings


def wanted(session: Session, tenant: str, probe_id: str, settings: Settings) -> bool:
    """True if the rollouts of a probe are to be stored: server, tenant and every request allow it."""
    if settings.samples_per_probe == 0 or not repository.stores(session, tenant):
        return False
    known = repository.find(session, probe_id)
    return known is None or not known.refused


def store(
    session: Session, tenant: str, probe_id: str, samples: Sequence[Sample], settings: Settings, *, afresh: bool = True
) -> None:
    """Store rollouts of a probe as far as the bounds allow, and make room for them; nothing where they are unwanted.

    Args:
        session: a session that writes.
        tenant: whose probe it is.
        probe_id: of a stored probe.
        samples: all arms of a problem one after the other, as a problem is stored whole or not at all.
        settings: the bounds.
        afresh: replace what is stored of this probe; False: go on after it.
    """
    if not wanted(session, tenant, probe_id, settings):
        return
    held, limits = repository.hold(session, tenant, probe_id), settings.sample_limits
    if held.refused:
        return
    count, size = (0, 0) if afresh else (held.count, held.bytes)
    if afresh and held.count:
        repository.delete_of(session, [probe_id])
    rows: list[StoredSample] = []
    for _, of_problem in groupby(samples, key=lambda one: one.problem_id):
        whole = [one.within(limits.characters) for one in of_problem]
        added = sum(one.size for one in whole)
        if count + len(whole) > limits.count or size + added > limits.bytes:
            break
        rows += _rows(tenant, probe_id, whole)
        count, size = count + len(whole), size + added
    repository.add_all(session, rows)
    repository.write_size(session, probe_id, count, size)
    _make_room(session, probe_id, settings.samples_bytes)


def _rows(tenant: str, probe_id: str, samples: Sequence[Sample]) -> Iterator[StoredSample]:
    right = {(one.arm, one.rollout): one.right for one in samples}
    for one in samples:
        pair = right.get(("student", one.rollout)), right.get(("context", one.rollout))
        yield StoredSample(
            id=new_id("sample"),
            probe_id=probe_id,
            tenant=tenant,
            arm=one.arm,
            problem_id=one.problem_id,
            score=one.score,
            flip=FLIPS.get(pair) if one.arm in {"student", "context"} else None,
            sample=one,
        )


FLIPS: dict[tuple[bool | None, bool | None], Flip] = {(False, True): "gained", (True, False): "lost"}
"""by whether the student and the self-teacher are right in the rollouts of one number"""


def _make_room(session: Session, probe_id: str, most: int) -> None:
    """Delete the rollouts of the oldest probes until all that are stored fit."""
    over = repository.total(session) - most
    if over <= 0:
        return
    gone = []
    for one in repository.oldest(session, without=probe_id):
        if over <= 0:
            break
        over -= one.bytes
        gone.append(one.probe_id)
    repository.delete_of(session, gone)
    repository.change(session, gone, count=0, bytes=0, evicted=True)


def refuse(session: Session, tenant: str, probe_id: str) -> None:
    """Store nothing of a probe from now on, and delete what is stored."""
    repository.hold(session, tenant, probe_id)
    repository.delete_of(session, [probe_id])
    repository.change(session, [probe_id], refused=True, count=0, bytes=0)


def stored(session: Session, probe_id: str) -> StoredSamples:
    """Count the stored rollouts of a probe."""
    known = repository.find(session, probe_id)
    if known is None:
        return StoredSamples(count=0, bytes=0, reason="none")
    reason = None if known.count else "request" if known.refused else "evicted" if known.evicted else "none"
    return StoredSamples.model_validate({"count": known.count, "bytes": known.bytes, "reason": reason})


def page(session: Session, probe_id: str, asked: SampleQuery) -> Page[SampleOut]:
    """Read one page of a probe's rollouts; the caller has found the probe."""
    return Page.of([_shown(row) for row in repository.page(session, probe_id, asked)], asked.limit)


def export(session: Session, probe_id: str, asked: SampleExport, model: str) -> Iterator[str]:
    """Yield a probe's rollouts as lines of JSON; the caller has found the probe, which is of `model`.

    Raises:
        InvalidRequest: other harnesses have a file for each arm, and none is named.
    """
    if asked.format != "ndjson" and asked.arm is None:
        raise InvalidRequest(
            f"arm: expected one arm, as a file of {asked.format} holds one evaluation, got nothing. Send arm=student "
            "or arm=context.",
            param="arm",
        )
    return shapes.lines([_shown(row) for row in repository.every(session, probe_id, asked)], asked.format, model)


def _shown(row: StoredSample) -> SampleOut:
    return SampleOut.model_validate(
        {**row.sample.model_dump(), "id": row.id, "probe_id": row.probe_id, "flip": row.flip}
    )


def storage(session: Session, tenant: str, settings: Settings) -> SampleStorage:
    """Say whether a tenant's rollouts are stored, and how many are."""
    known = repository.stored(session, tenant)
    wished = repository.stores(session, tenant)
    return SampleStorage(store=wished, probes=known.probes, bytes=known.bytes, limits=settings.sample_limits)


def set_storage(session: Session, tenant: str, *, store: bool) -> None:
    """Store a tenant's rollouts from now on; or no longer, and delete those that are stored."""
    repository.set_policy(session, tenant, store)
    if not store:
        repository.delete_all(session, tenant)
