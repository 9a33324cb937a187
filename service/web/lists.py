"""The lists that have a page of their own: their columns, their filters, and what a row says."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from gapcast import comparison_words, described, recommendation_words, task_words, words
from gapcast.contract import lists as queries
from gapcast.contract.base import Page
from gapcast.contract.catalog import Model, Task
from gapcast.contract.comparisons import ComparisonOut
from gapcast.contract.external_runs import ExternalRunOut
from gapcast.contract.labels import Labelled
from gapcast.contract.observations import ObservationOut
from gapcast.contract.predictions import PredictionOut
from gapcast.contract.probes import ProbeOut
from gapcast.contract.recommendations import RecommendationOut
from gapcast.contract.training_results import TrainingRunOut
from service.catalog import service as catalog
from service.comparisons import service as comparisons
from service.external_runs import service as external_runs
from service.external_runs.presenting import run_out
from service.observations import service as observations
from service.observations.presenting import observation_out
from service.predictions import service as predictions
from service.probes import service as probes
from service.recommendations import service as recommendations
from service.settings import Settings
from service.tasks import service as tasks
from service.training_runs import service as training_runs
from service.web.tables import Column, Found, Row, Table

GAP = Column("Gap ± SE", words.POINTS, number=True, sort="gap")
LABELS = {"name": "Name", "tag": "Tags"}
TEXT = {"text": "Text"}
OF_RUNS = {**TEXT, "pool": "Pool", "model": "Model", "task": "Task", "status": "Status"}
CONTEXT = {"context_kind": "Context"}


def _paged(page: Callable[[Session, str, Any], Page[Any]]) -> Callable[[Session, str, Settings, Any], Found[Any]]:
    """Read a list that its service makes pages of."""

    def read(session: Session, tenant: str, _settings: Settings, wanted: queries.PageQuery) -> Found[Any]:
        found = page(session, tenant, wanted)
        return Found(found.data, found.last_id if found.has_more else None)

    return read


def _shown(
    page: Callable[[Session, str, Any], Sequence[Any]], show: Callable[[Any], Any]
) -> Callable[[Session, str, Any], Page[Any]]:
    """Make pages of a list that its service reads as rows, with one row more than asked for."""

    def shown(session: Session, tenant: str, wanted: queries.PageQuery) -> Page[Any]:
        return Page.of([show(row) for row in page(session, tenant, wanted)], wanted.limit)

    return shown


def _named(of: Labelled) -> str:
    return words.labels(of.name, of.tags)


def _mark(*, ended: bool) -> str:
    return "" if ended else "live"


def _state(status: str) -> str:
    return words.sentence(words.STATES.get(status, status))


def _prediction(one: PredictionOut) -> Row:
    asked, found = one.request, one.improvement
    improvement = ""
    if found is not None and found.value is not None:
        narrow = min(found.intervals, key=lambda interval: interval.level)
        improvement = f"{words.points(found.value)} ({words.between(narrow.lower, narrow.upper)})"
    verdict = words.verdict(one.verdict, asked.min_gain).name if one.verdict is not None else _state(one.status)
    gap = words.measured(one.gap) if one.gap is not None else ""
    texts = (asked.model.name, asked.task, words.context(asked.context), asked.pool or "")
    title = words.asked_about(asked.model.name, asked.task, asked.context)
    cells = (improvement, verdict, *texts, gap)
    return Row(f"/predictions/{one.id}", _named(one) or title, cells, one.created_at, _mark(ended=one.ended))


PREDICTIONS = Table(
    path="predictions",
    item="Prediction",
    created="Asked",
    title="Predictions",
    point="What a training run of each configuration is expected to gain.",
    more="Ask on the first page, with `gapcast predict` or with `POST /v1/predictions`.",
    columns=(
        Column("Improvement (narrowest interval)", words.POINTS, number=True, first=True, sort="improvement"),
        *(Column("Verdict", first=True), Column("Model"), Column("Task"), Column("Context"), Column("Pool"), GAP),
    ),
    read=_paged(predictions.page),
    row=_prediction,
    query=queries.PredictionQuery,
    compared="/predictions/compare",
    filters={**OF_RUNS, **CONTEXT, "verdict": "Verdict", **LABELS},
)


def _comparison(one: ComparisonOut) -> Row:
    best = comparison_words.best(one)
    value, sure = "", ""
    if best is not None and best.standing is not None:
        won = comparison_words.decisive(one.winner.answer, best.request).value if one.winner is not None else None
        likely = best.standing.value if won is None else won
        value, sure = "" if likely is None else words.points(likely), words.probability(best.standing.p_best)
    cells = (
        *(best.name if best is not None else "", value, sure, _state(one.status)),
        *(one.configurations[0].request.task, str(len(one.configurations)), comparison_words.share(one.spent)),
    )
    name = _named(one) or comparison_words.title(one)
    return Row(f"/comparisons/{one.id}", name, cells, one.created_at, _mark(ended=one.ended))


COMPARISONS = Table(
    path="comparisons",
    item="Comparison",
    created="Asked",
    title="Comparisons",
    point="Which of several configurations to train.",
    more=comparison_words.NEWEST,
    columns=(
        *(Column("Best", first=True), Column("Predicted", words.POINTS, number=True, first=True)),
        *(Column("P(best)", number=True), Column("Status", first=True), Column("Task")),
        *(Column("Configurations", number=True), Column("Rollouts, of an equal split", number=True)),
    ),
    read=_paged(comparisons.page),
    row=_comparison,
    query=queries.ComparisonQuery,
    filters=OF_RUNS | LABELS,
)


def _recommendation(one: RecommendationOut) -> Row:
    gained = one.best.improvement if one.best is not None else None
    cells = (
        *(recommendation_words.step(one, one.plan[0]), words.points(one.expected_gain)),
        words.sentence(recommendation_words.state(one)),
        *(one.request.asked[0].task, words.duration(3600 * one.hours), str(len(one.space))),
        words.measured(gained) if gained is not None else "",
    )
    name = _named(one) or recommendation_words.title(one)
    return Row(f"/recommendations/{one.id}", name, cells, one.created_at, _mark(ended=one.ended))


RECOMMENDATIONS = Table(
    path="recommendations",
    item="Recommendation",
    created="Asked",
    title="Recommendations",
    point="How to spend a budget: what to probe, and what to train.",
    more=recommendation_words.NEWEST,
    columns=(
        *(Column("First", first=True), Column("Expected gain", words.POINTS, number=True, first=True)),
        *(Column("Status", first=True), Column("Task"), Column("Takes", number=True)),
        *(Column("Configurations", number=True), Column("Best run ± SE", words.POINTS, number=True)),
    ),
    read=_paged(recommendations.page),
    row=_recommendation,
    query=queries.RecommendationQuery,
    filters=OF_RUNS | LABELS,
)


def _training_run(one: TrainingRunOut) -> Row:
    asked, total = one.configuration, one.configuration.recipe.steps
    at = one.progress.done if one.progress is not None else one.checkpoint.step if one.checkpoint is not None else 0
    done = total if one.status == "succeeded" and one.stopped_by == "steps" else at
    predicted = one.predicted.value if one.predicted is not None else None
    cells = (
        words.measured(one.improvement) if one.improvement is not None else "",
        words.points(predicted) if predicted is not None else "",
        "Collapsed" if one.collapsed else _state(one.status),
        *(asked.model, asked.task, words.context(asked.context), one.pool, str(one.seed), f"{done:,} of {total:,}"),
        words.measured(one.gap) if one.gap is not None else "",
    )
    title = f"{words.asked_about(asked.model, asked.task, asked.context)}, seed {one.seed}"
    return Row(f"/training_runs/{one.id}", _named(one) or title, cells, one.created_at, _mark(ended=one.ended))


TRAINING_RUNS = Table(
    path="training_runs",
    item="Run",
    created="Asked",
    title="Training runs",
    point="Runs that Gapcast trains, beside what was predicted of them.",
    more="Train an answered prediction with its button, with `gapcast train` or with `POST /v1/training_runs`.",
    columns=(
        Column("Measured ± SE", words.POINTS, number=True, first=True, sort="improvement"),
        *(Column("Predicted", words.POINTS, number=True, first=True), Column("Status", first=True), Column("Model")),
        *(Column("Task"), Column("Context"), Column("Pool"), Column("Seed", number=True), Column("Step", number=True)),
        GAP,
    ),
    read=_paged(training_runs.page),
    row=_training_run,
    query=queries.TrainingRunQuery,
    filters={**OF_RUNS, **CONTEXT, "verdict": "Verdict", **LABELS},
)


def _external_run(one: ExternalRunOut) -> Row:
    last = one.looks[-1] if one.looks else None
    cells = (
        words.points(last.value - one.request.baseline.accuracy) if last is not None else "",
        *(words.sentence(one.status), one.model, one.task, one.pool),
        f"{last.step if last is not None else 0:,} of {one.steps:,}",
        words.percent(last.value) if last is not None else "",
    )
    name = _named(one) or f"{one.model} on {one.task}"
    return Row(f"/external_runs/{one.id}", name, cells, one.created_at, _mark(ended=one.status != "running"))


EXTERNAL_RUNS = Table(
    path="external_runs",
    item="Run",
    created="Reported",
    title="External runs",
    point="Runs that are trained elsewhere and report their evaluations here.",
    more="Report one with `gapcast track`, from TRL or Optuna, or with `POST /v1/external_runs`.",
    columns=(
        *(Column("Gained so far", words.POINTS, number=True, first=True), Column("Status", first=True)),
        *(Column("Model"), Column("Task"), Column("Pool"), Column("Step", number=True)),
        Column("Accuracy", number=True),
    ),
    read=_paged(_shown(external_runs.page, run_out)),
    row=_external_run,
    query=queries.ExternalRunQuery,
    filters=OF_RUNS | LABELS,
)


def _probe(one: ProbeOut) -> Row:
    asked, found = one.configuration, one.result or one.partial
    cells = (
        words.measured(found.gap) if found is not None else "",
        *(_state(one.status), asked.model, asked.task, words.context(asked.context)),
        f"{found.gap.problems:,}" if found is not None else "",
    )
    title = words.asked_about(asked.model, asked.task, asked.context)
    return Row(f"/probes/{one.id}", _named(one) or title, cells, one.created_at, _mark(ended=one.ended))


PROBES = Table(
    path="probes",
    item="Probe",
    created="Asked",
    title="Probes",
    point="Measured gaps: how much better the model answers when it sees the context.",
    more="Each prediction without a given gap makes one; `gapcast probe` and `POST /v1/probes` make one alone.",
    columns=(
        *(GAP._replace(first=True, sort=""), Column("Status", first=True), Column("Model"), Column("Task")),
        *(Column("Context"), Column("Problems", number=True)),
    ),
    read=_paged(probes.page),
    row=_probe,
    query=queries.ProbeQuery,
    filters={**TEXT, "model": "Model", "task": "Task", **CONTEXT, "status": "Status", **LABELS},
)


def _observation(one: ObservationOut) -> Row:
    gains = (words.measured(gain) if gain is not None else "" for gain in (one.improvement, one.held_out))
    named = ", ".join(text for text in (one.external_id, _named(one)) if text) or f"{one.model} on {one.task}"
    texts = (one.pool, one.family, one.model, one.task, words.plain(one.context_kind), one.source)
    cells = (*gains, words.measured(one.gap), *texts, words.sentence(described.remarks(one)))
    return Row(f"/observations/{one.id}", named, cells, one.created_at, "excluded" if one.excluded else "")


OBSERVATIONS = Table(
    path="observations",
    item="Observation",
    created="Stored",
    title="Observations",
    point="Past runs, which the law is fitted to.",
    more="Import yours with `gapcast observations import` or with `POST /v1/observations`. A training run stores its "
    "own.",
    columns=(
        Column("Improvement ± SE", words.POINTS, number=True, first=True, sort="improvement"),
        *(Column("Held out ± SE", words.POINTS, number=True), GAP._replace(first=True)),
        *(Column("Pool"), Column("Family"), Column("Model"), Column("Task"), Column("Context"), Column("Source")),
        Column("Remarks"),
    ),
    read=_paged(_shown(observations.page, observation_out)),
    row=_observation,
    query=queries.ObservationQuery,
    filters={
        **TEXT,
        **{"pool": "Pool", "family": "Family", "task": "Task", "model": "Model", "context_kind": "Context kind"},
        **{"source": "Source", "external_id": "External id", "excluded": "Excluded", "collapsed": "Collapsed"},
        **LABELS,
    },
    exported=("csv", "ndjson", "parquet"),
    adds=("Import", "/import/observations"),
)


def _task(one: Task) -> Row:
    numbers = (f"{one.train_problems:,}", f"{one.held_out_problems:,}", str(one.hint_levels))
    cells = (words.sentence(task_words.STATUSES[one.status]), task_words.share_of(one), one.source)
    return Row(f"/tasks/{quote(one.name)}", one.name, (*cells, words.plain(one.verifier), *numbers, one.revision))


def _read_tasks(session: Session, tenant: str, _settings: Settings, _wanted: None) -> Found[Task]:
    return Found(tasks.tasks(session, tenant))


TASKS = Table(
    path="tasks",
    item="Task",
    title="Tasks",
    point="Sets of problems with a verifier, on which gaps are measured and runs are trained.",
    more="Add yours with `gapcast tasks add` or with `POST /v1/tasks`.",
    columns=(
        *(Column("Status", first=True), Column("Self-check", number=True, first=True)),
        *(Column("Source"), Column("Verifier"), Column("To train", "problems", number=True)),
        *(Column("Held out", "problems", number=True), Column("Hints", number=True), Column("Revision")),
    ),
    read=_read_tasks,
    row=_task,
    adds=("Upload", "/import/task"),
)


def _model(one: Model) -> Row:
    cells = (
        *(one.family, described.weights(one), one.source, described.context_length(one)),
        *(described.KNOWN[one.chat_template], described.KNOWN[one.thinking], one.revision),
    )
    return Row(f"/models/{quote(one.name)}", one.name, cells)


def _read_models(_session: Session, _tenant: str, settings: Settings, _wanted: None) -> Found[Model]:
    return Found(catalog.models(settings.models))


MODELS = Table(
    path="models",
    item="Model",
    title="Models",
    point="Models that a worker of this server can load, or ask another server for.",
    more="Add yours in the settings: `gapcast.yaml`, models.",
    columns=(
        *(Column("Family", first=True), Column("Weights", number=True, first=True)),
        *(Column("Source"), Column("Context", "tokens", number=True), Column("Chat template")),
        *(Column("Thinking mode"), Column("Revision")),
    ),
    read=_read_models,
    row=_model,
)

TABLES: tuple[Table[Any], ...] = (
    *(PREDICTIONS, COMPARISONS, RECOMMENDATIONS, TRAINING_RUNS, EXTERNAL_RUNS, PROBES, OBSERVATIONS, TASKS, MODELS),
)
