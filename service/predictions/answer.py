"""From a gap and a law to an answer; pure, no database."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gapcast.contract.base import Warned
from gapcast.contract.predictions import (
    PROBABILITIES,
    Answer,
    Branch,
    Cost,
    Improvement,
    Interval,
    LawUsed,
    PredictionRequest,
    Quantiles,
)
from gapcast.contract.probes import FEW_PROBLEMS, Controls, Gap, ProbeFigures, ProbeResult
from gapcast.contract.recipes import Recipe, cell_of
from service import law
from service.fits.presenting import curved
from service.fits.service import Current
from service.fits.summary import PoolSummary, rollouts

VERDICT_LEVEL = 0.8
"""The verdict asks where this interval lies (DESIGN.md, REST)."""
SMALL_VARIANCE = 1e-10
"""Stands for a gap that is known exactly, when asking whether a larger probe could decide."""


def answer(request: PredictionRequest, family: str, pool: Current, result: ProbeResult | None) -> Answer:
    """Answer a request from its probe's result, or from the gap that it brought.

    Raises:
        ValueError: neither a result nor a gap is there.
    """
    gap = _gap(request, result)
    cell = cell_of(family, request.task, request.recipe)
    # of the future run: the median of the pool's, else that of this gap
    measurement_var = pool.summary.measurement_var or gap.se**2
    about = _About(family, cell, request.recipe, measurement_var)
    probe = _law_probe(gap, gap.se**2, about)
    out = pool.law.predict_improvement(probe)
    refused = not np.isfinite(float(out.mean))
    quantiles = _quantiles(out, request.levels)
    return Answer(
        gap=gap,
        controls=Controls() if result is None else result.controls,
        improvement=Improvement(
            value=None if refused else float(out.mean),
            intervals=[]
            if refused
            else [
                Interval(level=level, lower=quantiles[low], upper=quantiles[high])
                for level, (low, high) in zip(request.levels, map(_ends, request.levels), strict=True)
            ],
            measurement_se=measurement_var**0.5,
            p_positive=None if refused else float(out.p_positive),
            quantiles=None
            if refused
            else Quantiles(probabilities=list(PROBABILITIES), values=[quantiles[one] for one in PROBABILITIES]),
            p_collapse=float(out.p_collapse),
            branches=[_branch(one, request.levels) for one in out.branches],
        ),
        law=_law_used(pool, about, gap.student),
        verdict="refused"
        if refused
        else _verdict(quantiles, pool.law, _law_probe(gap, SMALL_VARIANCE, about), request.min_gain),
        warnings=[
            *(_law_warning(one, gap) for one in out.warnings),
            *_pool_warnings(request, family, cell, pool),
            *_probe_warnings(request, gap, result),
        ],
        cost=_cost(request.recipe, request.model.name, pool.summary, result),
        probe=None if result is None else _probe_figures(result),
    )


def _ends(level: float) -> tuple[float, float]:
    """The probabilities at an equal-tailed interval's ends, as they are keys: .1 and not .09999999999999998."""
    return round((1 - level) / 2, 9), round((1 + level) / 2, 9)


def _quantiles(out: law.Prediction, levels: Sequence[float]) -> dict[float, float]:
    """All that an answer needs, at once: they are most of its cost.

    Accuracies are shares: no improvement lies outside [-1, 1], however wide the law's own interval.
    """
    ends = (end for level in (VERDICT_LEVEL, *levels) for end in _ends(level))
    probabilities = sorted({*PROBABILITIES, *ends})
    return dict(zip(probabilities, np.clip(out.quantiles(probabilities), -1.0, 1.0).tolist(), strict=True))


def _gap(request: PredictionRequest, result: ProbeResult | None) -> Gap:
    if result is not None:
        return result.gap
    if request.gap is None:
        raise ValueError("a prediction needs a probe's result or a gap")
    given = request.gap
    return Gap(value=given.value, se=given.se, student=given.student, self_teacher=given.student + given.value)


