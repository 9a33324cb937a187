"""Whether a family has become another: its versions as families of their own (docs: LAW, "What it says")."""

from collections.abc import Sequence

import numpy as np

from service.law.fitting import Stored, fit_stored
from service.law.keys import Key, Rule
from service.law.links import LinkName
from service.law.models import candidates
from service.law.observations import Observations
from service.law.weighing import most_likely


def drift_log_bayes_factor(observations: Observations, family: str, versions: Sequence[str]) -> float:
    """Log evidence for a family's versions being families of their own; above 3 is an alarm.

    Under the model that all rows of a teacher rule make most likely, so that two stretches of one bent curve are not
    taken for two lines; summed over the rules.

    Args:
        observations: N stored points.
        family: whose drift is asked for.
        versions: N versions; only those of the family's rows matter.
    """
    total = 0.0
    pairs = zip(observations.family, versions, strict=True)
    split = [f"{name}\0{version}" if name == family else name for name, version in pairs]
    rules = np.array([Key.of(teacher, None).rule for teacher in observations.teacher], dtype=object)
    for rule in Rule:
        rows = np.flatnonzero(rules == rule)
        if any(observations.family[row] == family for row in rows):
            total += _gain(observations.take(rows), [split[row] for row in rows], rule)
    return total


def _gain(observations: Observations, split: Sequence[str], rule: Rule) -> float:
    links = (LinkName.LINEAR,) if np.isnan(observations.baseline).any() else tuple(LinkName)
    whole = Stored.of(observations)
    model = most_likely(whole, candidates(links, rule))
    apart = fit_stored(Stored.of(observations.regrouped(split)), model)
    return apart.log_evidence - fit_stored(whole, model).log_evidence
