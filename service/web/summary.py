"""What the page says in words and rows: about the observations of a pool, its fit, and its past predictions."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gapcast import words
from gapcast.contract.fits import Calibration, FamilyScaling
from service.law.cautions import DECIDED
from service.web.points import ChartData, Curve, FitVersion, ObservationPoint
from service.web.recipes import FamilyRecipe, key_phrase

SLOPE_NEEDS = 3
"""Fewer observations of a family make no claim about its slope (LAW.md: status `sparse`)."""
DIFFER_P = 0.05
"""under this p-value the sizes of a family are said to differ"""
OTHER_STUDENT = 0.05
"""accuracy by which the student that a bent curve is drawn for differs visibly from those of the runs under it"""
MOST_NAMED = 6
"""sizes, or versions, that one sentence names"""


def _counts(observations: Sequence[ObservationPoint], fit: FitVersion | None) -> Mapping[FamilyRecipe, int]:
    if fit is not None:
        return fit.laws
    return Counter(one.law for one in observations if not one.excluded)


def law_message(pool: str, data: ChartData) -> str:
    """Say in a few sentences what the law that is drawn rests on, what of it is not drawn, and how it bends."""
    sentences = [_rests_on(words.isolated(pool), sum(_counts(data.observations, data.fit).values()), data.curve)]
    if data.fit is not None:
        sentences += _not_shown(data.fit, len(data.observations))
    if data.curve is not None:
        sentences += _bends(data.curve)
    return " ".join(sentences)


def _rests_on(pool: str, fitted: int, curve: Curve | None) -> str:
    if not fitted:
        return (
            f"Pool {pool} has no observations in its fit: the law is the prior alone, taken from published slopes "
            "and not from your runs. Import observations or finish a training run to sharpen it."
        )
    if curve is None:
        return f"{fitted:,} observations in pool {pool}; the law is not fitted to them yet."
    those = sum(curve.runs.values())
    apart = fitted - those
    if not apart:
        return _of_family(f"{those:,} observations in pool {pool}", those, curve)
    phrase = f"with {key_phrase(curve.pool)}"
    others = "1 observation follows" if apart == 1 else f"{apart:,} observations follow"
    if those:
        said = _of_family(f"{those:,} observations in pool {pool} {phrase}", those, curve)
    else:
        said = f"Pool {pool} has no observations {phrase}: the law is the prior alone."
    return f"{said} The pool's other {others} another law."


def _of_family(total: str, those: int, curve: Curve) -> str:
    """What the family's own runs say, of all that the law rests on."""
    family, n = words.isolated(curve.law.family), curve.runs.get(curve.law.family, 0)
    if n == 0:
        return f"None of the {total} is of {family}: its law is what the other families suggest."
    if n < SLOPE_NEEDS:
        return f"Only {n} of the {total} {'is' if n == 1 else 'are'} of {family}: too few to claim a slope."
    if n == those:
        return f"All {total} are of {family}."
    return f"{n:,} of the {total} are of {family}; the others say what slopes to expect."


def _bends(curve: Curve) -> list[str]:
    """What the curve is drawn for, unless it is as good as straight: a line is the same for every student."""
    if curve.linear_weight > DECIDED:
        return []
    at = f"a student at {words.percent(curve.baseline)} with {words.plain_points(1 - curve.baseline)} points to gain"
    differs = curve.typical and abs(curve.baseline - curve.typical) >= OTHER_STUDENT
    runs = f"; its runs' students are at {words.percent(curve.typical)} (median)" if differs else ""
    return [f"{words.sentence(words.shape(curve.linear_weight))}, drawn for {at}{runs}."]


def _not_shown(fit: FitVersion, drawn: int) -> list[str]:
    sentences = []
    collapsed = fit.n - sum(fit.laws.values())
    if collapsed:
        sentences.append(f"{collapsed:,} more {'is' if collapsed == 1 else 'are'} stored as collapsed.")
    if drawn < fit.n:
        sentences.append(f"The newest {drawn:,} are drawn.")
    if not fit.diagnosed and fit.n:
        sentences.append("Outliers of a pool of this size are not marked here; the fit's residuals name them.")
    if fit.drift is None:
        sentences.append("Drift was not tested.")
    if fit.behind:
        changes = "1 change" if fit.behind == 1 else f"{fit.behind:,} changes"
        sentences.append(f"The pool has had {changes} since; a new fit is being made.")
    return sentences


def alarms(fit: FitVersion | None) -> list[str]:
    """Say which families drift, in which versions, and what to do about each."""
    drift = fit.drift if fit is not None else None
    return [_alarm(family, versions) for family, versions in sorted((drift or {}).items())]


def _alarm(family: str, versions: Mapping[str, int]) -> str:
    named = [f"{words.isolated(name) or 'unnamed'} ({n:,})" for name, n in sorted(versions.items())]
    shown = named if len(named) <= MOST_NAMED else [*named[: MOST_NAMED - 1], f"{len(named) - MOST_NAMED + 1} more"]
    return (
        f"Drift: the versions of {words.isolated(family)} follow different laws: {words.listed(shown)}. "
        "Exclude the observations of those that are out of date, or send them under a family of their own."
    )


def sizes_message(scaling: FamilyScaling) -> str | None:
    """Say a law's slope by model size; nothing where there is one size alone."""
    sizes, found = scaling.sizes, scaling.homogeneity
    if found is None:
        return None
    slopes = [f"{one.slope:.2f} ± {one.se:.2f} at {words.model_size(one.parameters)}" for one in sizes]
    said = f"from {slopes[0]} to {slopes[-1]}" if len(slopes) > MOST_NAMED else words.listed(slopes)
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.{3 if found.p_value < 0.1 else 2}f}"
    verdict = "they differ" if found.p_value < DIFFER_P else "no sign that they differ"
    sentence = f"Slope by model size (± SE): {said} parameters; {verdict}, {p}."
    if scaling.linear_weight > DECIDED:
        return sentence
    weights = words.shape(scaling.linear_weight)
    return (
        f"{sentence} The law may bend ({weights}): then a size that was trained at larger gaps shows a smaller slope."
    )


def outcomes_message(pool: str, found: Calibration) -> str:
    """Say how past predictions turned out, or how to tell."""
    said = words.calibration(pool, found)
    if found.n:
        return said
    return (
        f"{said} Train one with its button, or send a run that was trained elsewhere to POST /v1/observations (or "
        "gapcast observations import) with the prediction_id of its prediction, and it is judged here."
    )
