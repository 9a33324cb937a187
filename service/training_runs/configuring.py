"""From what a client asks to the configuration that is trained."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.catalog import Task
from gapcast.contract.measured import Decoding, MeasuredConfiguration
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import (
    LIVE_NOT_TRAINED,
    TrainedProblems,
    TrainingBlock,
    TrainingConfiguration,
    TrainingOptions,
    TrainingRunRequest,
    TrainingSize,
)
from gapcast.contract.training_results import Predicted, PredictedInterval
from service.catalog import service as catalog
from service.kit.errors import InvalidRequest
from service.predictions.models import Prediction
from service.predictions.service import answered
from service.probes.configuring import find_model, resolve, trained_problems
from service.settings import Settings
from service.training_runs import repository

HELD_OUT_PROBLEMS = 64
"""Held-out problems of a run that does not say how many: reported beside the improvement, as many as the lab's runs."""


MOST_EVALUATIONS = 1000
"""Of one run: each is kept with the run and shown with it."""


class Plan(NamedTuple):
    """What one run a seed is made of."""

    configuration: TrainingConfiguration
    """of seed 0"""
    family: str
    pool: str
    parameters: int | None
    predicted: Predicted | None
    name: str | None
    tags: list[str]


def plan(session: Session, tenant: str, request: TrainingRunRequest, settings: Settings) -> Plan:
    """Resolve names, fill in defaults, and refuse what is known to fail.

    Raises:
        UnknownModel: no worker can load it.
        UnknownTask: there is no such task.
        NotFound: there is no such prediction.
        InvalidRequest: the parts do not fit each other.
    """
    asked, of, prediction, revision = request, None, None, None
    if request.prediction_id is not None:
        prediction, revision = _answered(session, tenant, request.prediction_id)
        of = PredictionRequest.model_validate(prediction.request)
        asked = _of_prediction(of)
    if asked.model is None or asked.task is None or asked.context is None:
        raise ValueError("the schema lets no request through that has neither a prediction nor these")
    size, recipe = asked.probe or TrainingSize(), asked.recipe or Recipe()
    if recipe.teacher == "live":
        raise InvalidRequest(f"recipe.teacher: {LIVE_NOT_TRAINED}", param="recipe.teacher", value="live")
    known = find_model(session, tenant, settings.models, asked.model, asked.task)
    if known.source == "server":
        raise InvalidRequest(
            f"model.name: {known.name} is on a server, so its weights cannot be trained here. List the model's "
            "folder (`path`) under [[models]] and train that.",
            param="model.name",
            value=known.name,
        )
    recipe = recipe.with_rate(known.parameters)
    _, measured, family, task = resolve(
        session,
        tenant,
        known,
        model=asked.model,
        task=asked.task,
        context=asked.context,
        decoding=asked.decoding or Decoding(),
        engine=size.engine,
        group_size=recipe.group_size,
    )
    if revision not in {None, task.revision}:
        raise InvalidRequest(
            f"prediction_id: {task.name} has changed since {request.prediction_id} was made. Its probe measured "
            f"{revision}; the newest revision is {task.revision}. Predict again, and train the new prediction.",
            param="prediction_id",
            value=request.prediction_id,
        )
    configuration = TrainingConfiguration(
        **dict(measured),
        recipe=recipe,
        **dict(_trained(request, of, task)),
        rollouts=size.rollouts,
        held_out_problems=_held_out(request.training, task),
        options=_options(request.training, measured, recipe.steps, of.min_gain if of is not None else 0.0),
    )
    return Plan(
        configuration,
        family,
        catalog.own_pool(asked.pool),
        known.parameters,
        _predicted(prediction) if prediction is not None else None,
        request.name or asked.name,
        request.tags or asked.tags,
    )


def _answered(session: Session, tenant: str, prediction_id: str) -> tuple[Prediction, str | None]:
    """An answered prediction, and the revision of the task that its probe measured."""
    prediction = answered(session, tenant, prediction_id)
    return prediction, repository.probed_revision(session, prediction.probe_id)


