"""What must be said with a prediction (docs: LAW, "What it says"; part 2 "Warn")."""

from collections.abc import Iterator, Sequence

import numpy as np

from service.law.contexts import FEWEST_CONTEXTS, Known, Place, dilution, kind_of
from service.law.keys import Key, Rule
from service.law.leaves import IndexArray
from service.law.observations import BoolArray, FloatArray, Probe
from service.law.prediction import Branch, Caution, Code, Status
from service.law.state import PoolState

FEWEST_POINTS = 3  # for a claim about a slope
MOST_FLAT = 0.5
MOST_HEADROOM = 0.8
CURVATURE_LEVEL = 0.05
SMALL_GAP = 0.06
DECIDED = 0.95
"""weight from which one link speaks for all"""

BASELINE_MISSING = "a stored run lacks its baseline, and with it the headroom: the law is straight here"
SMALL_GAP_MESSAGE = (
    "with a teacher that moves, a mean gap near 0 cannot tell a useless context from a weakly informative one"
)
UNLIKE_KIND = "no context of kind {kind!r} has stored runs: with a kind left out, 95 % intervals held for 60 % of runs"
UNLIKE_SPREAD = "this gap lies on the problems more, or less, evenly than that of any stored run"
NO_SPREAD = "a gap's spread over the problems is not known of every run and of this probe: it does not count here"
_STATUS_MESSAGES = {
    Status.PRIOR_ONLY: (
        Code.PRIOR_ONLY,
        "nothing is stored of runs with such a teacher: this rests on the published slopes alone",
    ),
    Status.COLD: (Code.COLD, "family {family!r} has no stored run: this rests on {rest}"),
    Status.SPARSE: (Code.SPARSE, "family {family!r} has {n} stored run(s), too few for a slope of its own"),
}


def status(pool: PoolState, family: str) -> Status:
    """How much a pool knows of a family."""
    if not pool.families and not pool.lent:
        return Status.PRIOR_ONLY
    if family not in pool.families:
        return Status.COLD
    return Status.FITTED if pool.families[family].n >= FEWEST_POINTS else Status.SPARSE


def places(probe: Probe) -> list[Place]:
    """Where each of P probes stands."""
    leaves = zip(probe.family, probe.cell, strict=True)
    return [Place(*each) for each in zip(leaves, probe.context, probe.model, strict=True)]


def known(pool: PoolState, probe: Probe) -> list[Known | None]:
    """How much a pool knows of the contexts of P probes."""
    contexts = pool.contexts
    return [None if contexts is None else contexts.knows(place) for place in places(probe)]


def outside(pool: PoolState, probe: Probe) -> BoolArray:
    """(P,) probes beyond the gaps of their family, or of all families where it has none, by more than their error."""
    ranges = [pool.known(family) for family in probe.family]
    lowest, highest = np.array([(known.lowest_gap, known.highest_gap) for known in ranges]).reshape(-1, 2).T
    sd = np.sqrt(probe.gap_var)
    return np.asarray((probe.gap < lowest - sd) | (probe.gap > highest + sd))


def extrapolated(pool: PoolState, probe: Probe) -> BoolArray:
    """(P,) probes that lie outside, or belong rather to the flat part of the exposure."""
    flat = pool.exposure.flat_weight(probe.gap, probe.gap_var) > MOST_FLAT
    return np.asarray(outside(pool, probe) | flat)


def refused(pool: PoolState, probe: Probe, mean: FloatArray) -> BoolArray:
    """(P,) predictions that are not made: a line, and not one of several links, extrapolated into the ceiling."""
    if pool.linear_weight < DECIDED:
        return np.zeros(len(probe), dtype=np.bool_)
    # False where the baseline is unknown
    return np.asarray(extrapolated(pool, probe) & (mean > MOST_HEADROOM * (1 - probe.baseline)))


def undecided(pool: PoolState, probe: Probe) -> BoolArray:
    """(P,) probes beyond the data, where a line and a bent link part, of which neither is ruled out."""
    either = 1 - DECIDED < pool.linear_weight < DECIDED
    return np.asarray(outside(pool, probe) & either)


