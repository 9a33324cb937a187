"""Probes that another harness has measured: stored from the scores of its evaluations."""

import hashlib
import json

import numpy as np
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gapcast.contract.imported_probes import ImportedProbe
from gapcast.contract.probes import Arm, ImportedConfiguration, ProbeResult
from service.catalog import service as catalog
from service.jobs import repository as jobs
from service.kit.idempotency import Idempotency, claim_key, keep_subject
from service.kit.ids import new_id
from service.probes import repository
from service.probes.job import KIND
from service.probes.models import Probe
from service.scores import counts, result_of
from service.settings import Settings


def create(
    session: Session, tenant: str, sent: ImportedProbe, settings: Settings, idempotency: Idempotency | None
) -> tuple[str, bool]:
    """Store an imported probe, or find the one with the same scores; returns its id, and True if it is new.

    Raises:
        InvalidRequest: the model's family is not known.
    """
    configuration = ImportedConfiguration(
        harness=sent.harness,
        model=sent.model.name,
        family=catalog.family_of(settings.models, sent.model),
        task=sent.task,
        context=sent.context,
        decoding=sent.decoding.model_copy(update={"evaluation": None}),
        problems=len(sent.problems),
        rollouts=sent.rollouts,
    )
    probe_id = new_id("probe")
    if idempotency is not None:
        first = claim_key(session, tenant, *idempotency, probe_id)
        if first != probe_id:
            return first, False
    key = _key(configuration, sent)
    probe = repository.find(session, tenant, key) or _add(session, tenant, probe_id, key, configuration)
    if probe is None:  # another client has stored the same scores meanwhile
        probe = repository.find(session, tenant, key)
    if probe is None:
        raise RuntimeError(f"the probe {key} is neither new nor stored")
    if probe.id == probe_id:
        repository.store_result(session, probe_id, result(sent).model_dump(mode="json"))
    elif idempotency is not None:
        keep_subject(session, tenant, idempotency.key, probe.id)
    repository.want(session, probe.id, sent)
    return probe.id, probe.id == probe_id


def result(sent: ImportedProbe) -> ProbeResult:
    """Return what the scores say, by the arithmetic of every probe."""
    problems = sent.problems
    scores = {
        arm: np.array([evaluation[problem] for problem in problems], dtype=np.float64)
        for arm, evaluation in sent.evaluations.items()
    }
    arms = {
        arm: Arm(accuracy=float(table.mean()), counts=counts(table), rollouts=sent.rollouts)
        for arm, table in scores.items()
    }
    return result_of(scores, arms, problems)


def _key(configuration: ImportedConfiguration, sent: ImportedProbe) -> str:
    """The content address: what was measured, and every score; the order of problems does not matter."""
    content = [configuration.model_dump(mode="json"), sent.evaluations]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _add(session: Session, tenant: str, probe_id: str, key: str, configuration: ImportedConfiguration) -> Probe | None:
    try:
        with session.begin_nested():
            # a job that has ended: whoever follows, cancels or lists probes finds one
            job = jobs.add_ended(session, tenant=tenant, kind=KIND.name, queue=KIND.queue, subject_id=probe_id)
            return repository.add(
                session,
                {
                    "id": probe_id,
                    "tenant": tenant,
                    "key": key,
                    "configuration": configuration.model_dump(mode="json"),
                    "job_id": job.id,
                },
            )
    except IntegrityError:
        return None
