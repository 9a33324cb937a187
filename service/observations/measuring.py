"""From what people send of a run to the numbers that the law takes; pure, no database."""

import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from gapcast.contract.base import FieldError, JsonObject
from gapcast.contract.collapse import has_collapsed
from gapcast.contract.contexts import TEMPLATE_VERSION, context_key, context_of, named_context_key
from gapcast.contract.labels import MOST_TAGS
from gapcast.contract.observations import HeldOutIn, MeasuredIn, Notes, ObservationIn, VarianceSource
from gapcast.contract.recipes import cell_of
from service.catalog.service import DEFAULT_POOL
from service.law import paired
from service.observations.models import HowMeasured, Measurements

FARTHEST = 4.0
"""standard errors that the accuracy after training may lie outside [0, 1] by: more is no chance"""


class Values(NamedTuple):
    """The columns of an observation that a row brings."""

    pool: str
    external_id: str | None
    family: str
    task: str
    cell: str | None
    model: str
    parameters: float | None
    context_kind: str
    context: str | None
    version: str | None
    baseline: float
    gap: float
    gap_se: float
    gap_spread: float | None
    improvement: float | None
    improvement_se: float | None
    held_out_improvement: float | None
    held_out_se: float | None
    held_out_baseline: float | None
    cov: float
    measured: Measurements
    collapsed: bool
    steps: int | None
    problems_per_step: int | None
    schedule: str | None
    learning_rate: float | None
    adaptation: str | None
    training_problems: int | None
    thinking: bool | None
    mode: str | None
    curve: list[JsonObject] | None
    stopped_at: int | None
    prediction_id: str | None
    excluded: bool
    excluded_reason: str | None
    source: str
    provenance: Notes
    name: str | None
    tags: list[str]
    content: str = ""


class Prepared(NamedTuple):
    """A row ready to be stored."""

    values: Values
    covariance_known: bool
    is_marked: bool
    """it has collapsed by the rule: the row did not say"""
    where: str = ""
    """its place in what was sent"""


def prepare(row: ObservationIn, pool: str | None = None, tags: Sequence[str] = ()) -> Prepared:
    """Turn counts and means into values with standard errors (docs/law.md); the row goes to `pool` and gets `tags`.

    Raises:
        FieldError: the numbers contradict each other, or the tags are too many.
    """
    baseline = _baseline(row)
    gap, gap_se, gap_source = _measure("gap", row.gap, baseline)
    measured = {"gap": _how(row.gap, gap_source)}
    improvement, improvement_se, source = _gain("improvement", row.improvement, baseline)
    if row.improvement is not None and source is not None:
        measured["improvement"] = _how(row.improvement, source)
    held_out_baseline = _held_out_baseline(row.held_out)
    held_out, held_out_se, source = _gain(
        "held_out", row.held_out, baseline if held_out_baseline is None else held_out_baseline
    )
    if row.held_out is not None and source is not None:
        measured["held_out"] = _how(row.held_out, source)
    cov, known = _covariance(row)
    _check_covariance("cov", cov, gap_se, improvement_se or 0.0)
    for index, look in enumerate(row.curve or ()):
        _check_covariance(f"curve.{index}.cov", look.cov, gap_se, look.se)
    recipe = row.recipe
    is_marked = row.collapsed is None and _has_collapsed(
        (baseline, improvement, improvement_se), (held_out_baseline or baseline, held_out, held_out_se)
    )
    values = Values(
        pool=pool or row.pool or DEFAULT_POOL,
        external_id=row.external_id,
        family=row.family,
        task=row.task,
        cell=cell_of(row.family, row.task, recipe) if recipe is not None else None,
        model=row.model,
        parameters=row.parameters,
        context_kind=row.context_kind,
        context=_context_key(row),
        version=row.version,
        baseline=baseline,
        gap=gap,
        gap_se=gap_se,
        gap_spread=_gap_spread(row),
        improvement=improvement,
        improvement_se=improvement_se,
        held_out_improvement=held_out,
        held_out_se=held_out_se,
        held_out_baseline=held_out_baseline,
        cov=cov,
        measured=measured,
        collapsed=bool(row.collapsed) or is_marked,
        steps=_steps(row),
        problems_per_step=recipe.problems_per_step if recipe is not None else None,
        schedule=recipe.schedule if recipe is not None else None,
        learning_rate=recipe.learning_rate if recipe is not None else None,
        adaptation=None if recipe is None else "full" if recipe.lora_rank is None else "lora",
        training_problems=row.training_problems,
        thinking=row.thinking,
        mode=row.mode,
        curve=[look.model_dump(exclude_none=True) for look in row.curve] if row.curve else None,
        stopped_at=row.stopped_at,
        prediction_id=row.prediction_id,
        excluded=row.excluded,
        excluded_reason=row.excluded_reason,
        source=row.source,
        provenance=row.provenance
        | ({"recipe": recipe.model_dump()} if recipe is not None else {})
        | ({"context": row.context} if row.context is not None else {}),
        name=row.name,
        tags=_tags(row, tags),
    )
    return Prepared(values._replace(content=content_of(values)), known, is_marked)


