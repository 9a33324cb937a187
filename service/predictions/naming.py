"""Requests that name a stored probe: its result answers, if it has measured what is asked about."""

import json

from sqlalchemy.orm import Session

from gapcast.contract.contexts import Context
from gapcast.contract.measured import Decoding
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import ImportedConfiguration
from service.catalog import service as catalog
from service.fits.service import Current
from service.kit.errors import InvalidRequest, NotFound
from service.predictions.answering import Question, StoredProbe, measured_by
from service.probes import repository
from service.probes.configuring import trained
from service.settings import Settings
from service.tasks.service import known_task

LONGEST = 200
"""characters of a configuration that an error quotes: all of its usual options"""


def named_probe(
    session: Session, tenant: str, request: PredictionRequest, law: Current, settings: Settings
) -> Question:
    """Make the question of a request that names a probe.

    Raises:
        NotFound: there is no such probe.
        InvalidRequest: it has no result, or has measured something else.
    """
    probe_id = request.probe_id or ""
    row = repository.get(session, tenant, probe_id)
    if row is None:
        raise NotFound(f"probe_id: there is no probe {probe_id[:80]!r}. GET /v1/probes lists them.", param="probe_id")
    probe, job = row
    if probe.result is None:
        raise InvalidRequest(
            f"probe_id: expected a probe with a result, got {probe_id} ({job.state}). Wait for it, or send its "
            "configuration with `probe` in place of probe_id.",
            param="probe_id",
            value=probe_id,
        )
    own = measured_by(probe.configuration)
    stored = own if own is not None else ImportedConfiguration.model_validate(probe.configuration)
    _require_same(probe_id, "model.name", stored.model, request.model.name)
    _require_same(probe_id, "task", stored.task, request.task)
    _require_same(probe_id, "context", _said(stored.context), _said(request.context))
    _require_same(probe_id, "decoding", _said(stored.decoding), _said(_filled(request.decoding, stored.decoding)))
    if own is not None and own.group_size is not None:
        _require_same(probe_id, "recipe.group_size", own.group_size, request.recipe.group_size)
    family = request.model.family
    if isinstance(stored, ImportedConfiguration):
        family = family or stored.family
    reference = request.model.model_copy(update={"family": family})
    family = catalog.family_of(settings.models, reference)
    parts = {
        "model": reference.model_copy(update={"family": family}),
        "decoding": stored.decoding.model_copy(update={"evaluation": request.decoding.evaluation}),
        "training": trained(request.training, known_task(session, tenant, request.task)),
        "pool": law.fit.pool,
        "recipe": catalog.tuned(settings.models, request.model.name, request.recipe),
    }
    filled = request.model_copy(update=parts)
    return Question(filled, family, law, own, None, StoredProbe(probe.id, probe.result))


def _filled(decoding: Decoding, stored: Decoding) -> Decoding:
    """The request's decoding as a probe has it: no trained student is evaluated, and a task says its own limit."""
    most = decoding.max_tokens or stored.max_tokens
    return decoding.model_copy(update={"evaluation": None, "max_tokens": most})


def _said(part: Context | Decoding) -> object:
    return part.model_dump(mode="json")


def _require_same(probe_id: str, param: str, stored: object, asked: object) -> None:
    if stored != asked:
        raise InvalidRequest(
            f"{param}: expected {_short(stored)}, which {probe_id} has measured, got {_short(asked)}. Send what it has "
            "measured, or leave probe_id out.",
            param=param,
            value=asked,
        )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