def _branch(branch: law.Branch, levels: Sequence[float]) -> Branch:
    """One side's answer for a single gap."""
    alone = branch.prediction
    found = [(level, *(float(end[0]) for end in alone.interval(level))) for level in levels]
    return Branch(
        link=branch.kind.value,
        weight=branch.weight,
        value=float(alone.mean[0]),
        intervals=[Interval(level=level, lower=max(low, -1.0), upper=min(high, 1.0)) for level, low, high in found],
    )


class _About(NamedTuple):
    """The run that is asked for, and the variance that its improvement will be measured with."""

    family: str
    cell: str
    recipe: Recipe
    measurement_var: float


def _law_used(pool: Current, about: _About, baseline: float) -> LawUsed:
    fitted, family, cell = pool.law, about.family, about.cell
    recipe: dict[str, Any] = {"teacher": about.recipe.teacher, "divergence": about.recipe.divergence}
    return LawUsed(
        fit_id=pool.fit.id,
        family=family,
        cell=cell,
        n=fitted.points(family, **recipe),
        status=fitted.status(family, **recipe),
        **curved(fitted.coefficients(family, cell, baseline=baseline, **recipe)),
    )


def _law_probe(gap: Gap, gap_var: float, about: _About) -> law.Probe:
    return law.Probe(
        gap=gap.value,
        gap_var=gap_var,
        family=about.family,
        cell=about.cell,
        teacher=about.recipe.teacher,
        divergence=about.recipe.divergence,
        baseline=gap.student,
        improvement_var=about.measurement_var,
    )


def _verdict(quantiles: dict[float, float], fitted: law.GapLaw, exact: law.Probe, min_gain: float) -> str:
    """`train` or `skip` when the whole 80 % interval is on one side of `min_gain`; else whether more probing helps.

    `exact` is the same gap, known exactly: what an endless probe would have measured, if this one is right.
    """
    low, high = _ends(VERDICT_LEVEL)
    side = _side(quantiles[low], quantiles[high], min_gain)
    if side is not None:
        return side
    lower, upper = fitted.predict_improvement(exact).interval(VERDICT_LEVEL)
    return "undecided" if _side(float(lower), float(upper), min_gain) is None else "probe_more"


def _side(lower: float, upper: float, min_gain: float) -> str | None:
    if lower > min_gain:
        return "train"
    return "skip" if upper < min_gain else None


def _law_warning(caution: law.Caution, gap: Gap) -> Warned:
    """Show a caution of the law, with its accuracies."""
    numbers = {law.Code.EXTRAPOLATION: {"gap": gap.value}, law.Code.REFUSED: {"headroom": 1 - gap.student}}
    return Warned(code=caution.code, message=caution.message, numbers=numbers.get(caution.code, {}))


def _pool_warnings(request: PredictionRequest, family: str, cell: str, pool: Current) -> list[Warned]:
    """What the law does not know: the newest changes of its pool, or a run of this task and recipe class."""
    warned = []
    if pool.behind:
        message = (
            f"The pool has changed {pool.behind} time(s) since this fit was made, and is being fitted again; ask again "
            "later for a prediction that knows them."
        )
        warned.append(Warned(code="fit_behind", message=message))
    recipe = request.recipe
    known = pool.law.points(family, teacher=recipe.teacher, divergence=recipe.divergence)
    if known and cell not in pool.law.cells_:
        message = (
            f"No stored run of {family} is of this task and recipe class ({recipe.recipe_class}); the interval "
            "rests on its other runs whose teacher moves, or stays, as this one's does."
        )
        warned.append(Warned(code="cold_cell", message=message))
    drift = (pool.summary.drift or {}).get(family)
    if drift is not None and drift.alarm:
        message = (
            f"Stored runs of {family} follow different laws by version ({', '.join(map(repr, drift.versions))}): "
            "something besides the gap has changed. Exclude the runs that no longer apply, or name families apart."
        )
        warned.append(Warned(code="drift", message=message))
    return warned


