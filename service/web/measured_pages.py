"""The pages of one probe, with what the model wrote, and of one run that is trained elsewhere."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from gapcast import sample_words, words
from gapcast.contract.events import ProbeProgress
from gapcast.contract.external_runs import ExternalRunOut
from gapcast.contract.probes import Difference
from service.dependencies import AppState, State, Tenant
from service.external_runs import living
from service.probes import service as probes
from service.web.again import ways_to_probe
from service.web.details import detail
from service.web.doing import doing, newest, place
from service.web.facts import Fact, estimate, probe_facts
from service.web.lists import EXTERNAL_RUNS, PROBES
from service.web.rollouts import flips

router = APIRouter(include_in_schema=False)

MOST_FLIPS = 40
"""rollouts that one screen after the other shows; a file has them all"""


@router.get("/probes/{probe_id}")
def show_probe(request: Request, tenant: Tenant, state: AppState, probe_id: str) -> Response:
    """Show one probe."""
    return probe_shown(request, tenant, state, probe_id)


def probe_shown(
    request: Request, tenant: str, state: State, probe_id: str, refused: str = "", status: int = 200
) -> Response:
    """Show one probe, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
    """
    with state.database.read() as session:
        probe = probes.found(session, tenant, probe_id)
        job_id = probes.state_of(session, tenant, probe_id).job_id
        last = newest(session, tenant, job_id, [*words.HAPPENED, ProbeProgress.type])
        pairs = flips(session, probe_id, MOST_FLIPS)
    at = doing(last, words.STATES[probe.status], probe.waiting)
    context = {
        "title": PROBES.row(probe).name,
        "probe": probe,
        "found": probe.result or probe.partial,
        "progress": probe.progress if last is None or last.type == ProbeProgress.type else None,
        "doing": at,
        "step": place(probe.waiting) or at,
        "parts": probe_facts(probe),
        "flips": pairs,
        "kept": sample_words.kept(probe.samples) if probe.samples is not None else "",
        "again": ways_to_probe(str(request.base_url), probe),
        "refused": refused,
    }
    return detail(request, "probe.html", PROBES, probe.id, context, live=not probe.ended, status=status)


@router.get("/external_runs/{run_id}")
def show_external_run(request: Request, tenant: Tenant, state: AppState, run_id: str) -> Response:
    """Show one run that is trained elsewhere."""
    return external_run_shown(request, tenant, state, run_id)


def external_run_shown(
    request: Request, tenant: str, state: State, run_id: str, refused: str = "", status: int = 200
) -> Response:
    """Show one run that is trained elsewhere, and why something could not be done with it.

    Raises:
        NotFound: the tenant has none of this id.
        OldFit: another version of the law wrote the fit from before its end.
    """
    run = living.shown(state.database, tenant, run_id, state.settings)
    context = {
        "title": EXTERNAL_RUNS.row(run).name,
        "run": run,
        "known": list(_known(run)),
        "looks": _looks(run),
        "refused": refused,
    }
    return detail(
        *(request, "external_run.html", EXTERNAL_RUNS, run.id, context),
        live=not run.ended,
        has_events=False,
        status=status,
    )


def _known(run: ExternalRunOut) -> Iterator[Fact]:
    baseline, gap = run.request.baseline, run.request.gap
    yield Fact("Status", words.sentence(run.status), "status")
    yield Fact("Your id", run.external_id, "external-id")
    yield Fact("Before training", words.percent(baseline.accuracy), "before")
    yield Fact("Gap", estimate(Difference(value=gap.value, se=gap.se) if gap is not None else None), "gap")
    if run.announced is not None:
        yield Fact("Stop announced", f"at step {run.announced:,}", "announced")
    for name, found, path in (
        ("Prediction", run.request.prediction_id, "predictions"),
        ("Observation", run.observation_id, "observations"),
    ):
        yield Fact(name, found, name.lower(), f"/{path}/{found}", words.short_id(found) if found is not None else "")


def _looks(run: ExternalRunOut) -> list[tuple[str, str, str, str]]:
    """The rows of the table of looks: step, accuracy, gain, and the end that was expected then."""
    expected = {one.step: one for one in run.forecast.looks} if run.forecast is not None else {}
    rows = []
    for look in run.looks:
        then = expected.get(look.step)
        said = ""
        if then is not None:
            narrow = then.intervals[0]
            said = f"{words.points(then.expected)} ({words.between(narrow.lower, narrow.upper)})"
        gained = words.points(look.value - run.request.baseline.accuracy)
        rows.append((f"{look.step:,}", words.percent(look.value), gained, said))
    return rows
