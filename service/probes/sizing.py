"""How large a probe must be for a prediction as narrow as wanted (LAW.md, "The size of a probe")."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.orm import Session

from gapcast.contract.contexts import context_key
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.probes import FEW_PROBLEMS, ProbeResult
from gapcast.contract.sizing import MOST_PROBLEMS, Expected, ExpectedOut, SizeOut, SizeRequest, Variation, Verdict
from service import law
from service.catalog import service as catalog
from service.fits import service as fits
from service.fits.asked import Asked
from service.fits.laws import Target
from service.fits.service import Current
from service.fits.summary import PoolSummary
from service.kit.database import Database
from service.kit.errors import InvalidRequest, NotFound
from service.law.paired import Components, assumed_components
from service.law.sizing import Need, Size, needed_variance, plan
from service.listed_models import ModelEntry
from service.probes import repository
from service.probes.configuring import trained
from service.tasks import service as tasks

PRIOR_GAP, PRIOR_STUDENT = 0.15, 0.3
"""what is expected of a family of which nothing is stored: the law's prior mean of gaps, and a student that is right in
a third of its rollouts, near where differences vary most"""
EVALUATION = (128, 4)
"""problems and rollouts that a run's improvement is taken to be measured with while the pool holds none"""


def size(database: Database, tenant: str, request: SizeRequest, models: Sequence[ModelEntry]) -> SizeOut:
    """Answer from the pool's newest fit; `models` are those of the settings.

    Raises:
        InvalidRequest: the family is not known, or the run's problems do not fit the task.
        UnknownPool: there is no such pool.
        NotFound: there is no such pilot, or it is not measured yet.
    """
    family = catalog.family_of(models, request.model)
    known = catalog.listed_model(models, request.model.name)
    pool = fits.current(database, tenant, request.pool or catalog.default_pool(known))
    summary = pool.summary
    with database.read() as session:
        pilot = _pilot(session, tenant, request) if request.pilot_probe_id is not None else None
        task = tasks.known_task(session, tenant, request.task)
    most = request.most_problems or (task.train_problems if task is not None else MOST_PROBLEMS)
    training = trained(request.training, task)
    request = request.model_copy(update={"training": training})
    expected = _expected(request.expected, pilot, summary, family)
    components, source = _components(pilot, expected)
    improvement_var = summary.measurement_var or components.variance(*EVALUATION)
    fitted, about = _question(pool, request, family, expected, improvement_var)
    need = needed_variance(fitted, **about, level=request.level, half_width=request.target_half_width)
    planned = None
    if need.gap_var is not None:
        costs = {"cost_per_problem": request.cost.per_problem, "cost_per_rollout": request.cost.per_rollout}
        planned = plan(components, need.gap_var, rollouts=request.rollouts, most_problems=most, **costs)
        if planned is not None and planned.problems < min(FEW_PROBLEMS, most):
            planned = _at_least(planned, min(FEW_PROBLEMS, most), components)
    out = fitted.predict_improvement(law.Probe(gap_var=planned.gap_var if planned is not None else 0.0, **about))
    width = None
    if out.refused:
        planned = None
    if planned is not None:
        lower, upper = out.interval(request.level)
        width = float(upper - lower) / 2
    verdict = _verdict(need, planned, refused=bool(out.refused))
    return SizeOut(
        verdict=verdict,
        message=_message(verdict, request, need, planned, width, most),
        problems=planned.problems if planned is not None else None,
        rollouts=planned.rollouts if planned is not None else None,
        cost=planned.cost if planned is not None else None,
        gap_se=planned.gap_var**0.5 if planned is not None else None,
        half_width=width,
        floor=need.floor,
        level=request.level,
        measurement_se=improvement_var**0.5,
        expected=expected,
        variation=Variation(
            sigma_d2=components.sigma_d2,
            w_student=components.w_student,
            w_self_teacher=components.w_teacher,
            source=source,
        ),
        fit_id=pool.fit.id,
    )


def target_se(pool: Current, request: PredictionRequest, family: str, half_width: float, level: float) -> float:
    """Standard error of the gap at which a prediction is expected to be as narrow as wanted.

    Args:
        pool: the law.
        request: with the number of the run's problems filled in.
        family: the model's.
        half_width: of the predicted improvement.
        level: of its interval.

    Raises:
        InvalidRequest: no probe, however large, makes it so narrow.
    """
    summary = pool.summary
    expected = _expected(None, None, summary, family)
    improvement_var = summary.measurement_var or assumed_components(expected.student, expected.gap).variance(
        *EVALUATION
    )
    fitted, about = _question(pool, request, family, expected, improvement_var)
    need = needed_variance(fitted, **about, level=level, half_width=half_width)
    if need.gap_var is None:
        raise InvalidRequest(
            f"probe.target_half_width: expected more than {need.floor:.3g}, the half-width that a prediction at "
            f"{100 * level:g} % has even with an exactly known gap, got {half_width:g}. Raise it, or store more runs "
            f"of {family}.",
            param="probe.target_half_width",
            value=half_width,
        )
    return float(need.gap_var**0.5)


