"""What stored probes tell of configurations."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from gapcast.contract.probes import ProbeResult
from service.comparisons.configuring import Contestant
from service.probes import repository as probes

SIZES = frozenset({"problems", "controls", "target_se"})
"""of a probe's configuration: its first problems' samples do not depend on them"""


def measured(session: Session, tenant: str, found: Sequence[Contestant]) -> list[ProbeResult | None]:
    """The largest stored probe of each configuration, whatever its size; None: it has not been measured."""
    largest: dict[str, probes.Measured] = {}
    for model, task in sorted({(one.own.model, one.own.task) for one in found}):
        for probe in probes.measured(session, tenant, model, task):
            key = _samples(probe.configuration)
            if key not in largest or probe.problems > largest[key].problems:
                largest[key] = probe
    results = []
    for one in found:
        stored = largest.get(_samples(one.own.model_dump(mode="json")))
        result = probes.by_id(session, stored.id).result if stored is not None else None
        results.append(None if result is None else ProbeResult.model_validate(result))
    return results


def _samples(configuration: Mapping[str, object]) -> str:
    """What a probe's samples depend on beside the problem."""
    of_samples = {name: value for name, value in configuration.items() if name not in SIZES}
    return json.dumps(of_samples, sort_keys=True)  # a database may keep the fields of an object in an order of its own
