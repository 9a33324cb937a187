"""What must hold of a history, whatever was done: each function returns a line for each thing that does not hold."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.comparisons.models import ComparisonPart
from service.events.models import Event
from service.fits import repository as fits
from service.fits.service import draft, lending, read
from service.jobs.models import Job, JobState
from service.kit.database import Database
from service.kit.idempotency import IdempotencyRow
from service.observations.models import Observation, Pool
from service.predictions.models import Prediction
from service.probes.models import Probe
from service.tasks.models import StoredTask
from service.training_runs.models import Checkpoint, TrainingRun
from tests.chaos.recorder import Body, Clients, History

ENDS = {f"job.{state}" for state in JobState if state.is_terminal}
"""events that end a job; `job.dead` has none of its own"""
WELL = {"succeeded", "ready"}
MARGIN = 30.0
"""seconds beyond a lease within which what was lost must run again"""
MANY = 4
"""attempts after which a job waits for longer than the margin by itself: 1, 2, 4, 8, 16 s"""


class Recovery(NamedTuple):
    """How long a job took from a fault to its next attempt."""

    job: str
    attempt: int
    seconds: float
    fault: str


def check(history: History, clients: Clients, database: Database) -> list[str]:
    """Return all that does not hold, once everything has had the time to end."""
    with database.read() as session:
        return [
            *accepted_end(history, clients),
            *one_answer_a_key(history, session),
            *nothing_unasked(history, session),
            *jobs_end_once(session),
            *probes_are_whole(session),
            *runs_have_their_observation(session),
            *fits_are_of_their_rows(session),
            *killed_with_their_parent(history),
        ]


def accepted_end(history: History, clients: Clients) -> Iterator[str]:
    """Every accepted id reaches one terminal state, and what was read there once is read for ever."""
    for line in history.of("given up"):
        yield f"{line['key']}: was never accepted"
    for ask in history.asks:
        if ask.kind == "import" or not ask.ids:
            continue
        if ask.ended is None:
            yield f"{ask.kind} {ask.ids[0]}: accepted, and has not ended"
            continue
        now = clients.look(ask)
        if now != ask.ended:
            changed = [name for name in ask.ended if (now or {}).get(name) != ask.ended[name]]
            yield f"{ask.kind} {ask.ids[0]}: changed after its end in {changed}"
        if ask.ended["status"] not in WELL:
            yield f"{ask.kind} {ask.ids[0]}: ended as {ask.ended['status']} ({ask.ended.get('error')})"


def one_answer_a_key(history: History, session: Session) -> Iterator[str]:
    """Every answer to one key names the same ids, those that are stored with it."""
    answers: dict[str, set[str]] = {}
    for line in history.of("accepted"):
        answers.setdefault(line["key"], set()).add(json.dumps(line["ids"]))
    for key, ids in answers.items():
        if len(ids) > 1:
            yield f"{key}: was answered with {sorted(ids)}"
    stored = Counter(session.execute(select(IdempotencyRow.key)).scalars())
    for ask in history.asks:
        if stored[ask.key] != bool(ask.ids):
            yield f"{ask.key}: is stored {stored[ask.key]} times, with the answer {ask.ids}"
    for line in history.of("refused"):
        if line["status"] < 500 and line["status"] not in {409, 429}:
            yield f"{line['key']}: was refused with {line['status']}: {line['text']}"


def nothing_unasked(history: History, session: Session) -> Iterator[str]:
    """No row is there that nobody asked for: a post that was repeated has stored one thing."""

    def ids(*kinds: str) -> set[str]:
        return {one for ask in history.asks if ask.kind in kinds for one in ask.ids}

    compared = [ask.ended or {} for ask in history.asks if ask.kind == "comparison"]
    places = [place for one in compared for place in one.get("configurations") or []]
    own = {place[name] for place in places for name in ("prediction_id", "probe_id")}
    winners = [one["winner"] for one in compared if one.get("winner")]
    own |= {winner.get(name) for winner in winners for name in ("prediction_id", "probe_id")}
    runs = set(session.execute(select(TrainingRun.observation_id)).scalars())
    known = {
        Prediction.id: ids("prediction") | own,
        TrainingRun.id: ids("run"),
        Observation.id: ids("import") | runs,
        StoredTask.name: ids("check"),
    }
    for column, expected in known.items():
        table = column.class_.__tablename__
        query = select(column)
        if column is Observation.id:
            query = query.where(Observation.pool == "default")
        found = Counter(session.execute(query).scalars())
        yield from (f"{table} {one}: nobody asked for it" for one in sorted(set(found) - expected))
        yield from (f"{table} {one}: is stored {times} times" for one, times in found.items() if times > 1)
        lost = expected - set(found) - (own if column is Prediction.id else {None})
        yield from (f"{table} {one}: was accepted, and is not stored" for one in sorted(filter(None, lost)))
    subjects = {Job.id: set(session.execute(select(Job.id)).scalars())}
    wanted = [*session.execute(select(Probe.job_id)).scalars(), *session.execute(select(TrainingRun.job_id)).scalars()]
    wanted += session.execute(select(ComparisonPart.job_id)).scalars()
    wanted += session.execute(select(StoredTask.check_job_id)).scalars()
    yield from (f"{job}: is a job for nothing" for job in sorted(subjects[Job.id] - set(wanted)))


def jobs_end_once(session: Session) -> Iterator[str]:
    """Attempts begin one after the other, and the last of them, and nothing else, ends the job."""
    events: dict[str, list[Event]] = {}
    for event in session.execute(select(Event).order_by(Event.id)).scalars():
        events.setdefault(event.subject_id, []).append(event)
    for job in session.execute(select(Job)).scalars():
        told = events.get(job.id, [])
        started = [event.data["attempt"] for event in told if event.type == "job.started"]
        if started != list(range(1, job.attempt + 1)):
            yield f"{job.id}: its attempts began as {started}, and it has had {job.attempt}"
        ends = [event for event in told if event.type in ENDS]
        if not JobState(job.state).is_terminal:
            yield f"{job.id}: is {job.state}"
        elif [(one.type, one.data.get("attempt")) for one in ends] != [(f"job.{job.state}", job.attempt)]:
            yield f"{job.id}: {job.state} in attempt {job.attempt}, its ends: {[(e.type, e.data) for e in ends]}"
        elif told[-1] is not ends[0]:
            yield f"{job.id}: {told[-1].type} came after its end"
        yield from _written_by_one(job, told)
    for run in session.execute(select(TrainingRun)).scalars():
        kinds = Counter(event.type for event in events.get(run.id, []))
        if kinds["training_run.succeeded"] != 1:
            yield f"{run.id}: ended {kinds['training_run.succeeded']} times"
    for prediction in session.execute(select(Prediction)).scalars():
        kinds = Counter(event.type for event in events.get(prediction.id, []))
        if kinds["prediction.succeeded"] != 1:
            yield f"{prediction.id}: ended {kinds['prediction.succeeded']} times"


def _written_by_one(job: Job, told: Sequence[Event]) -> Iterator[str]:
    """Between the beginnings of two attempts only one speaks: its steps grow."""
    step = -1
    for event in told:
        if event.type == "job.started":
            step = -1
        if event.type == "training.metrics":
            if event.data["step"] <= step:
                yield f"{job.id}: step {event.data['step']} follows step {step} in one attempt"
            step = event.data["step"]


def probes_are_whole(session: Session) -> Iterator[str]:
    """Each measured problem is in a probe once, and each rollout was drawn or remembered once."""
    for probe in session.execute(select(Probe).where(Probe.result.is_not(None))).scalars():
        result: Body = probe.result or {}
        problems = result["problem_ids"]
        if len(set(problems)) != len(problems):
            yield f"{probe.id}: measured a problem twice"
        for name, arm in result["arms"].items():
            if arm is not None and len(arm["counts"]) != len(problems):
                yield f"{probe.id}: {name} has {len(arm['counts'])} counts for {len(problems)} problems"


def runs_have_their_observation(session: Session) -> Iterator[str]:
    """A run that succeeded is one observation, with the numbers of its result, from its last attempt."""
    for run in session.execute(select(TrainingRun)).scalars():
        rows = session.execute(select(Observation).where(Observation.external_id == run.id)).scalars().all()
        if run.result is None or [row.id for row in rows] != [run.observation_id]:
            yield f"{run.id}: its observations are {[row.id for row in rows]}, and it names {run.observation_id}"
            continue
        told = (run.result["gap"]["value"], run.result["improvement"]["value"])
        if (rows[0].gap, rows[0].improvement) != told:
            yield f"{run.id}: its result is {told}, its observation {(rows[0].gap, rows[0].improvement)}"
        job = session.get(Job, run.job_id)
        newest = session.get(Checkpoint, run.checkpoint_id) if run.checkpoint_id is not None else None
        at = (newest.attempt, newest.step) if newest is not None else (0, 0)
        if job is None or at[0] > job.attempt or at[1] != run.configuration["recipe"]["steps"]:
            yield f"{run.id}: its newest checkpoint is of attempt {at[0]}, step {at[1]}"


def fits_are_of_their_rows(session: Session) -> Iterator[str]:
    """The newest fit of each pool is what a fit of its rows from scratch gives."""
    for pool in session.execute(select(Pool)).scalars():
        if pool.fitted_changes != pool.changes:
            yield f"pool {pool.name}: is fitted at change {pool.fitted_changes} of {pool.changes}"
            continue
        made = draft(read(session, pool.tenant, pool.name, pool.changes, lending(session, pool)))
        fit = fits.get(session, pool.tenant, pool.fit_id or "")
        if fit is None or fit.fingerprint != made.fingerprint or fit.n != made.n:
            yield f"pool {pool.name}: its fit is of other rows than it has"
        elif _plain(fit.record) != _plain(made.record):
            yield f"pool {pool.name}: its fit differs from one that is made afresh"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def killed_with_their_parent(history: History) -> Iterator[str]:
    """No child outlives its worker, and none that a signal has stopped keeps its slot."""
    for line in history.of("fault"):
        yield from (f"{line['name']}: process {pid} outlived its parent" for pid in line.get("orphans", []))
        if line.get("killed") is False:
            yield f"{line['name']}: the worker did not notice that process {line['pid']} was stopped"


def in_time(found: list[Recovery], lease: float) -> Iterator[str]:
    """What a fault has hit runs again within a lease and the margin."""
    for one in found:
        if one.seconds > lease + MARGIN and one.attempt <= MANY + 1:
            yield f"{one.job}: attempt {one.attempt} began {one.seconds:.0f} s after {one.fault}"


def recoveries(history: History, session: Session) -> list[Recovery]:
    """Return how long each job that a fault has hit took until its next attempt began, the longest first."""
    hit: dict[tuple[str, int], tuple[float, str]] = {}
    for line in history.of("fault"):
        for job, attempt in line.get("jobs", []):
            hit[job, attempt] = (line["hit"], line["name"])
    found = []
    query = select(Event).where(Event.type == "job.started").order_by(Event.id)
    for event in session.execute(query).scalars():
        before = hit.get((event.subject_id, event.data["attempt"] - 1))
        if before is not None and event.created_at.timestamp() >= before[0]:
            seconds = event.created_at.timestamp() - before[0]
            found.append(Recovery(event.subject_id, event.data["attempt"], seconds, before[1]))
    return sorted(found, key=lambda one: -one.seconds)