def _question(
    pool: Current, request: SizeRequest | PredictionRequest, family: str, expected: ExpectedOut, improvement_var: float
) -> tuple[law.GapLaw, dict[str, Any]]:
    """The law that answers for a run, and what it is asked, but for the gap's error; the run's problems are known."""
    recipe = request.recipe
    context = context_key(request.context) if request.context is not None else None
    problems = request.training.problems
    asked = Asked(
        family,
        request.task,
        recipe,
        problems if isinstance(problems, int) else None,
        context,
        request.model.name,
        mode=request.decoding.mode,
    )
    answering = pool.laws.answering(Target.TRAIN, recipe.steps)
    return answering.law if answering is not None else pool.law, {
        "gap": expected.gap,
        "family": family,
        "cell": asked.leaf(pool.summary),
        "teacher": recipe.law_teacher,
        "divergence": recipe.divergence,
        "baseline": expected.student,
        "improvement_var": improvement_var,
        "context": context,
        "model": request.model.name,
    }


def _pilot(session: Session, tenant: str, request: SizeRequest) -> ProbeResult:
    probe_id = request.pilot_probe_id or ""
    row = repository.get(session, tenant, probe_id)
    if row is None or row[0].result is None:
        raise NotFound(f"pilot_probe_id: expected a measured probe, got {probe_id[:80]!r}.", param="pilot_probe_id")
    probe = row[0]
    measured = {"model.name": probe.configuration["model"], "task": probe.configuration["task"]}
    for param, asked in (("model.name", request.model.name), ("task", request.task)):
        if measured[param] != asked:
            raise InvalidRequest(
                f"pilot_probe_id: expected a probe of {param} {asked[:80]}, got one of {measured[param]}.",
                param="pilot_probe_id",
                value=probe_id,
            )
    return ProbeResult.model_validate(row[0].result)


def _expected(given: Expected | None, pilot: ProbeResult | None, summary: PoolSummary, family: str) -> ExpectedOut:
    if given is not None:
        return ExpectedOut(gap=given.gap, student=given.student, source="request")
    if pilot is not None:
        return ExpectedOut(gap=pilot.gap.value, student=pilot.gap.student, source="pilot")
    gap, student = summary.gap.get(family), summary.baseline.get(family)
    if gap is not None and student is not None:
        return ExpectedOut(gap=gap, student=student, source="family")
    return ExpectedOut(gap=PRIOR_GAP, student=PRIOR_STUDENT, source="prior")


def _components(pilot: ProbeResult | None, expected: ExpectedOut) -> tuple[Components, Literal["pilot", "assumed"]]:
    """As the pilot measured them; a pilot of one rollout a problem could not."""
    found = pilot.variance if pilot is not None else None
    if found is not None:
        sigma_d2, w_student, w_teacher = found.sigma_d2, found.w_student, found.w_teacher
        if sigma_d2 is not None and w_student is not None and w_teacher is not None:
            return Components(max(sigma_d2, 0.0), w_student, w_teacher), "pilot"
    return assumed_components(expected.student, expected.gap), "assumed"


def _at_least(planned: Size, problems: int, components: Components) -> Size:
    """A probe of so few problems that its standard error could not be trusted, made larger."""
    variance = components.variance(problems, planned.rollouts)
    return Size(problems, planned.rollouts, variance, planned.cost * problems / planned.problems)


def _verdict(need: Need, planned: Size | None, *, refused: bool) -> Verdict:
    if refused or need.gap_var is None:
        return "refused" if refused else "below_floor"
    return "too_few_problems" if planned is None else "reachable"


def _message(
    verdict: Verdict, request: SizeRequest, need: Need, planned: Size | None, width: float | None, most: int
) -> str:
    wanted = f"a half-width of {100 * request.target_half_width:.3g} points at {100 * request.level:g} %"
    if verdict == "refused":
        return (
            "At the expected gap and student accuracy the law refuses to predict, however large the probe: the gap is "
            "far outside what is stored, and the line there is above 80 % of the headroom. Expect a smaller gap, or "
            "store runs with such gaps."
        )
    if need.gap_var is None:
        return (
            f"No probe gives {wanted}: with an exactly known gap it is {100 * need.floor:.3g} points, from the spread "
            "of runs around the line, the line's own uncertainty and the noise of the run's evaluation. More stored "
            "runs of this family narrow the second."
        )
    if planned is None or width is None:
        return (
            f"{wanted} needs a standard error of the gap of {100 * need.gap_var**0.5:.3g} points, which {most} "
            "problems cannot give. Ask for a wider interval, more rollouts, or bring more problems."
        )
    return (
        f"{planned.problems} problems x {planned.rollouts} rollouts in each arm give a half-width of "
        f"{100 * width:.3g} points at {100 * request.level:g} %."
    )
