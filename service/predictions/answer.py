"""From a gap and a law to an answer; pure, no database."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gapcast.contract.fits import Compared
from gapcast.contract.predictions import (
    PROBABILITIES,
    Answer,
    Branch,
    Cost,
    HeldOutAnswer,
    Improvement,
    Interval,
    LawUsed,
    Missing,
    NearRun,
    PredictionRequest,
    Quantiles,
    Verdict,
)
from gapcast.contract.probes import Controls, Gap, ProbeFigures, ProbeResult
from gapcast.contract.recipes import Recipe
from service import law
from service.fits.asked import Asked
from service.fits.laws import Answering, Target
from service.fits.presenting import curved
from service.fits.service import Current
from service.fits.summary import PoolSummary, rollouts
from service.predictions import warned
from service.predictions.support import collapses, missing, support

VERDICT_LEVEL = 0.8
"""The verdict asks where this interval lies (DESIGN.md, REST)."""
SMALL_VARIANCE = 1e-10
"""Stands for a gap that is known exactly, when asking whether a larger probe could decide."""


def answer(
    request: PredictionRequest, asked: Asked, pool: Current, result: ProbeResult | None, near: Sequence[NearRun] = ()
) -> Answer:
    """Answer a request from its probe's result, or from the gap that it brought.

    Args:
        request: as it was stored.
        asked: the run that it is about.
        pool: its laws.
        result: of its probe; None: it brought a gap.
        near: stored runs that are like the one that is asked for.

    Raises:
        ValueError: neither a result nor a gap is there.
    """
    gap = gap_of(request, result)
    steps, summary = asked.recipe.steps, pool.summary
    answering = pool.laws.answering(Target.TRAIN, steps) or Answering(pool.law, None)
    # of the future run: the median of the pool's, else that of this gap
    question = _Question(request, asked, asked.leaf(summary), gap, summary.measurement_var or gap.se**2)
    lacking = list(missing(asked, request, summary, result, near))
    probe = question.probe()
    on_train = _predict(question, probe, answering.law, summary, lacking)
    on_held_out = pool.laws.answering(Target.HELD_OUT, steps)
    held_out = None
    if on_held_out is not None:
        of_family = on_held_out.law.points(asked.family, **_recipe(asked.recipe))
        status = on_held_out.law.status(asked.family, **_recipe(asked.recipe))
        if status != law.Status.PRIOR_ONLY or request.verdict_on == "held_out":
            found = _predict(question, probe, on_held_out.law, summary, lacking)
            held_out = HeldOutAnswer(improvement=found.improvement, verdict=found.verdict, n=of_family)
    decides = held_out if request.verdict_on == "held_out" and held_out is not None else on_train
    families = pool.law.families_
    # a tuning or mode without runs has no contexts either: one sentence says it
    is_new = any(one.code in {"tuning_new", "mode_new"} for one in lacking)
    return Answer(
        gap=gap,
        controls=Controls() if result is None else result.controls,
        improvement=on_train.improvement,
        law=_law_used(pool, answering.law, question),
        verdict=decides.verdict,
        held_out=held_out,
        support=support(asked, summary, answering, lacking, near, pool.fit.pool, families),
        warnings=[
            *(warned.of_law(one) for one in on_train.cautions if not (is_new and one.code == law.Code.NEW_CONTEXT)),
            *warned.of_pool(request, asked.family, asked.cell, pool),
            *warned.of_targets(on_train.verdict, held_out, request.verdict_on),
            *warned.of_probe(request, gap, result),
        ],
        cost=_cost(request.recipe, request.model.name, summary, result),
        probe=None if result is None else _probe_figures(result),
    )


class _Question(NamedTuple):
    """What the laws are asked.

    Attributes:
        request: with its levels and its least gain.
        asked: the run. leaf: the law's name of its cell.
        gap: as measured.
        measurement_var: the variance that the run's improvement will be measured with.
    """

    request: PredictionRequest
    asked: Asked
    leaf: str
    gap: Gap
    measurement_var: float

    def probe(self, gap_var: float | None = None) -> law.Probe:
        """Return the question to a law, where the gap has this variance; None: as measured."""
        spread = self.asked.gap_spread
        return law.Probe(
            gap=self.gap.value,
            gap_var=self.gap.se**2 if gap_var is None else gap_var,
            family=self.asked.family,
            cell=self.leaf,
            **_recipe(self.asked.recipe),
            baseline=self.gap.student,
            improvement_var=self.measurement_var,
            context=self.asked.context,
            model=self.asked.model,
            gap_spread=np.nan if spread is None else spread,
        )


class _Predicted(NamedTuple):
    improvement: Improvement
    verdict: Verdict
    cautions: Sequence[law.Caution]


def _recipe(recipe: Recipe) -> dict[str, Any]:
    return {"teacher": recipe.law_teacher, "divergence": recipe.divergence}


def _predict(
    question: _Question, probe: law.Probe, fitted: law.GapLaw, summary: PoolSummary, lacking: Sequence[Missing]
) -> _Predicted:
    """What one law says of the question's probe, and the verdict."""
    levels = question.request.levels
    out = fitted.predict_improvement(probe)
    p_collapse = collapses(summary, question.asked.recipe).probability
    shown: dict[str, Any] = {"measurement_se": question.measurement_var**0.5, "p_collapse": p_collapse}
    if not np.isfinite(float(out.mean)):
        refused = Improvement(value=None, intervals=[], p_positive=None, **shown)
        return _Predicted(refused, "refused", out.warnings)
    quantiles = _quantiles(out, levels)
    intervals = [
        Interval(level=level, lower=quantiles[low], upper=quantiles[high])
        for level, (low, high) in zip(levels, map(_ends, levels), strict=True)
    ]
    improvement = Improvement(
        value=float(out.mean),
        intervals=intervals,
        p_positive=float(out.p_positive),
        quantiles=Quantiles(probabilities=list(PROBABILITIES), values=[quantiles[one] for one in PROBABILITIES]),
        branches=[_branch(one, levels) for one in out.branches],
        **shown,
    )
    verdict = _verdict(quantiles, fitted, question)
    if verdict == "train" and lacking:
        is_control = any(one.code == "control_context" for one in lacking)
        verdict = "undecided" if is_control else "pilot"
    return _Predicted(improvement, verdict, out.warnings)


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


