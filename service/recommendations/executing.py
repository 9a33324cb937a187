"""An executed plan: what its steps start, and going on when they have ended.

A step is started in the transaction that notes it, so it is started once. Going on is nobody's job: the reconciler of
every server looks for plans whose step has ended, and takes the next one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gapcast.contract.base import Failure, JsonObject
from gapcast.contract.comparisons import Budget, ComparisonOut, ComparisonRequest
from gapcast.contract.events import Ended, RecommendationReplanned, RecommendationStep
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.recommendations import RecommendationRequest, Step
from gapcast.contract.training import TrainingBlock, TrainingRunRequest, TrainingSize
from gapcast.contract.training_results import TrainingRunOut
from service import deciding
from service.catalog.service import own_pool
from service.comparisons import service as comparisons
from service.comparisons.configuring import contest_of, contestants, questions
from service.errors import DuplicateRun, TooManyJobs
from service.events import repository as events
from service.fits.service import Current
from service.kit.database import Database, WriteSession
from service.kit.errors import GapcastError
from service.recommendations import repository
from service.recommendations.advising import Progress, advise
from service.recommendations.models import EXECUTING, Recommendation
from service.recommendations.piloting import Chosen, choose
from service.recommendations.piloting import go_on as pilots_go_on
from service.recommendations.repository import Ref
from service.settings import Settings
from service.training_runs import service as runs

log = structlog.get_logger()

TRAINS = ("pilot", "train")
"""actions that start runs"""
MOST_SEEDS = 100
"""tried for a run: those before belong to runs of the same configuration"""


class _Next(NamedTuple):
    """What follows a step that has ended.

    Attributes:
        steps: the plan from now on, the ended step among them.
        chosen: places to train, and the predictions to train them by.
        replanned: the fit that the rest was planned under again.
        several: runs to train after a probe, if more than one: some may be other seeds of the best.
        held: piloted runs that have put themselves aside.
        piloted: what becomes of them.
        status, error: with these it ends.
    """

    steps: list[Step]
    chosen: list[tuple[int, str | None]]
    law: Current | None = None
    replanned: bool = False
    several: int = 0
    held: Sequence[TrainingRunOut] = ()
    piloted: Chosen | None = None
    status: str | None = None
    error: Failure | None = None


def go_on(database: Database, settings: Settings) -> None:
    """Start the next step of every plan whose step has ended. Harmless in many processes."""
    with database.read() as session:
        waiting = repository.executing(session)
    for ref in waiting:
        try:
            _go_on(database, settings, ref)
        except SQLAlchemyError:
            raise
        except TooManyJobs:
            continue  # later there is room
        except Exception as error:
            log.exception("recommendation_failed", recommendation=ref.id)
            _fail(database, ref, error)


def _go_on(database: Database, settings: Settings, ref: Ref) -> None:
    with database.read() as session:
        row = repository.get(session, *ref)
        if row is None or row.status != EXECUTING:
            return
        begun, steps = row.begun, row.steps
        follows = _follows(session, row)
    if follows is None:
        return
    if follows.held:
        finish = follows.steps[begun - 1].finish or 1
        follows = follows._replace(piloted=choose(database, ref.tenant, follows.held, finish, settings))
    if follows.replanned or follows.several or _is_to_probe(follows, begun):
        request = RecommendationRequest.model_validate(row.request)
        law = comparisons.law_of(database, ref.tenant, request, settings)
        follows = follows._replace(law=law)
        if follows.replanned or follows.several:
            with database.read() as session:
                plan = _seeds if follows.several else _replanned
                follows = plan(session, row, request, law, settings, follows)
    with database.write() as session:
        row = repository.get(session, *ref, lock=True)
        if row is not None and row.status == EXECUTING and row.begun == begun and row.steps == steps:
            _take(session, row, settings, follows)  # else it was cancelled, or another process was first


def _is_to_probe(follows: _Next, begun: int) -> bool:
    return follows.status is None and follows.piloted is None and follows.steps[begun].action == "probe"


def _follows(session: Session, row: Recommendation) -> _Next | None:
    """What follows the step that is under way; None while it is."""
    steps = [Step.model_validate(one) for one in row.steps]
    step, later = steps[row.begun - 1], steps[row.begun :]
    if step.comparison_id is not None:
        found = comparisons.found(session, row.tenant, step.comparison_id)
        if not found.ended:
            return None
        step.status = found.status
        if found.status != "succeeded":
            return _Next(steps, [], status=found.status, error=found.error)
        runs_left = later[0].runs if later else 0
        chosen = picked(found, step, found.picked[:runs_left])
        is_several = bool(chosen) and runs_left > 1 and later[0].action == "train"
        return _Next(steps, chosen, several=runs_left if is_several else 0)
    trained = list(runs.several(session, row.tenant, step.finished_run_ids or step.training_run_ids).values())
    if step.action == "pilot" and not step.finished_run_ids:
        if not all(one.rests for one in trained):
            return None
        if held := [one for one in trained if one.held is not None]:
            return _Next(steps, [], held=held)
    if not all(one.ended for one in trained):
        return None
    succeeded = [one for one in trained if one.status == "succeeded"]
    step.status = "succeeded" if succeeded else trained[0].status if trained else "succeeded"  # type: ignore[assignment]
    if trained and not succeeded:
        return _Next(steps, [], status=trained[0].status, error=trained[0].error)
    if not later:
        return _Next(steps, [], status="succeeded")
    return _Next(steps, [], replanned=True)


def picked(found: ComparisonOut, step: Step, places: Sequence[int]) -> list[tuple[int, str | None]]:
    """Those of a comparison whose predicted improvement is worth a run, and the predictions to train them by."""
    of = {one.place: one for one in found.configurations}
    chosen = []
    for place in places:
        one = of[place]
        answer, prediction_id = one.answer, one.prediction_id
        if found.winner is not None and found.winner.place == place:
            answer, prediction_id = found.winner.answer, found.winner.prediction_id
        value = answer.improvement.value if answer is not None else None
        if value is None or value > one.request.min_gain:
            chosen.append((step.configurations[place], prediction_id))
    return chosen


def _seeds(
    session: Session,
    row: Recommendation,
    request: RecommendationRequest,
    law: Current,
    settings: Settings,
    follows: _Next,
) -> _Next:
    """Choose again what follows a probe, by what all of them have shown: another seed may be worth more."""
    step = follows.steps[row.begun - 1]
    advice = advise(session, row.tenant, request, law, settings, progress(session, row), follows.several)
    if advice is None or advice.steps[0].action != "train" or step.comparison_id is None:
        return follows
    found = comparisons.found(session, row.tenant, step.comparison_id)
    places = [step.configurations.index(one) for one in advice.steps[0].configurations if one in step.configurations]
    return follows._replace(chosen=picked(found, step, places) or follows.chosen)


def _replanned(
    session: Session,
    row: Recommendation,
    request: RecommendationRequest,
    law: Current,
    settings: Settings,
    follows: _Next,
) -> _Next:
    """Plan the rest again, by the law that knows the runs that have ended."""
    advice = advise(session, row.tenant, request, law, settings, progress(session, row))
    done = follows.steps[: row.begun]
    if advice is None:
        return follows._replace(steps=done, status="succeeded")
    if advice.steps[0].action == "stop":
        stopped = advice.steps[0].model_copy(update={"status": "succeeded"})
        return follows._replace(steps=[*done, stopped], status="succeeded")
    return follows._replace(steps=[*done, *advice.steps])


def progress(session: Session, row: Recommendation) -> Progress:
    """What a plan has spent and gained."""
    places, hours, best = list[int](), 0.0, float("-inf")
    on_held_out = RecommendationRequest.model_validate(row.request).asked[0].verdict_on == "held_out"
    for step in (Step.model_validate(one) for one in row.steps):
        if step.comparison_id is not None:
            spent = comparisons.found(session, row.tenant, step.comparison_id).spent
            hours += spent.gpu_hours or spent.seconds / 3600
        for place, run_id in zip(step.configurations, step.training_run_ids, strict=False):
            run = runs.found(session, row.tenant, run_id)
            places.append(place)
            hours += _hours(run)
            gained = run.improvement
            found = gained.held_out if gained is not None and on_held_out else gained
            if found is not None:
                best = max(best, found.value)
    return Progress(tuple(places), hours, best)


def _hours(run: TrainingRunOut) -> float:
    if run.cost is None:
        return 0.0
    return run.cost.gpu_hours or run.cost.seconds / 3600


def _take(session: WriteSession, row: Recommendation, settings: Settings, follows: _Next) -> None:
    """Start the next step, or end; the row is held."""
    status, steps = follows.status, follows.steps
    if follows.piloted is not None:
        step = steps[row.begun - 1]
        if not pilots_go_on(session, row, row.begun, step, follows.piloted, settings):
            return  # looked at again
        if not step.finished_run_ids:
            step.status = "succeeded"
            finish(session, row, "succeeded")
        repository.set_steps(session, row.id, [one.model_dump(mode="json") for one in steps], row.begun)
        return
    if status is None and follows.replanned and follows.law is not None:
        events.add(session, row.tenant, row.id, RecommendationReplanned(fit_id=follows.law.fit.id))
    was_probed = steps[row.begun - 1].comparison_id is not None
    if status is None and was_probed and not follows.chosen:
        why = "None of those that were probed is worth training: no predicted improvement is above min_gain."
        steps = [*steps[: row.begun], Step(action="stop", configurations=[], why=why, status="succeeded")]
        status = "succeeded"
    begun = row.begun
    if status is None:
        begin(session, row, settings, steps, begun, follows.chosen, follows.law)
        begun += 1
    repository.set_steps(session, row.id, [one.model_dump(mode="json") for one in steps], begun)
    if status is not None:
        finish(session, row, status, follows.error)


def begin(
    session: WriteSession,
    row: Recommendation,
    settings: Settings,
    steps: Sequence[Step],
    number: int,
    chosen: Sequence[tuple[int, str | None]],
    law: Current | None,
) -> None:
    """Start a step, and write into it what was started.

    Args:
        session: a session that writes and holds the row.
        row: the recommendation.
        settings: the models that may be loaded, and how many jobs may wait.
        steps: of the plan.
        number: of the step, from 0.
        chosen: places to train and their predictions, where probes have chosen.
        law: for a step that probes.

    Raises:
        GapcastError: it cannot be started.
    """
    request = RecommendationRequest.model_validate(row.request)
    step = steps[number]
    step.status = "running"
    if step.action == "probe":
        if law is None:
            raise ValueError("a step that probes needs a law")
        following = next((one.runs for one in steps[number + 1 :] if one.action in TRAINS), 1)
        step.comparison_id = _probe(session, row, request, step, following, law, settings)
    else:
        places = list(chosen) or [(place, None) for place in step.configurations[: step.runs]]
        step.configurations, step.choice, step.runs = [place for place, _ in places], False, len(places)
        if step.finish is not None and step.runs <= step.finish:  # the probes have left no more
            step.action, step.share, step.finish = "train", None, None
        step.training_run_ids = [
            _train(session, row, _run(request.asked[place], prediction_id, row), settings, step.share)
            for place, prediction_id in places
        ]
    told = RecommendationStep(
        number=number + 1,
        action=step.action,
        configurations=step.configurations,
        comparison_id=step.comparison_id,
        training_run_ids=step.training_run_ids,
    )
    events.add(session, row.tenant, row.id, told)


def _probe(
    session: WriteSession,
    row: Recommendation,
    request: RecommendationRequest,
    step: Step,
    following: int,
    law: Current,
    settings: Settings,
) -> str:
    """A comparison that may draw what the step would cost with nothing stored: it takes stored rollouts for nothing."""
    asked = [request.asked[place] for place in step.configurations]
    of = ComparisonRequest(
        configurations=asked, pick=min(following, len(asked) - 1), name=row.name, tags=row.tags, budget=Budget()
    )
    found = contestants(session, row.tenant, of, law, settings)
    wanted = {place: min(step.problems or 0, one.most) for place, one in enumerate(found)}
    rollouts = deciding.cost(questions(found, law).contest(), {}, wanted)
    of = of.model_copy(update={"budget": Budget(rollouts=rollouts)})
    return comparisons.create(session, row.tenant, of, contest_of(session, row.tenant, of, law, settings), settings)


def _train(
    session: WriteSession, row: Recommendation, request: TrainingRunRequest, settings: Settings, pilot: float | None
) -> str:
    """Start a run with the first seed that no run of this configuration has; a pilot pauses after a share."""
    if pilot is not None:
        request = request.model_copy(update={"training": request.training.model_copy(update={"pilot": pilot})})
    for seed in range(MOST_SEEDS):
        try:
            with session.begin_nested():
                return runs.create(session, row.tenant, request.model_copy(update={"seeds": [seed]}), settings)
        except DuplicateRun:
            continue
    raise DuplicateRun(f"This configuration has runs with all seeds from 0 to {MOST_SEEDS - 1}.")


def _run(one: PredictionRequest, prediction_id: str | None, row: Recommendation) -> TrainingRunRequest:
    """The run of a configuration: of its prediction, or as it would be sent."""
    name, tags = f"{row.name}: {one.name}"[:200] if row.name is not None else one.name, one.tags or row.tags
    if prediction_id is not None:
        return TrainingRunRequest(prediction_id=prediction_id, name=name, tags=tags)
    return run_of(one, row.pool).model_copy(update={"name": name, "tags": tags})


def run_of(one: PredictionRequest, pool: str) -> TrainingRunRequest:
    """The run of a configuration, as it would be sent."""
    size = TrainingSize()
    if one.probe is not None:
        size = TrainingSize(rollouts=max(2, one.probe.rollouts), engine=one.probe.engine)
    return TrainingRunRequest(
        model=one.model,
        task=one.task,
        context=one.context,
        recipe=one.recipe,
        decoding=one.decoding,
        probe=size,
        pool=own_pool(pool),
        training=TrainingBlock(**dict(one.training)),
    )


def finish(session: Session, row: Recommendation, status: str, error: Failure | None = None) -> None:
    """End one; the caller holds its row."""
    written: JsonObject | None = error.model_dump(mode="json") if error is not None else None
    repository.end(session, row.id, status, written)
    told = Ended.model_validate({"error": written} if written else {})
    events.add(session, row.tenant, row.id, told, f"recommendation.{status}")


def _fail(database: Database, ref: Ref, error: Exception) -> None:
    """End a plan whose next step cannot be started."""
    failure = Failure(
        code="internal_error", message="The next step could not be started; the log has it.", category="server"
    )
    if isinstance(error, GapcastError):
        failure = Failure(code=error.code, message=error.detail, param=error.param, category="user")
    with database.write() as session:
        row = repository.get(session, *ref, lock=True)
        if row is not None and row.status == EXECUTING:
            finish(session, row, "failed", failure)
