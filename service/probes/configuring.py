"""From what a client asks to the configuration that a probe is measured with."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy.orm import Session

from gapcast.contract.catalog import Model, Task
from gapcast.contract.contexts import TEMPLATE_VERSION, Context
from gapcast.contract.measured import AXES, Decoding, EngineName, MeasuredConfiguration, ModelOptions, ModelRef
from gapcast.contract.probes import ProbeConfiguration, ProbeSize, controls_of
from gapcast.contract.problems import SCORING_VERSION
from gapcast.contract.training import FEWEST_PROBLEMS, MOST_PROBLEMS, USUAL_PROBLEMS, TrainedProblems
from gapcast.words import count
from service.catalog import service as catalog
from service.kit.each import check_all
from service.kit.errors import InvalidRequest
from service.listed_models import ModelEntry
from service.tasks import service as tasks

USED_WITH_SERVERS = {"max_model_len"}
"""the model's options that a probe of a served model depends on"""


class Resolved(NamedTuple):
    """What was asked for with its names looked up and its defaults filled in."""

    reference: ModelRef
    """as it was sent, with the catalog's revision and family"""
    measured: MeasuredConfiguration
    family: str
    """the one that was sent, else the catalog's"""
    task: Task


class ResolvedProbe(NamedTuple):
    """A probe that was asked for, likewise."""

    reference: ModelRef
    family: str
    size: ProbeSize
    configuration: ProbeConfiguration
    task: Task


def configure(
    session: Session,
    tenant: str,
    models: Sequence[ModelEntry],
    *,
    model: ModelRef,
    task: str,
    context: Context,
    decoding: Decoding,
    size: ProbeSize,
    group_size: int,
    target_se: float | None,
) -> ResolvedProbe:
    """Resolve names and fill in defaults; what was asked stays as it is.

    Args:
        session: reads tasks.
        tenant: who asks.
        models: those of the settings.
        model: its name and options.
        task: its name; the newest revision is meant.
        context: how the self-teacher's context is built.
        decoding: of every arm.
        size: of the probe.
        group_size: the recipe's.
        target_se: where a sequential probe stops; null: its size is fixed.

    Raises:
        UnknownModel: no worker can load it.
        UnknownTask: there is no such task.
        InvalidRequest: the parts do not fit each other.
    """
    resolved = resolve(
        session,
        tenant,
        find_model(session, tenant, models, model, task),
        model=model,
        task=task,
        context=context,
        decoding=decoding,
        engine=size.engine,
        group_size=group_size,
    )
    if size.problems > resolved.task.train_problems:
        raise InvalidRequest(
            f"probe.problems: {size.problems} is more than the {resolved.task.train_problems} training problems of "
            f"{resolved.task.name}.",
            param="probe.problems",
            value=size.problems,
        )
    try:
        controls = controls_of(context, size.controls)
    except ValueError as error:
        raise InvalidRequest(f"probe.controls: {error}", param="probe.controls", value=size.controls) from error
    # a probe evaluates no trained student
    decoding = resolved.measured.decoding.model_copy(update={"evaluation": None})
    configuration = ProbeConfiguration(
        **dict(resolved.measured) | {"decoding": decoding},
        problems=size.problems,
        rollouts=size.rollouts,
        seed=size.seed,
        controls=controls,
        target_se=target_se,
    )
    filled = size.model_copy(update={"engine": resolved.measured.engine, "controls": controls})
    return ResolvedProbe(resolved.reference, resolved.family, filled, configuration, resolved.task)


def find_model(session: Session, tenant: str, models: Sequence[ModelEntry], model: ModelRef, task: str) -> Model:
    """Look up the model of a configuration.

    Raises:
        UnknownModel: no worker can load it; the error names an unknown task, too.
    """
    if catalog.listed_model(models, model.name) is None:
        check_all(partial(catalog.find_model, models, model.name), partial(tasks.find_task, session, tenant, task))
    return catalog.find_model(models, model.name)


def trained_problems(asked: TrainedProblems, task: Task) -> TrainedProblems:
    """Fill in how many problems a run trains on and how many of them it is evaluated on.

    Raises:
        InvalidRequest: the task has too few, or more than a run takes.
    """
    most = task.train_problems
    problems = min(USUAL_PROBLEMS, most) if asked.problems is None else asked.problems
    if problems == "all":
        problems = most
    if problems > most or not FEWEST_PROBLEMS <= problems <= MOST_PROBLEMS:
        limit = min(most, MOST_PROBLEMS)
        has = f"{task.name} has {count(most, 'training problem')}"
        sent = f"got {asked.problems or 'null'}."
        raise InvalidRequest(
            f"training.problems: expected {FEWEST_PROBLEMS} to {limit} ({has}), {sent} Send a number of these."
            if limit >= FEWEST_PROBLEMS
            else f"training.problems: {has}, and a run takes {FEWEST_PROBLEMS} or more. Choose another task.",
            param="training.problems",
            value=asked.problems,
        )
    evaluated = asked.evaluation_problems or min(USUAL_PROBLEMS, problems)
    if evaluated > problems:
        raise InvalidRequest(
            f"training.evaluation_problems: expected at most {problems}, the problems that are trained on, got "
            f"{evaluated}. Send null for as many as there are, at most {USUAL_PROBLEMS}.",
            param="training.evaluation_problems",
            value=evaluated,
        )
    return TrainedProblems(problems=problems, evaluation_problems=evaluated)