def _has_collapsed(*outcomes: tuple[float, float | None, float | None]) -> bool:
    """By the first that is known, of (baseline, improvement, se) on the training problems and on held-out ones."""
    known = ((baseline, gain, se) for baseline, gain, se in outcomes if gain is not None and se is not None)
    return any(has_collapsed(*one) for one in islice(known, 1))


def content_of(values: Values) -> str:
    """Hash all that a row says of its run; what it is called, where it came from and its notes do not matter."""
    said = [getattr(values, name) for name in CONTENT]
    return hashlib.sha256(json.dumps(said[: None if any(said[-HELD_OUT:]) else -HELD_OUT]).encode()).hexdigest()


CONTENT = (
    *("family", "task", "cell", "model", "parameters", "context_kind", "version", "baseline"),
    *("gap", "gap_se", "improvement", "improvement_se", "cov", "collapsed"),
    *("held_out_improvement", "held_out_se"),
)
HELD_OUT = 2
"""the last of them, which older rows were hashed without"""


def _tags(row: ObservationIn, more: Sequence[str]) -> list[str]:
    tags = list(dict.fromkeys((*row.tags, *more)))
    if len(tags) > MOST_TAGS:
        raise FieldError("tags", f"expected at most {MOST_TAGS}, got {len(tags)} with those of the request")
    return tags


def _baseline(row: ObservationIn) -> float:
    """As sent, else the mean of the counts before training, else of the probe's student."""
    if row.baseline is not None:
        return row.baseline
    for part in (row.improvement, row.gap):
        accuracy = _before(part)
        if accuracy is not None:
            return accuracy
    raise FieldError("baseline", "the student's accuracy before training is needed. Add it.")


def _held_out_baseline(part: HeldOutIn | None) -> float | None:
    if part is None or part.baseline is not None:
        return part.baseline if part is not None else None
    return _before(part)


def _before(part: MeasuredIn | None) -> float | None:
    """Mean accuracy of the arm that is subtracted, from its counts."""
    if part is None or part.arms is None:
        return None
    return sum(part.arms[0]) / len(part.arms[0]) / (part.rollouts or 1)


def _steps(row: ObservationIn) -> int | None:
    """Steps that the improvement is of.

    A run that ended early, as after a collapse, has a curve that ends before its recipe. Of one that a rule has stopped
    the improvement is an estimate of the recipe's last step.
    """
    evaluated = [look.step for look in row.curve or () if look.source == "evaluation"]
    if evaluated and row.stopped_at is None:
        return evaluated[-1]
    return row.recipe.steps if row.recipe is not None else None


def _context_key(row: ObservationIn) -> str | None:
    """By the name that people gave it, else by its options, as far as they are the kind's."""
    if row.context_name is not None:
        return named_context_key(row.context_kind, row.context_name)
    if row.context is None:
        return None
    whole = row.context if "kind" in row.context else {"kind": row.context_kind, "options": row.context}
    try:
        context = context_of(whole)
    except ValidationError:
        return None
    if context.kind != row.context_kind:
        raise FieldError("context.kind", f"expected context_kind, {row.context_kind}, got {context.kind}.")
    template, revision = (row.provenance.get(name) for name in ("template_version", "task_revision"))
    return context_key(context, str(template or TEMPLATE_VERSION), str(revision) if revision else None)