def _of_prediction(made: PredictionRequest) -> TrainingRunRequest:
    """The prediction's configuration as it would be sent; evaluations take two rollouts at least."""
    size = TrainingSize()
    if made.probe is not None:
        size = TrainingSize(rollouts=max(2, made.probe.rollouts), engine=made.probe.engine)
    return TrainingRunRequest(
        name=made.name,
        tags=made.tags,
        model=made.model,
        task=made.task,
        context=made.context,
        recipe=made.recipe,
        decoding=made.decoding,
        probe=size,
        pool=made.pool,
    )


def _trained(request: TrainingRunRequest, of: PredictionRequest | None, task: Task) -> TrainedProblems:
    """The problems of the run: those that its prediction was asked about, else as sent."""
    if of is None:
        return trained_problems(request.training, task)
    said = trained_problems(of.training, task)
    for name, known in said:
        sent = getattr(request.training, name)
        if sent not in {None, known} and not (sent == "all" and known == task.train_problems):
            raise InvalidRequest(
                f"training.{name}: expected {known}, as {request.prediction_id} was asked about, got {sent}. Leave it "
                "out, or predict with it and run that.",
                param=f"training.{name}",
                value=sent,
            )
    return said


def _held_out(block: TrainingBlock, task: Task) -> int:
    asked = block.held_out_problems
    if asked is None:
        return min(HELD_OUT_PROBLEMS, task.held_out_problems)
    if asked > task.held_out_problems:
        raise InvalidRequest(
            f"training.held_out_problems: expected at most {task.held_out_problems}, the held-out problems of "
            f"{task.name}, got {asked}. With null it is as many as the task has, at most {HELD_OUT_PROBLEMS}.",
            param="training.held_out_problems",
            value=asked,
        )
    return asked


def _options(block: TrainingBlock, measured: MeasuredConfiguration, steps: int, min_gain: float) -> TrainingOptions:
    for name, usual in (("tensor_parallel", 1), ("quantization", None)):
        value = getattr(measured.model_options, name)
        if value != usual:
            raise InvalidRequest(
                f"model.options.{name}: expected nothing, as it is for models that are only sampled, got {value}. "
                "To share the training between GPUs, use training.processes.",
                param=f"model.options.{name}",
                value=value,
            )
    if block.evaluate_every is not None and steps // block.evaluate_every > MOST_EVALUATIONS:
        raise InvalidRequest(
            f"training.evaluate_every: expected {-(-steps // MOST_EVALUATIONS)} or more, as a run of {steps} steps "
            f"keeps at most {MOST_EVALUATIONS} evaluations, got {block.evaluate_every}.",
            param="training.evaluate_every",
            value=block.evaluate_every,
        )
    if block.processes > 1 and measured.engine == "vllm":
        raise InvalidRequest(
            f"training.processes: expected 1 with the engine vllm, got {block.processes}. Set probe.engine to "
            "transformers, or training.processes to 1.",
            param="training.processes",
            value=block.processes,
        )
    if block.pilot is not None and round(block.pilot * steps) >= steps:
        raise InvalidRequest(
            f"training.pilot: expected a share that ends before the last of {steps} steps, got {block.pilot:g}, which "
            f"ends at step {round(block.pilot * steps)}. Send a smaller one.",
            param="training.pilot",
            value=block.pilot,
        )
    options = TrainingOptions(**block.model_dump(include=set(TrainingOptions.model_fields)))
    if options.stop is not None and options.stop.min_gain is None:
        options.stop.min_gain = min_gain
    return options


def _predicted(prediction: Prediction) -> Predicted:
    """What is kept of the answer with the run, which it is compared with at the end."""
    answer = prediction.answer or {}
    improvement = answer["improvement"]
    return Predicted(
        prediction_id=prediction.id,
        value=improvement["value"],
        intervals=[PredictedInterval(**one) for one in improvement["intervals"]],
        verdict=answer["verdict"],
    )