def cautions(
    pool: PoolState, probe: Probe, refusals: BoolArray, branches: Sequence[Branch], undecided_rows: IndexArray
) -> Iterator[Caution]:
    """Say what is to be known of each of a pool's probes; ``branches`` are about those of ``undecided_rows``."""
    far = extrapolated(pool, probe)
    told = dict(zip(undecided_rows.tolist(), _told(branches), strict=True))
    for index, family in enumerate(probe.family):
        known = status(pool, family)
        if known in _STATUS_MESSAGES:
            code, message = _STATUS_MESSAGES[known]
            n = pool.families[family].n if known is Status.SPARSE else 0
            yield Caution(code, message.format(family=family, n=n, rest=_rest(pool, family)), index)
        if pool.straightened:
            yield Caution(Code.BASELINE_MISSING, BASELINE_MISSING, index)
        yield from _of_context(pool, probe, index)
        if far[index]:
            gap = float(probe.gap[index])
            yield Caution(Code.EXTRAPOLATION, f"gap {gap:.3f} is outside what was stored", index, {"gap": gap})
        if pool.curvature < CURVATURE_LEVEL and pool.linear_weight >= DECIDED:
            message = f"stored improvements bend down at large gaps (p = {pool.curvature:.3f}): the law is straight"
            yield Caution(Code.CURVATURE, message, index)
        moving = Key.of(probe.teacher[index], probe.divergence[index]).rule is not Rule.FROZEN
        if moving and abs(probe.gap[index]) < SMALL_GAP:
            yield Caution(Code.SMALL_GAP, SMALL_GAP_MESSAGE, index)
        if index in told:
            message = f"beyond the stored gaps the answer depends on the link: {told[index]}"
            yield Caution(Code.LINK_UNDECIDED, message, index)
        if refusals[index]:
            room = 1 - float(probe.baseline[index])
            message = (
                f"an extrapolated prediction above {100 * MOST_HEADROOM:.0f} % of the headroom {room:.3f} is not made"
            )
            yield Caution(Code.REFUSED, message, index, {"headroom": room})


def _rest(pool: PoolState, family: str) -> str:
    """Name the runs that an answer about a family without own ones rests on."""
    if not pool.lent:
        return "the other families"
    if family in pool.lent:
        return f"{pool.lent[family]} lent run(s) of it, and on the other families"
    lent = f"the families that are lent ({', '.join(pool.lent)})"
    return f"the other families and {lent}" if pool.families else lent


def _of_context(pool: PoolState, probe: Probe, index: int) -> Iterator[Caution]:
    """Say what is to be known of a probe's context, where contexts are a level."""
    contexts = pool.contexts
    if contexts is None:
        return
    context, spread = probe.context[index], float(dilution(probe.gap_spread, probe.gap)[index])
    place = Place((probe.family[index], probe.cell[index]), context, probe.model[index])
    if contexts.knows(place) is Known.NEW:
        name = "the context was not given" if context is None else "nothing is stored of this context in this cell"
        message = f"{name}: contexts of one gap differ by {pool.context_sd:.3f} (standard deviation)"
        yield Caution(Code.NEW_CONTEXT, message, index, {"context_sd": pool.context_sd})
        kind = kind_of(context)
        if kind is not None and contexts.kinds and kind not in contexts.kinds:
            yield Caution(Code.UNLIKE_CONTEXT, UNLIKE_KIND.format(kind=kind), index)
    if len(contexts.known) < FEWEST_CONTEXTS:
        message = f"{len(contexts.known)} context(s) with stored runs: how much contexts differ is mostly assumed"
        yield Caution(Code.FEW_CONTEXTS, message, index)
    if pool.dilutions is not None and not pool.dilutions[0] <= spread <= pool.dilutions[2] and not np.isnan(spread):
        yield Caution(Code.UNLIKE_CONTEXT, UNLIKE_SPREAD, index)
    if pool.wants_spread and (pool.dilutions is None or np.isnan(spread)):
        yield Caution(Code.NO_SPREAD, NO_SPREAD, index)


def _told(branches: Sequence[Branch]) -> list[str]:
    """U sentences: what either side would say."""
    sides = []
    for branch in branches:
        numbers = zip(branch.prediction.mean, *branch.prediction.interval(0.95), strict=True)
        sides.append(
            [
                f"{branch.kind} (weight {branch.weight:.2f}) {mean:+.3f} (95 % {lower:+.3f} to {upper:+.3f})"
                for mean, lower, upper in numbers
            ]
        )
    return ["; ".join(both) for both in zip(*sides, strict=True)]