def _probe_warnings(request: PredictionRequest, gap: Gap, result: ProbeResult | None) -> list[Warned]:
    """What the controls say against the gap."""
    if result is None:
        return []
    warned = []
    if gap.problems is not None and gap.problems < FEW_PROBLEMS:
        message = (
            f"{gap.problems} problems are too few to know the standard error by: the interval may be far too narrow. "
            f"Probe at least {FEW_PROBLEMS}."
        )
        warned.append(Warned(code="small_probe", message=message))
    none = result.controls.none
    if none is not None and abs(none.value) > 3 * none.se:
        message = (
            f"The A/A control is {none.value:+.3f} +- {none.se:.3f}: two samples of the same prompt differ by "
            "more than 3 standard errors. Probe again with another seed, and distrust the gap if it stays."
        )
        numbers = {"value": none.value, "se": none.se}
        warned.append(Warned(code="none_control_off", message=message, numbers=numbers))
    for control, found, what in (
        ("placebo", result.controls.placebo, "Another problem's context"),
        ("shuffled_feedback", result.controls.shuffled_feedback, "Another attempt's feedback"),
    ):
        if found is not None and found.value > 3 * found.se:
            message = (
                f"{what} alone gives {found.value:+.3f} +- {found.se:.3f}: part of the gap is not information "
                "about the problem."
            )
            numbers = {"value": found.value, "se": found.se}
            warned.append(Warned(code=f"{control}_positive", message=message, numbers=numbers))
    if result.stopped_by == "most_problems":
        message = (
            f"The probe took all of its {gap.problems} problems without reaching probe.target_half_width; allow more "
            "problems."
        )
        warned.append(Warned(code="target_not_reached", message=message))
    wanted = 0.0 if request.context.kind == "none" else request.context.corruption.coverage
    missing = result.contexts_missing - (1 - wanted)
    if missing > 0.1:
        message = (
            f"{missing:.0%} of the rollouts had no context to read, beyond the coverage that was asked for; they count "
            "as `none` and dilute the gap."
        )
        warned.append(Warned(code="contexts_missing", message=message))
    truncated = result.arms["context"].truncated
    if truncated > 0.1:
        message = (
            f"{truncated:.0%} of the self-teacher's rollouts were truncated at max_tokens. Raise decoding.max_tokens."
        )
        warned.append(Warned(code="truncated", message=message))
    if gap.student < 0.02 or gap.student > 0.98:
        message = f"The student is right in {gap.student:.1%} of its rollouts: at such an end a gap says little."
        warned.append(Warned(code="student_at_the_end", message=message))
    return warned


def _cost(recipe: Recipe, model: str, summary: PoolSummary, result: ProbeResult | None) -> Cost:
    """Probe seconds as measured; training seconds from the pool's runs of this model, by rollouts drawn in training."""
    rate, drawn = summary.seconds_per_rollout.get(model), rollouts(recipe.model_dump())
    return Cost(
        probe_seconds=result.seconds.probe if result is not None and result.seconds is not None else None,
        probe_gpu_hours=result.cost.gpu_hours if result is not None and result.cost is not None else None,
        training_seconds_estimate=rate.median * drawn if rate is not None and drawn is not None else None,
        training_seconds_source=f"median of {rate.runs} runs of {model} in this pool, per rollout"
        if rate is not None and drawn is not None
        else None,
    )


def _probe_figures(result: ProbeResult) -> ProbeFigures:
    """Return what a prediction shows of its probe: all but the counts, which grow with the problems."""
    shown = {name: getattr(result, name) for name in ProbeFigures.model_fields}
    shown["arms"] = {name: arm.model_copy(update={"counts": None}) for name, arm in result.arms.items()}
    return ProbeFigures(**shown)
