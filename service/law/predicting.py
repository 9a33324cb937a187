"""From a probe to its mixture of normals, and what must be said with it (docs: LAW step 5, "What it says")."""

from collections.abc import Iterator

import numpy as np

from service.law.hierarchy import line
from service.law.mixture import NormalMixture
from service.law.observations import BoolArray, FloatArray, Probe
from service.law.prediction import Caution, Code, Prediction, Status
from service.law.state import LawState

FEWEST_POINTS = 3  # for a claim about a slope
MOST_FLAT = 0.5
MOST_HEADROOM = 0.8
CURVATURE_LEVEL = 0.05

_STATUS_MESSAGES = {
    Status.PRIOR_ONLY: (Code.PRIOR_ONLY, "nothing is stored: this rests on the published slopes alone"),
    Status.COLD: (Code.COLD, "family {family!r} has no stored run: this rests on the other families"),
    Status.SPARSE: (Code.SPARSE, "family {family!r} has {n} stored run(s), too few for a slope of its own"),
}


def status(state: LawState, family: str) -> Status:
    """How much the law knows of a family."""
    if not state.families:
        return Status.PRIOR_ONLY
    if family not in state.families:
        return Status.COLD
    return Status.FITTED if state.families[family].n >= FEWEST_POINTS else Status.SPARSE


def mixture(state: LawState, probe: Probe) -> NormalMixture:
    """Mix the predictive distribution of each of P probes: 2J normals, J nodes x 2 parts of the exposure."""
    posterior, exposure = state.posterior, state.exposure
    keys = list(zip(probe.family, probe.cell, strict=True))
    distinct = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    coefficients = [posterior.coefficients(*key) for key in distinct]
    which = [distinct[key] for key in keys]
    nodes = len(posterior.weight)
    mean = np.array([pair[0] for pair in coefficients]).reshape(-1, 2, nodes)[which].swapaxes(0, 1)
    cov = np.array([pair[1] for pair in coefficients]).reshape(-1, 3, nodes)[which].swapaxes(0, 1)
    sigma_square = posterior.grid.sigma[posterior.grid.sigma_index] ** 2

    def component(x: FloatArray, x_var: FloatArray, own_var: FloatArray, shared: FloatArray) -> list[FloatArray]:
        centre, spread = line(mean, cov, x[:, None])
        error = (mean[1] ** 2 + cov[2]) * x_var[:, None] + own_var[:, None] - 2 * mean[1] * shared[:, None]
        return [centre, np.sqrt(spread + error + sigma_square)]

    x, x_var, c = probe.gap, probe.gap_var, probe.cov
    reliability, total = exposure.reliability(x_var), exposure.variance + x_var
    near = component(
        exposure.shrink(x, x_var), reliability * x_var, probe.improvement_var - c**2 / total, reliability * c
    )
    near[0] += (c * (x - exposure.mean) / total)[:, None]
    flat = component(x, x_var, probe.improvement_var, c)
    flat_weight = exposure.flat_weight(x, x_var)[:, None]
    weight = np.concatenate([(1 - flat_weight) * posterior.weight, flat_weight * posterior.weight], axis=1)
    return NormalMixture(weight, *(np.concatenate(pair, axis=1) for pair in zip(near, flat, strict=True)))


def predict(state: LawState, probe: Probe, levels: tuple[float, ...]) -> Prediction:
    """Predicted improvements with their cautions."""
    predictive = mixture(state, probe)
    mean = predictive.centre
    extrapolated = _extrapolated(state, probe)
    refused = extrapolated & (mean > MOST_HEADROOM * (1 - probe.baseline))  # False where the baseline is unknown
    lowest, highest = possible(probe)

    def shaped(value: FloatArray) -> FloatArray:
        return np.where(refused, np.nan, value).reshape(probe.shape)[()]

    return Prediction(
        mean=shaped(np.clip(mean, lowest, highest)),
        p_positive=shaped(1 - predictive.cdf(np.zeros(len(probe)))),
        p_collapse=np.full(probe.shape, state.pi)[()],
        refused=refused.reshape(probe.shape)[()],
        warnings=tuple(_cautions(state, probe, extrapolated, refused)),
        levels=levels,
        _mixture=predictive,
        _lowest=lowest,
        _highest=highest,
    )


def possible(probe: Probe) -> tuple[FloatArray, FloatArray]:
    """(P,) lowest and highest improvements that can come out, infinite where nothing bounds them."""
    # a measured improvement with a baseline of its own can leave the range by its own noise
    clipped = ~np.isnan(probe.baseline) & ((probe.improvement_var == 0) | (probe.cov != 0))
    return np.where(clipped, -probe.baseline, -np.inf), np.where(clipped, 1 - probe.baseline, np.inf)


def _extrapolated(state: LawState, probe: Probe) -> BoolArray:
    """(P,) probes far from the stored ones: of the family, or of all families where it has none."""
    ranges = [state.families.get(family, state.stored) for family in probe.family]
    lowest, highest = np.array([(known.lowest_gap, known.highest_gap) for known in ranges]).reshape(-1, 2).T
    sd = np.sqrt(probe.gap_var)
    outside = (probe.gap < lowest - sd) | (probe.gap > highest + sd)
    return outside | (state.exposure.flat_weight(probe.gap, probe.gap_var) > MOST_FLAT)


def _cautions(state: LawState, probe: Probe, extrapolated: BoolArray, refused: BoolArray) -> Iterator[Caution]:
    for index, family in enumerate(probe.family):
        known = status(state, family)
        if known in _STATUS_MESSAGES:
            code, message = _STATUS_MESSAGES[known]
            n = state.families[family].n if known is Status.SPARSE else 0
            yield Caution(code, message.format(family=family, n=n), index)
        if extrapolated[index]:
            yield Caution(Code.EXTRAPOLATION, f"gap {probe.gap[index]:.3f} is outside what was stored", index)
        if state.curvature < CURVATURE_LEVEL:
            message = f"stored improvements bend down at large gaps (p = {state.curvature:.3f}): the law is straight"
            yield Caution(Code.CURVATURE, message, index)
        if refused[index]:
            room = 1 - probe.baseline[index]
            message = f"an extrapolated prediction above {MOST_HEADROOM:.0%} of the headroom {room:.3f} is not made"
            yield Caution(Code.REFUSED, message, index)