def gap_of(request: PredictionRequest, result: ProbeResult | None) -> Gap:
    """The measured gap, or the one that was sent.

    Raises:
        ValueError: neither is there.
    """
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


def _law_used(pool: Current, fitted: law.GapLaw, question: _Question) -> LawUsed:
    family, recipe = question.asked.family, _recipe(question.asked.recipe)
    return LawUsed(
        fit_id=pool.fit.id,
        family=family,
        cell=question.asked.cell,
        n=fitted.points(family, **recipe),
        status=fitted.status(family, **recipe),
        **curved(fitted.coefficients(family, question.leaf, baseline=question.gap.student, **recipe)),
        of_family=Compared.model_validate(curved(fitted.coefficients(family, baseline=question.gap.student, **recipe))),
    )


def _verdict(quantiles: dict[float, float], fitted: law.GapLaw, question: _Question) -> Verdict:
    """`train` or `skip` when the whole 80 % interval is on one side of `min_gain`; else whether more probing helps.

    Then the same gap is known exactly: what an endless probe would have measured, if this one is right.
    """
    min_gain = question.request.min_gain
    low, high = _ends(VERDICT_LEVEL)
    side = _side(quantiles[low], quantiles[high], min_gain)
    if side is not None:
        return side
    exact = fitted.predict_improvement(question.probe(SMALL_VARIANCE))
    lower, upper = exact.interval(VERDICT_LEVEL)
    return "undecided" if _side(float(lower), float(upper), min_gain) is None else "probe_more"


def _side(lower: float, upper: float, min_gain: float) -> Literal["train", "skip"] | None:
    if lower > min_gain:
        return "train"
    return "skip" if upper < min_gain else None


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
