"""Storing observations: a batch is stored whole or not at all, and nothing twice."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy.orm import Session

from gapcast.contract.base import FieldError
from gapcast.contract.events import ObservationExcluded, ObservationIncluded
from gapcast.contract.lists import ObservationFilters, ObservationQuery
from gapcast.contract.measured import AXES
from gapcast.contract.nearest import did_you_mean
from gapcast.contract.observations import (
    BatchOut,
    GapIn,
    HeldOutIn,
    ImprovementIn,
    Look,
    ObservationIn,
    ObservationPatch,
    PastRecipe,
    PoolIn,
    RowWarning,
)
from gapcast.contract.training_results import TrainedRun
from service.catalog.service import DEFAULT_POOL, LAB_POOL, PUBLISHED_POOL, SHIPPED_POOLS, SMOLLM2_POOL, names_of
from service.errors import InvalidFile, ObservationConflict, ReadOnlyPool, UnknownPool
from service.events import repository as events
from service.kit.database import Database
from service.kit.errors import Conflict, FieldProblem, InvalidRequest, NotFound
from service.kit.ids import new_id
from service.kit.problems import field_problems
from service.observations import repository
from service.observations.accuracies import with_gains
from service.observations.curves import with_curve
from service.observations.formats import Row, Sent
from service.observations.measuring import CONTENT, Prepared, Values, gap_spread, prepare
from service.observations.models import Observation, Pool
from service.observations.presenting import observation_out
from service.observations.translation import Translation

MOST_ERRORS = 20
"""rows whose errors are told: who has more wants to see the first ones"""
READ_ONLY = (
    "pool {name!r} ships with Gapcast and is read-only. Use `default` (leave `pool` out) or another name; predictions "
    "can still be made from {name!r}."
)
EXPORT_PAGE = 2_000
LEFT_OUT = {
    *("gap", "improvement", "counts", "problem_ids", "evaluations", "rollout_looks", "stopped_at"),
    *("warnings", "artifact"),
}
"""what of a run's result is no part of its observation's notes: it has its own place there, or it grows"""


def check(
    rows: Iterable[Row | TrainedRun | Sent],
    pool: str | None = None,
    tags: Sequence[str] = (),
    wanted: Translation | None = None,
) -> list[Prepared]:
    """Check every row and measure it.

    Args:
        rows: as they are sent.
        pool: where all of them go; None: where each says.
        tags: which all of them get beside their own.
        wanted: how they were read: in which unit, and from which columns.

    Raises:
        InvalidRequest: names row, field and value of the first errors.
        InvalidFile: rows cannot be read.
    """
    prepared: list[Prepared] = []
    problems: list[FieldProblem] = []
    wrong, unreadable = 0, None
    percent = wanted.percent if wanted is not None else None
    for index, sent in enumerate(rows):
        row, line, fault = sent if isinstance(sent, Sent) else (sent, None, None)
        where = f"row {index + 1}" + (f" (line {line})" if line is not None else "")
        try:
            if fault is not None:
                raise fault
            if isinstance(row, TrainedRun):
                observation = row_of_run(row)
            else:
                shares = row if percent is None else percent.in_shares(row)
                observation = ObservationIn.model_validate(with_curve(with_gains(shares)))
            prepared.append(prepare(observation, pool, tags)._replace(where=where))
            continue
        except ValidationError as error:
            found = field_problems(error.errors(), f"observations.{index}")
        except FieldError as error:
            param = f"observations.{index}.{error.param}"
            found = [FieldProblem(param=param, message=error.message, value=error.value)]
        except InvalidFile as error:
            unreadable = unreadable or error
            found = []
            problems.append(FieldProblem(param=error.param or f"observations.{index}", message=error.detail))
        wrong += 1
        problems += [_at(where, one, wanted) for one in found]
        if wrong == MOST_ERRORS:
            break
    if unreadable is not None and len(problems) == 1:
        raise unreadable
    if problems:
        _refuse(problems[:MOST_ERRORS], InvalidFile if unreadable is not None else InvalidRequest)
    if percent is not None:
        percent.require()
    return prepared


def _at(where: str, problem: FieldProblem, wanted: Translation | None) -> FieldProblem:
    """Return a problem with the place of its row, and the column that its value was read from."""
    column = wanted.column_of(problem.param.split(".", 2)[-1]) if wanted is not None else None
    read = f"column {column[:80]!r}: " if column is not None else ""
    return problem.model_copy(update={"message": f"{where}: {read}{problem.message}"})


def _refuse(problems: list[FieldProblem], error: type[InvalidRequest]) -> None:
    first = " ".join(one.with_value for one in problems[:3])
    more = f" And {len(problems) - 3} more." if len(problems) > 3 else ""
    raise error(f"Nothing was stored. {first}{more}", param=problems[0].param, errors=problems)


def store(session: Session, tenant: str, rows: Sequence[Prepared]) -> BatchOut:
    """Store a batch in the caller's transaction; a row whose external id is there already is not stored again.

    Raises:
        ReadOnlyPool: a row is for a pool that ships with Gapcast.
        ObservationConflict: an external id is there already with another content.
    """
    problems = [
        FieldProblem(
            param=f"observations.{index}.pool",
            message=f"{row.where}: {READ_ONLY.format(name=row.values.pool)}",
            value=row.values.pool,
        )
        for index, row in enumerate(rows)
        if row.values.pool in SHIPPED_POOLS
    ]
    if problems:
        _refuse(problems[:MOST_ERRORS], ReadOnlyPool)
    return _store(session, tenant, rows)


def _store(session: Session, tenant: str, rows: Sequence[Prepared]) -> BatchOut:
    ids: list[str] = [""] * len(rows)
    created = 0
    equal: list[int] = []
    different: list[int] = []
    problems: list[FieldProblem] = []
    changed: list[str] = []
    by_pool: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_pool.setdefault(row.values.pool, []).append(index)
    locked = repository.lock_pools(session, tenant, by_pool)
    for name, indices in by_pool.items():
        pool = locked[name]
        named = {index: given for index in indices if (given := rows[index].values.external_id)}
        unnamed = {rows[index].values.content for index in indices if index not in named}
        known: dict[str, Known] = {
            external_id: Known(row.id, row, "stored", _content(row), _beside(row))
            for external_id, row in repository.named(session, tenant, name, set(named.values())).items()
        }
        contents = repository.known_contents(session, tenant, name, unnamed)
        new: dict[str, Values] = {}
        for index in indices:
            values, external_id = rows[index].values, named.get(index)
            if external_id in known:
                first = known[external_id]
                ids[index] = first.id
                if first.content != _content(values) and not _same_otherwise(first.row, rows[index]):
                    problems.append(_conflict(index, rows[index], first))
                elif not _joined(first, values.prediction_id):
                    problems.append(_other_prediction(index, rows[index], first))
                elif first.beside != _beside(values):
                    different.append(index)
                continue
            if external_id is None and values.content in contents:
                equal.append(index)
            ids[index] = new_id("obs")
            new[ids[index]] = values
            if external_id is not None:
                known[external_id] = Known(ids[index], values, rows[index].where, _content(values), _beside(values))
            contents[values.content] = ids[index]
        if problems:
            _refuse(problems[:MOST_ERRORS], ObservationConflict)
        if new:
            repository.add(session, tenant, new, repository.count_change(locked, name))
            pool.observations += len(new)
            created += len(new)
            changed.append(name)
    return BatchOut(
        created=created,
        existing=len(rows) - created,
        ids=ids,
        pools=changed,
        variance={
            part: dict(Counter(row.values.measured[part]["variance"] for row in rows if part in row.values.measured))
            for part in ("gap", "improvement")
        },
        warnings=_warnings(rows, equal, different, _without_prediction(session, tenant, rows)),
    )


class Known(NamedTuple):
    """A row with a name, stored or earlier in the batch."""

    id: str
    row: Observation | Values
    where: str
    content: tuple[Any, ...]
    beside: tuple[Any, ...]


def _beside(row: Observation | Values) -> tuple[Any, ...]:
    """What is kept with a row and is no part of what it says."""
    return (row.excluded, row.provenance, row.name, row.tags, row.thinking, row.mode)


def _joined(first: Known, prediction_id: str | None) -> bool:
    """Name the prediction of a row that has none yet; False when it has another."""
    has = first.row.prediction_id
    if prediction_id is None or has == prediction_id:
        return True
    if has is None and isinstance(first.row, Observation):
        first.row.prediction_id = prediction_id
    return has is None and isinstance(first.row, Observation)


def _other_prediction(index: int, row: Prepared, first: Known) -> FieldProblem:
    message = f"{row.where}: the row with this external_id ({first.where}) is the outcome of another prediction"
    return FieldProblem(param=f"observations.{index}.prediction_id", message=message, value=row.values.prediction_id)


def _content(row: Observation | Values) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in CONTENT)


def _same_otherwise(stored: Observation | Values, row: Prepared) -> bool:
    """True if the rows differ by what a later version alone makes of the same row.

    It may take a larger standard error of the same counts (docs: LAW part 3, Variance at the ends), or mark the
    run as collapsed. The stored row keeps its own.
    """
    sent = row.values
    same = sent._replace(collapsed=stored.collapsed) if row.is_marked else sent
    for part, how in sent.measured.items():
        field = f"{part}_se"
        made = how["variance"] != "given" and (stored.measured or {}).get(part) == how
        if made and getattr(sent, field) > getattr(stored, field):
            same = same._replace(**{field: getattr(stored, field)})
    return _content(stored) == _content(same)


def _conflict(index: int, row: Prepared, first: Known) -> FieldProblem:
    other = [
        f"{name} {theirs!r}, now {ours!r}"
        for name, theirs, ours in zip(CONTENT, first.content, _content(row.values), strict=True)
        if theirs != ours
    ]
    differing = "; ".join(other)
    message = f"{row.where}: has the external_id of {first.where}, but {differing}; name one of them otherwise"
    if first.where == "stored":
        message = (
            f"{row.where}: is stored already with {differing}. Observations never change: exclude the stored one "
            "and send this one under another external_id"
        )
    return FieldProblem(param=f"observations.{index}.external_id", message=message, value=row.values.external_id)


def _without_prediction(session: Session, tenant: str, rows: Sequence[Prepared]) -> list[int]:
    """Rows that name a prediction which is not here, or was never answered."""
    named = {row.values.prediction_id for row in rows if row.values.prediction_id is not None}
    known = repository.known_predictions(session, tenant, named) | {None}
    return [index for index, row in enumerate(rows) if row.values.prediction_id not in known]


def _warnings(
    rows: Sequence[Prepared], equal: list[int], different: list[int], without_prediction: list[int]
) -> list[RowWarning]:
    assumed = [
        index
        for index, row in enumerate(rows)
        if any(part["variance"] == "assumed" for part in row.values.measured.values())
    ]
    unknown = [index for index, row in enumerate(rows) if not row.covariance_known]
    found: list[RowWarning] = []

    def warn(code: Any, indices: list[int], message: str) -> None:  # noqa: ANN401
        if indices:
            found.append(
                RowWarning(code=code, message=message.format(n=len(indices)), rows=[one + 1 for one in indices[:20]])
            )

    warn("equal_row", equal, "{n} row(s) without external_id equal another row of the pool; they were stored.")
    warn(
        "stored_differently",
        different,
        "{n} row(s) are stored already with the same figures, but came with another `excluded`, recipe, context, "
        "provenance, name or tags. The stored rows were not changed. PATCH excludes a row or includes it again.",
    )
    warn(
        "assumed_variance",
        assumed,
        "{n} row(s) came as means with problems x rollouts: their standard errors rest on an assumed spread over "
        "problems (docs/law.md). Send counts per problem, or se.",
    )
    warn(
        "unknown_covariance",
        unknown,
        "{n} row(s) came without cov: the errors of gap and improvement are assumed to be independent, as if each "
        "were measured on other problems. Send cov, or counts with problem_ids on both.",
    )
    warn(
        "marked_collapsed",
        [index for index, row in enumerate(rows) if row.is_marked],
        "{n} row(s) lost more than half of the baseline, and more than two standard errors: they count as collapsed. "
        "Send collapsed (true or false) where you know better.",
    )
    warn(
        "unknown_prediction",
        without_prediction,
        "{n} row(s) have a prediction_id that is not an answered prediction here. They were stored, and do not "
        "count as outcomes of a prediction.",
    )
    return found


def change(session: Session, tenant: str, observation_id: str, patch: ObservationPatch) -> None:
    """Exclude an observation or take it back, or name its prediction; asked for what it is already, it stays.

    Raises:
        NotFound: there is no such observation.
        ReadOnlyPool: its pool ships with Gapcast.
        Conflict: it is excluded for another reason, or is the outcome of another prediction.
        InvalidRequest: there is no such answered prediction.
    """
    row = find(session, tenant, observation_id)
    refuse_shipped(row.pool)
    locked = repository.lock_pools(session, tenant, [row.pool])
    session.refresh(row)
    if patch.prediction_id is not None:
        _link(session, row, patch.prediction_id)
    if patch.excluded is None or (row.excluded == patch.excluded and row.excluded_reason in {None, patch.reason}):
        return
    if row.excluded == patch.excluded:
        raise Conflict(
            f"reason: {row.id} is excluded already: {str(row.excluded_reason)[:200]!r}. Include it again before "
            "you exclude it for another reason.",
            param="reason",
        )
    changes = repository.count_change(locked, row.pool)
    if patch.excluded:
        repository.exclude(session, row, changes, patch.reason or "")
    else:
        repository.take_back(session, row, changes)
    told = ObservationExcluded if patch.excluded else ObservationIncluded
    events.add(session, tenant, row.id, told(pool=row.pool, reason=patch.reason))


def supersede(session: Session, tenant: str, observation_id: str, reason: str) -> None:
    """Exclude an observation that a better one of the same run stands in place of, unless it is excluded already."""
    row = find(session, tenant, observation_id)
    if not row.excluded:
        change(session, tenant, observation_id, ObservationPatch(excluded=True, reason=reason))


def refuse_shipped(name: str) -> None:
    """Let no one change a pool that ships with Gapcast.

    Raises:
        ReadOnlyPool: it does.
    """
    if name in SHIPPED_POOLS:
        raise ReadOnlyPool(f"pool: {READ_ONLY.format(name=name)}", param="pool", value=name)


def set_pool(session: Session, tenant: str, asked: PoolIn) -> bool:
    """Make a pool, or set what it borrows; True if it is new.

    Raises:
        ReadOnlyPool: it ships with Gapcast.
        InvalidRequest: it would borrow itself.
        UnknownPool: it would borrow a pool that is not there.
    """
    refuse_shipped(asked.name)
    known = [row.name for row in repository.pools(session, tenant)]
    for index, name in enumerate(asked.borrow):
        if name == asked.name:
            message = f"borrow.{index}: expected another pool, got {name!r} itself. Leave it out."
            raise InvalidRequest(message, param=f"borrow.{index}", value=name)
        if name not in known:
            raise UnknownPool(
                f"borrow.{index}: expected a pool that something is stored in ({names_of(known)}), got "
                f"{name!r}.{did_you_mean(name, known)}",
                param=f"borrow.{index}",
                value=name,
            )
    pool, borrow = repository.lock_pool(session, tenant, asked.name), list(dict.fromkeys(asked.borrow))
    if pool.borrow != borrow:
        pool.borrow = borrow
        pool.changes += 1
    return asked.name not in known


def find_pool(session: Session, tenant: str, name: str) -> Pool:
    """Look a pool up.

    Raises:
        UnknownPool: nothing was ever stored under this name.
    """
    pool = repository.pool(session, tenant, name)
    if pool is None:
        known = [row.name for row in repository.pools(session, tenant)]
        raise UnknownPool(
            f"pool: expected a pool that something is stored in ({names_of(known)}), got {name[:80]!r}."
            f"{did_you_mean(name, known)} Leave `pool` out for `{DEFAULT_POOL}` (the lab's models: `{LAB_POOL}`).",
            param="pool",
            value=name[:80],
        )
    return pool


def show_pool(session: Session, tenant: str, name: str) -> Pool:
    """Read one pool.

    Raises:
        NotFound: nothing was ever stored under this name.
    """
    pool = repository.pool(session, tenant, name)
    if pool is None:
        near = did_you_mean(name, [row.name for row in repository.pools(session, tenant)])
        raise NotFound(f"There is no pool {name[:80]!r}.{near} `gapcast pools list` and GET /v1/pools list them.")
    return pool


def page(session: Session, tenant: str, wanted: ObservationQuery) -> Sequence[Observation]:
    """Read one page of observations, with one more than its limit.

    Raises:
        UnknownPool: the filter names a pool that is not there.
    """
    if wanted.pool is not None:
        find_pool(session, tenant, wanted.pool)
    return repository.page(session, tenant, wanted)


def pools(session: Session, tenant: str) -> Sequence[Pool]:
    """Read the pools of a tenant, by name."""
    return repository.pools(session, tenant)


def _link(session: Session, row: Observation, prediction_id: str) -> None:
    """Name the prediction whose outcome a row is; it enters calibrations from now on and no fit."""
    if not repository.known_predictions(session, row.tenant, [prediction_id]):
        raise InvalidRequest(
            f"prediction_id: expected the id of an answered prediction, got {prediction_id[:80]!r}.",
            param="prediction_id",
        )
    if row.prediction_id not in {None, prediction_id}:
        raise Conflict(f"prediction_id: {row.id} is the outcome of {row.prediction_id} already.", param="prediction_id")
    row.prediction_id = prediction_id


def find(session: Session, tenant: str, observation_id: str) -> Observation:
    """Read one.

    Raises:
        NotFound: there is no such observation.
    """
    row = repository.get(session, tenant, observation_id)
    if row is None:
        raise NotFound(f"There is no observation {observation_id[:80]!r}.")
    return row


def export(database: Database, tenant: str, wanted: ObservationFilters) -> Iterator[Row]:
    """Every row that the filter names, as it would be imported, in the order of the ids.

    Read in pages, each in a session of its own: a slow reader holds no connection. Rows that are added meanwhile are
    left out where the filter names a pool.

    Raises:
        UnknownPool: there is no such pool; raised at once, before the first row is asked for.
    """
    with database.read() as session:
        changes = find_pool(session, tenant, wanted.pool).changes if wanted.pool is not None else None
    return _export(database, tenant, wanted, changes)


def _export(database: Database, tenant: str, wanted: ObservationFilters, changes: int | None) -> Iterator[Row]:
    last = ""
    while True:
        with database.read() as session:
            rows = repository.after(session, tenant, wanted, changes, last, EXPORT_PAGE)
        yield from (_importable(row) for row in rows)
        if len(rows) < EXPORT_PAGE:
            return
        last = rows[-1].id


def _importable(row: Observation) -> Row:
    shown = observation_out(row).model_dump(exclude={"id", "object", "cell", "created_at"})
    shown["external_id"] = row.external_id or row.id
    return {name: value for name, value in shown.items() if value is not None}


def shipped() -> list[TrainedRun]:
    """The runs in the package, as `gapcast lab measure` wrote them."""
    return [TrainedRun.read(row) for row in _packaged("lab_pool.json")]


def studied() -> list[TrainedRun]:
    """The runs of a small real model, as `python -m studies.smollm2.run` wrote them."""
    return [TrainedRun.read(row) for row in _packaged("smollm2_pool.json")]


def published() -> list[Row]:
    """What papers report, as `python -m studies.published.pool` wrote it."""
    return _packaged("published_pool.json")


def _packaged(name: str) -> list[Row]:
    rows: list[Row] = json.loads(files("service.observations").joinpath(name).read_text())
    return rows


def seed_pools(session: Session, tenant: str) -> None:
    """Store the shipped observations that are missing, and make the user's empty pool."""
    lab = {run.external_id: run for run in shipped()}
    papers = {str(row["external_id"]): row for row in published()}
    shipped_rows: dict[str, dict[str, Row | TrainedRun]] = {
        LAB_POOL: {**lab},
        PUBLISHED_POOL: {**papers},
        SMOLLM2_POOL: {run.external_id: run for run in studied()},
    }
    for pool, rows in shipped_rows.items():
        # whatever became of those that are there: a start must not fail for them
        known = repository.named(session, tenant, pool, rows)
        _store(session, tenant, check([row for name, row in rows.items() if name not in known], pool))
        if pool == LAB_POOL:
            _complete([row for row in known.values() if row.curve is None], lab)
    repository.lock_pool(session, tenant, DEFAULT_POOL)