def trained(asked: TrainedProblems, task: Task | None) -> TrainedProblems:
    """Fill in the problems of a run as far as they are known; `task` is None if it is not stored here.

    Raises:
        InvalidRequest: they do not fit the task, or nobody knows how many there are.
    """
    return trained_problems(asked, task) if task is not None else trained_elsewhere(asked)


def trained_elsewhere(asked: TrainedProblems) -> TrainedProblems:
    """Return the problems of a run on a task that is not stored here: what was sent, as far as it follows from that.

    Raises:
        InvalidRequest: all problems are asked for, and nobody knows how many there are.
    """
    if asked.problems == "all":
        raise InvalidRequest(
            "training.problems: expected a number, got all. The task is not stored here: say how many it has.",
            param="training.problems",
            value=asked.problems,
        )
    if asked.problems is None or asked.evaluation_problems is not None:
        return asked
    return asked.model_copy(update={"evaluation_problems": min(USUAL_PROBLEMS, asked.problems)})


def resolve(
    session: Session,
    tenant: str,
    known_model: Model,
    *,
    model: ModelRef,
    task: str,
    context: Context,
    decoding: Decoding,
    engine: EngineName,
    group_size: int,
) -> Resolved:
    """Resolve and check what probes and training runs share; `known_model` is the catalog's entry of `model`.

    Raises:
        UnknownTask: there is no such task.
        InvalidRequest: the parts do not fit each other.
    """
    known_task = tasks.find_task(session, tenant, task)
    if model.revision not in {None, known_model.revision}:
        raise InvalidRequest(
            f"model.revision: expected {known_model.revision}, the listed revision of {known_model.name}, or null, got "
            f"{model.revision!r}.",
            param="model.revision",
            value=model.revision,
        )
    tasks.check_context(context, known_task)
    engine = _engine_of(engine, known_model)
    if known_model.source == "server":
        _check_served(model.options, known_model)
    family = model.family or known_model.family
    reference = model.model_copy(update={"revision": known_model.revision, "family": family})
    decoding = decoding.model_copy(update={"max_tokens": decoding.max_tokens or known_task.max_tokens})
    for axis in AXES:
        at = "decoding" if getattr(decoding, axis) is None else f"decoding.{axis}"
        _check_decoding(decoding.of(axis), known_model, at)
    measured = MeasuredConfiguration(
        model=known_model.name,
        model_revision=known_model.revision,
        model_options=model.options,
        task=known_task.name,
        task_revision=known_task.revision,
        context=context,
        template_version=TEMPLATE_VERSION,
        scoring_version=None if known_task.source == "lab" else SCORING_VERSION,
        decoding=decoding,
        group_size=group_size if context.needs_group else None,
        engine=engine,
    )
    return Resolved(reference, measured, family, known_task)


def _engine_of(asked: EngineName, model: Model) -> EngineName:
    """The engine that is meant; a model that is served has but one."""
    if model.source == "server":
        if asked not in {"auto", "vllm-server"}:
            raise InvalidRequest(
                f"probe.engine: expected vllm-server or auto, as {model.name} is on a server, got {asked!r}.",
                param="probe.engine",
                value=asked,
            )
        return "vllm-server"
    if asked == "vllm-server":
        raise InvalidRequest(
            f"probe.engine: expected auto, transformers or vllm, as {model.name} is a folder, got {asked!r}.",
            param="probe.engine",
            value=asked,
        )
    return asked


def _check_served(options: ModelOptions, model: Model) -> None:
    """Refuse what a server has chosen already: it would be recorded with the counts and be untrue."""
    usual = ModelOptions()
    for name in ModelOptions.model_fields.keys() - USED_WITH_SERVERS:
        value = getattr(options, name)
        if value != getattr(usual, name):
            raise InvalidRequest(
                f"model.options.{name}: is chosen by the server of {model.name}. Leave it out.",
                param=f"model.options.{name}",
                value=value,
            )


def _check_decoding(decoding: Decoding, model: Model, at: str) -> None:
    """Refuse what is known to end in a failure once the model is loaded."""
    if decoding.thinking and model.thinking is False:
        raise InvalidRequest(
            f"{at}.thinking: expected false, as {model.name} does not have a thinking mode, got true.",
            param=f"{at}.thinking",
            value=True,
        )
    most = decoding.max_tokens or 0
    if model.context_length is not None and most >= model.context_length:
        raise InvalidRequest(
            f"{at}.max_tokens: expected fewer than {model.context_length}, the tokens of prompt and completion "
            f"that {model.name} takes, got {most}.",
            param=f"{at}.max_tokens",
            value=most,
        )
