"""From the end of an external run to the row of its observation; pure, no database."""

from collections.abc import Sequence
from typing import Any

from gapcast.contract.collapse import has_collapsed
from gapcast.contract.external_runs import ExternalRunRequest, RunEnd
from gapcast.contract.forecasts import GivenLook, MeasuredGap
from gapcast.contract.measured import AXES
from gapcast.contract.observations import PastRecipe
from gapcast.contract.probes import Difference
from gapcast.contract.recipes import Recipe
from service.catalog import service as catalog
from service.external_runs.models import ExternalRun
from service.forecasts.elsewhere import Described, baseline_se, look_se
from service.kit.errors import Conflict, InvalidRequest
from service.observations.formats import Row
from service.settings import Settings

SOURCE = "external"


def row_of(
    run: ExternalRun,
    request: ExternalRunRequest,
    looks: Sequence[GivenLook],
    described: Described,
    asked: RunEnd,
    pilot: Difference | None,
    settings: Settings,
) -> Row:
    """Return a run as a row of `POST /v1/observations`.

    Args:
        run: as it is stored.
        request: what it was begun with.
        looks: so far.
        described: what is trained.
        asked: how it has ended.
        pilot: where a run that was stopped would have ended, by its looks alone.
        settings: name the listed models.

    Raises:
        Conflict: the run has not come to its last step.
        InvalidRequest: an observation needs more than is known of it.
    """
    _require_end(run, looks, asked)
    of, asked_of = described.request, described.asked
    recipe = of.recipe.model_dump(mode="json")
    listed = catalog.listed_model(settings.models, of.model.name)
    student, teacher, evaluated = (of.decoding.of(axis).thinking for axis in AXES)
    apart = {} if student == teacher == evaluated else {"teacher_thinking": teacher}
    errors = [(look_se(request, look) ** 2 + baseline_se(request) ** 2) ** 0.5 for look in looks]
    gains = [look.value - request.baseline.accuracy for look in looks]
    notes = {"external_run_id": run.id, "recipe_options": _options(of.recipe), "decoding": of.decoding.model_dump()}
    return {
        "name": run.name,
        "tags": run.tags,
        "external_id": run.external_id or run.id,
        "pool": run.pool,
        "source": SOURCE,
        "family": asked_of.family,
        "task": asked_of.task,
        "model": of.model.name,
        "parameters": listed.parameters if listed is not None else None,
        "context_kind": of.context.kind,
        "context": of.context.model_dump(mode="json"),
        "recipe": {name: recipe.get(name) for name in PastRecipe.model_fields if recipe.get(name) is not None},
        "training_problems": asked_of.training_problems,
        "baseline": request.baseline.accuracy,
        "gap": _gap(described, asked) | {"thinking": student} | apart,
        "gap_spread": asked_of.gap_spread,
        "improvement": _improvement(request, gains[-1], asked, pilot) | {"thinking": evaluated},
        "cov": asked.cov,
        "collapsed": _collapsed(request, gains[-1], errors[-1], asked),
        "curve": [
            {"step": look.step, "improvement": gain, "se": min(error, 1.0)}
            for look, gain, error in zip(looks, gains, errors, strict=True)
        ],
        **({"stopped_at": looks[-1].step} if asked.stopped else {}),
        "prediction_id": run.prediction_id,
        "provenance": asked.provenance | notes,
    }


def _require_end(run: ExternalRun, looks: Sequence[GivenLook], asked: RunEnd) -> None:
    if not looks:
        raise Conflict(f"{run.id} has no look yet, so nothing came of it. Append one, or cancel the run.")
    last = looks[-1].step
    if not asked.stopped and last != run.steps:
        raise Conflict(
            f"{run.id} was last looked at at step {last} of {run.steps}. Append a look at step {run.steps}, or end it "
            "with `stopped`: true, if it was trained no further."
        )
    if asked.stopped and last == run.steps:
        raise InvalidRequest(
            f"stopped: expected false, because the run was trained to step {last}, its last. Leave it out.",
            param="stopped",
            value=True,
        )


def _collapsed(request: ExternalRunRequest, gain: float, error: float, asked: RunEnd) -> bool | None:
    """As asked; else null, so that the improvement says it, which that of a stopped run is too soft to do."""
    if asked.collapsed is None and asked.stopped:
        return has_collapsed(request.baseline.accuracy, gain, error)
    return asked.collapsed


def _gap(described: Described, asked: RunEnd) -> Row:
    if asked.gap is not None:
        return asked.gap.model_dump()
    if described.gap is None:
        raise InvalidRequest(
            "gap: expected the gap before training (value and se), got nothing, and the run was begun without one. An "
            "observation needs it: send it, or cancel the run.",
            param="gap",
        )
    return MeasuredGap(value=described.gap.value, se=described.gap.se).model_dump()


def _improvement(request: ExternalRunRequest, gain: float, asked: RunEnd, pilot: Difference | None) -> Row:
    if pilot is not None:
        return {"value": pilot.value, "se": pilot.se}
    if asked.improvement is not None:
        return asked.improvement.model_dump(exclude_none=True)
    if not request.assumes_errors:
        raise InvalidRequest(
            "improvement: expected the improvement with its standard error over problems, got nothing. Send value and "
            "se, or counts per problem; or begin runs with evaluation.problems and evaluation.rollouts to assume the "
            "error from.",
            param="improvement",
        )
    return {"value": gain, "problems": request.evaluation.problems, "rollouts": request.evaluation.rollouts}


def _options(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe is no column of an observation."""
    whole = recipe.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in whole.items() if name not in PastRecipe.model_fields}
