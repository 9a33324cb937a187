"""From what a client asks to the configuration that is trained."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.catalog import Task
from gapcast.contract.measured import Decoding, MeasuredConfiguration
from gapcast.contract.predictions import PredictionRequest
from gapcast.contract.recipes import Recipe
from gapcast.contract.training import (
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
from service.predictions.service import missing
from service.probes.configuring import resolve, trained_problems
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
    known = catalog.find_model(settings.models, asked.model.name)
    if known.source == "server":
        raise InvalidRequest(
            f"model.name: {known.name} is served by URL, so its weights cannot be trained here; list the model's "
            "folder (`path`) under [[models]] and train that.",
            param="model.name",
            value=known.name,
        )
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
            f"prediction_id: {task.name} has changed since {request.prediction_id} was made: its probe measured "
            f"{revision}, the newest revision is {task.revision}. Predict again, and run that.",
            param="prediction_id",
            value=request.prediction_id,
        )
    configuration = TrainingConfiguration(
        **dict(measured),
        recipe=recipe,
        **dict(_trained(request, of, task)),
        rollouts=size.rollouts,
        held_out_problems=_held_out(request.training, task),
        options=_options(request.training, measured, recipe.steps),
    )
    return Plan(
        configuration,
        family,
        asked.pool or catalog.default_pool(known),
        known.parameters,
        _predicted(prediction) if prediction is not None else None,
        request.name or asked.name,
        request.tags or asked.tags,
    )


def _answered(session: Session, tenant: str, prediction_id: str) -> tuple[Prediction, str | None]:
    """An answered prediction, and the revision of the task that its probe measured."""
    row = repository.prediction(session, tenant, prediction_id)
    if row is None:
        raise missing(prediction_id)
    if row[0].answer is None:
        raise InvalidRequest(
            f"prediction_id: {prediction_id} has no answer ({row[0].status}); a run is judged by what was predicted "
            "before it. Wait for the prediction, or send its configuration without prediction_id.",
            param="prediction_id",
            value=prediction_id,
        )
    return row


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
            f"training.held_out_problems: {asked} is more than the {task.held_out_problems} held-out problems of "
            f"{task.name}; send null for as many as it has, at most {HELD_OUT_PROBLEMS}.",
            param="training.held_out_problems",
            value=asked,
        )
    return asked


def _options(block: TrainingBlock, measured: MeasuredConfiguration, steps: int) -> TrainingOptions:
    for name, usual in (("tensor_parallel", 1), ("quantization", None)):
        value = getattr(measured.model_options, name)
        if value != usual:
            raise InvalidRequest(
                f"model.options.{name}: {value} is for models that are only sampled; leave it out, and share the "
                "training between GPUs by training.processes.",
                param=f"model.options.{name}",
                value=value,
            )
    if block.evaluate_every is not None and steps // block.evaluate_every > MOST_EVALUATIONS:
        raise InvalidRequest(
            f"training.evaluate_every: {block.evaluate_every} makes {steps // block.evaluate_every} evaluations in "
            f"{steps} steps; at most {MOST_EVALUATIONS} are kept, so send {-(-steps // MOST_EVALUATIONS)} or more.",
            param="training.evaluate_every",
            value=block.evaluate_every,
        )
    if block.processes > 1 and measured.engine == "vllm":
        raise InvalidRequest(
            f"training.processes: {block.processes} processes draw their rollouts with transformers; set probe.engine "
            "to transformers, or training.processes to 1.",
            param="training.processes",
            value=block.processes,
        )
    return TrainingOptions(**block.model_dump(include=set(TrainingOptions.model_fields)))


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