def _complete(rows: Sequence[Observation], runs: Mapping[str, TrainedRun]) -> None:
    """Give shipped rows that an older version stored what only later ones brought: their curves and gap spreads."""
    for row in rows:
        values = prepare(row_of_run(runs[str(row.external_id)])).values
        row.curve, row.gap_spread = values.curve, values.gap_spread


def row_of_run(run: TrainedRun) -> ObservationIn:
    """Return a run that Gapcast has trained as a row: its configuration and outcome, beside the row's own names.

    What of it grows with its problems or its steps stays with the run. Fields that the run was written without are
    left out: its row says the same under every version.

    Raises:
        ValidationError, FieldError: its numbers are no observation.
    """
    configuration = run.configuration.model_dump(mode="json", exclude_unset=True)
    outcome = run.outcome.model_dump(mode="json", exclude_unset=True, exclude=LEFT_OUT)
    recipe = configuration.pop("recipe")
    more = {name: value for name, value in recipe.items() if name not in PastRecipe.model_fields}
    problems = configuration.pop("problems")
    configuration.pop("evaluation_problems", None)
    size = {"problems": run.configuration.evaluated, "rollouts": configuration.pop("rollouts"), "variance": "counts"}
    decoding = run.configuration.decoding
    student, teacher, evaluated = (decoding.of(axis).thinking for axis in AXES)
    apart = {} if student == teacher == evaluated else {"teacher_thinking": teacher}
    gap, improvement = run.outcome.gap, run.outcome.improvement
    return ObservationIn(
        name=run.name,
        tags=run.tags,
        **{name: getattr(run, name) for name in ("external_id", "pool", "source", "family", "prediction_id")},
        parameters=run.parameters,
        **{name: configuration.pop(name) for name in ("task", "model", "context")},
        context_kind=run.configuration.context.kind,
        recipe=PastRecipe.model_validate({name: recipe.get(name) for name in PastRecipe.model_fields}),
        **{name: outcome.pop(name) for name in ("baseline", "cov", "collapsed")},
        curve=_curve(run),
        stopped_at=run.outcome.stopped_at,
        gap=GapIn(value=gap.value, se=gap.se, thinking=student, **apart, **size),
        gap_spread=_gap_spread(run),
        improvement=ImprovementIn(value=improvement.value, se=improvement.se, thinking=evaluated, **size),
        held_out=_held_out(run),
        training_problems=problems,
        provenance=configuration | outcome | ({"recipe_options": more} if more else {}),
    )