def _gap_spread(row: ObservationIn) -> float | None:
    if row.gap_spread is not None or row.gap.arms is None:
        return row.gap_spread
    return gap_spread(*row.gap.arms, row.gap.rollouts or 1)


def gap_spread(student: Sequence[float], teacher: Sequence[float], rollouts: int) -> float | None:
    """Estimate a gap's variance over problems from counts: var_j(d_j) - (w_s + w_t)/K; None with one rollout each."""
    if rollouts < 2:
        return None
    p, q = (np.array(arm) / rollouts for arm in (student, teacher))
    w_student, w_teacher = (paired.within_variance(arm, rollouts) or 0.0 for arm in (p, q))
    return paired.measured_components(q - p, w_student, w_teacher, rollouts).sigma_d2


def _check_covariance(name: str, cov: float, gap_se: float, improvement_se: float) -> None:
    if cov**2 > gap_se**2 * improvement_se**2 * (1 + 1e-9):
        most = gap_se * improvement_se
        raise FieldError(name, f"expected at most gap.se x improvement.se = {most:.3g}, got {cov:.3g}.", cov)


def _differences(part: MeasuredIn) -> list[float]:
    first, second = part.arms or ([], [])
    return [(after - before) / (part.rollouts or 1) for before, after in zip(first, second, strict=True)]


def _measure(name: str, part: MeasuredIn, baseline: float) -> tuple[float, float, VarianceSource]:
    """Value, standard error and where the latter comes from."""
    if part.arms is not None:
        measured = paired.paired(_differences(part))
        least = _least_variance(*part.arms, part.rollouts or 1)
        return measured.value, measured._replace(variance=max(measured.variance, least)).se, "counts"
    if part.value is None:
        raise FieldError(name, "expected a value, got nothing. Add it.")
    if part.se is not None:
        return part.value, part.se, part.variance or "given"
    if not 0 <= baseline + part.value <= 1:
        raise FieldError(
            name,
            f"expected baseline + {name} from 0 to 1, got {baseline + part.value:.4g}. Send its se, which is not "
            "assumed here.",
            part.value,
        )
    components = paired.assumed_components(baseline, part.value)
    return part.value, components.measured_variance(part.problems or 2, part.rollouts or 1) ** 0.5, "assumed"


def _least_variance(first: list[float], second: list[float], rollouts: int) -> float:
    """Least variance of the mean difference of two arms' counts per problem (docs: LAW part 3, at the ends).

    Scores between 0 and 1 vary less than 0 and 1 do at the same accuracy: how much less, their sums do not show.
    """
    if not all(count.is_integer() for count in (*first, *second)):
        return 2 * paired.arm_variance(None, len(first), rollouts)
    student, other = (np.array(counts) / rollouts for counts in (first, second))
    return paired.paired_arms(student, other, rollouts).variance


def _gain(
    name: str, part: MeasuredIn | None, baseline: float
) -> tuple[float | None, float | None, VarianceSource | None]:
    """An improvement over a baseline, which is an accuracy too; nothing where there is none."""
    if part is None:
        return None, None, None
    value, se, source = _measure(name, part, baseline)
    after = baseline + value
    if not -FARTHEST * se <= after <= 1 + FARTHEST * se:
        raise FieldError(name, f"expected baseline + {name} from 0 to 1, got {after:.4g}.", value)
    return value, se, source


def _how(part: MeasuredIn, source: VarianceSource) -> HowMeasured:
    problems = len(part.arms[0]) if part.arms is not None else part.problems
    return {"problems": problems, "rollouts": part.rollouts, "variance": source}


def _covariance(row: ObservationIn) -> tuple[float, bool]:
    """The covariance and whether it is known: sent, or made from the problems that both counts share."""
    if row.cov is not None:
        return row.cov, True
    if row.improvement is None:
        return 0.0, True  # of held-out problems the gap was not measured on
    if not (row.gap.arms and row.improvement.arms and row.gap.problem_ids and row.improvement.problem_ids):
        return 0.0, False
    dx = dict(zip(row.gap.problem_ids, _differences(row.gap), strict=True))
    dy = dict(zip(row.improvement.problem_ids, _differences(row.improvement), strict=True))
    shared = [problem for problem in dx if problem in dy]
    return paired.covariance([dx[one] for one in shared], [dy[one] for one in shared], len(dx), len(dy)), True