def _gap_spread(run: TrainedRun) -> float | None:
    """Variance over problems of the true gap, where the run kept the counts of both of its sides."""
    counts, rollouts = run.outcome.counts, run.configuration.rollouts
    apart = run.configuration.decoding.of("student") != run.configuration.decoding.of("evaluation")
    return None if counts is None or apart else gap_spread(counts.before, counts.context, rollouts)


def _held_out(run: TrainedRun) -> HeldOutIn | None:
    found = run.outcome.held_out
    if found is None:
        return None
    gain = found.improvement
    return HeldOutIn(
        value=gain.value,
        se=gain.se,
        baseline=found.baseline,
        problems=found.problems,
        rollouts=run.configuration.rollouts,
        variance="counts",
        thinking=run.configuration.decoding.of("evaluation").thinking,
    )


def _curve(run: TrainedRun) -> list[Look] | None:
    """The run's evaluations whose covariances its version recorded, and its own rollouts; None without any."""
    looks = [
        Look(
            step=one.step,
            improvement=one.improvement.value,
            se=one.improvement.se,
            cov=one.cov,
            held_out=one.held_out.value if one.held_out is not None else None,
            held_out_se=one.held_out.se if one.held_out is not None else None,
        )
        for one in run.outcome.evaluations or ()
        if one.cov is not None
    ]
    own = [
        Look(step=one.step, improvement=one.improvement.value, se=one.improvement.se, source="rollouts")
        for one in run.outcome.rollout_looks or ()
    ]
    return [*looks, *own] if looks or own else None
