"""Lists hold what matches every filter, in pages, on both databases; a parameter that is wrong is named."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from gapcast.contract.lists import (
    ComparisonQuery,
    FitQuery,
    ObservationExport,
    ObservationFilters,
    ObservationQuery,
    PredictionQuery,
    ProbeQuery,
    RecommendationQuery,
    TrainingRunQuery,
)
from service.comparisons import repository as comparisons
from service.fits import repository as fits
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import settle
from service.kit.database import Database
from service.kit.pagination import Filters, conditions
from service.observations import repository as observations
from service.predictions import repository as predictions
from service.probes import repository as probes
from service.recommendations import repository as recommendations
from service.training_runs import repository as training_runs
from tests.support.asking import run_of
from tests.support.results import probe_result, stored
from tests.support.rows import run

pytestmark = pytest.mark.slow

Body = dict[str, Any]

CIPHER: Body = {"task": "lab/cipher", "model": "lab/cipher-qwen3-s", "context": {"kind": "all"}}

LISTS: list[tuple[str, type[BaseModel], Filters]] = [
    ("predictions", PredictionQuery, predictions.FILTERS),
    ("probes", ProbeQuery, probes.FILTERS),
    ("comparisons", ComparisonQuery, comparisons.FILTERS),
    ("recommendations", RecommendationQuery, recommendations.FILTERS),
    ("training_runs", TrainingRunQuery, training_runs.FILTERS),
    ("observations", ObservationQuery, observations.FILTERS),
    ("fits", FitQuery, fits.FILTERS),
]
PATHS = [path for path, _, _ in LISTS]
OTHER_LISTS = [
    *("observations/export", "fits/x/residuals", "training_runs/x/checkpoints"),
    *("events", "tasks/x/problems", "probes/x/samples", "probes/x/samples/export"),
]


def ids(client: TestClient, path: str, **query: Any) -> list[str]:
    answer = client.get(f"/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["data"]]


def made(client: TestClient, path: str, body: Body) -> str:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def refused(client: TestClient, path: str, **query: Any) -> Body:
    answer = client.get(f"/v1/{path}", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: Body = answer.json()["errors"][0]
    assert answer.json()["param"] == problem["param"]
    return problem


def database_of(client: TestClient) -> Database:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    return database


def end(client: TestClient, job_id: str, state: JobState) -> None:
    """Do what a worker does with a probe's job; `running` leaves it claimed."""
    with database_of(client).write() as session:
        job = jobs.claim(session, job_id, "test", 60)
        assert job is not None
        if state == JobState.running:
            return
        error = {"code": "e", "message": "m", "category": "server"} if state == JobState.failed else None
        ended = jobs.finish(session, job_id, job.attempt, state, error)
        assert ended is not None
        if state == JobState.succeeded:
            probes.store_result(session, ended.subject_id, stored(probe_result()))
        settle(session, ended)


@pytest.mark.parametrize(("query", "filters"), [(query, filters) for _, query, filters in LISTS])
def test_every_parameter_narrows(query: type[BaseModel], filters: Filters) -> None:
    """Each is said in SQL: one that nothing is written for would raise, and one that is ignored would give none."""
    values = {"limit": 7, "after": "pred_" + "0" * 32, "order": "asc", "tag": ["a"], "id": ["a"], "id_prefix": "pred_0"}
    for name in query.model_fields.keys() - {"limit", "after", "order", "sort"}:
        assert len(conditions(query.model_construct(**{name: values.get(name, "x")}), filters)) == 1, name
    assert conditions(query(), filters) == []
    paging = {name: values[name] for name in ("limit", "after", "order")}
    assert conditions(query.model_construct(**paging), filters) == []


def test_an_export_takes_the_filters_of_the_list() -> None:
    assert ObservationExport.model_fields.keys() - {"format"} == ObservationFilters.model_fields.keys()
    assert conditions(ObservationExport(format="json"), observations.FILTERS) == []


def test_labels(app: TestClient, given: Body) -> None:
    """A tag is whole, its `_` and `.` stand for themselves, and all that are asked for must be there."""
    both = made(app, "predictions", given | {"name": "hints, 2 of 3", "tags": ["sweep_1", "lr-5e-4"]})
    one = made(app, "predictions", given | {"name": "Hints, 2 of 3", "tags": ["sweep_1"]})
    other = made(app, "predictions", given | {"tags": ["sweepx1", "sweep_12", "sweep.1"]})
    assert ids(app, "predictions", tag="sweep_1") == [one, both]
    assert ids(app, "predictions", tag=["sweep_1", "lr-5e-4"]) == [both]
    assert ids(app, "predictions", tag=["sweep_1", "sweepx1"]) == []
    assert ids(app, "predictions", tag="sweep") == []
    assert ids(app, "predictions", tag=["sweep.1"]) == [other]
    assert ids(app, "predictions", name="hints, 2 of 3") == [both]
    assert ids(app, "predictions", name="hints, 2 of 3", tag="sweepx1") == []


def test_predictions_by_what_they_ask_and_say(app: TestClient, given: Body) -> None:
    lab = made(app, "predictions", given)
    least = made(app, "predictions", given | {"min_gain": 1.0})
    elsewhere = made(
        app, "predictions", given | {"model": {"name": "me/x", "family": "x"}, "task": "mine", "pool": "default"}
    )
    verdicts = {one: app.get(f"/v1/predictions/{one}").json()["verdict"] for one in (lab, least, elsewhere)}
    assert len(set(verdicts.values())) > 1
    for verdict in set(verdicts.values()):
        expected = [one for one in (elsewhere, least, lab) if verdicts[one] == verdict]
        assert ids(app, "predictions", verdict=verdict) == expected
    assert ids(app, "predictions", model="me/x") == [elsewhere]
    assert ids(app, "predictions", model="me/X") == []
    assert ids(app, "predictions", task="lab/addition") == [least, lab]
    assert ids(app, "predictions", pool="lab", status="succeeded") == [least, lab]
    assert ids(app, "predictions", pool="default", task="lab/addition") == []


def test_a_text_is_found_in_names_and_tags_and_ids_are_listed(
    app: TestClient, given: Body, configuration: Body
) -> None:
    lab = made(app, "predictions", given | {"name": "50% Over_night", "tags": ["sweep-1"]})
    mine = made(
        app,
        "predictions",
        given | {"model": {"name": "me/Large", "family": "x"}, "context": {"kind": "feedback"}, "pool": "default"},
    )
    for text, expected in (
        ("over_", [lab]),
        ("0% o", [lab]),
        ("%", [lab]),
        ("SWEEP", [lab]),
        ("me/large", [mine]),
        ("addition", [mine, lab]),
        ("nothing", []),
    ):
        assert ids(app, "predictions", text=text) == expected, text
    assert ids(app, "predictions", context_kind="feedback") == [mine]
    assert ids(app, "predictions", id=[lab, mine]) == [mine, lab]
    assert ids(app, "predictions", id=[lab], text="me/") == []
    probe = made(app, "probes", configuration)
    run_id = made(app, "training_runs", run_of(configuration))
    for path, one in (("probes", probe), ("training_runs", run_id)):
        assert ids(app, path, context_kind="hints", text="ADDITION") == [one]
        assert ids(app, path, context_kind="feedback") == []
    row = app.get("/v1/observations?pool=lab&limit=1").json()["data"][0]
    assert ids(app, "observations", id=row["id"], text=row["external_id"]) == [row["id"]]


def test_lists_are_sorted_by_their_numbers_page_by_page(app: TestClient, given: Body, configuration: Body) -> None:
    """Items with one number are told apart by their ids, and those without one come last."""
    gaps = (0.1, 0.3, 0.2, 0.3)
    stored = [made(app, "predictions", given | {"gap": {"value": gap, "se": 0.02, "student": 0.2}}) for gap in gaps]
    waiting = made(app, "predictions", configuration)
    for order, expected in (("desc", [3, 1, 2, 0]), ("asc", [0, 2, 1, 3])):
        wanted = [stored[place] for place in expected]
        wanted = [*wanted, waiting] if order == "desc" else [waiting, *wanted]
        for sort in ("gap", "improvement"):
            assert ids(app, "predictions", sort=sort, order=order) == wanted
        found: list[str] = []
        while page := ids(
            app, "predictions", sort="gap", order=order, limit=2, **({"after": found[-1]} if found else {})
        ):
            found += page
        assert found == wanted
    values = [
        row["improvement"]["value"] for row in app.get("/v1/observations?pool=lab&sort=improvement").json()["data"]
    ]
    assert values == sorted(values, reverse=True)
    assert ids(app, "training_runs", sort="improvement") == []


@pytest.mark.parametrize("state", [state for state in JobState if state not in {JobState.paused, JobState.dead}])
def test_the_status_that_is_shown_is_the_one_that_is_found(
    app: TestClient, configuration: Body, state: JobState
) -> None:
    """Of predictions that wait for a probe, and of the probe; beside others that are queued."""
    first = made(app, "predictions", configuration)
    second = made(app, "predictions", configuration | {"probe": {"problems": 16, "rollouts": 2, "seed": 1}})
    probe_id = app.get(f"/v1/predictions/{first}").json()["probe_id"]
    with database_of(app).read() as session:
        job_id = probes.by_id(session, probe_id).job_id
    if state != JobState.queued:
        end(app, job_id, state)
    for path, one in (("predictions", first), ("probes", probe_id)):
        shown = app.get(f"/v1/{path}/{one}").json()["status"]
        assert shown == state
        for status in JobState:
            if status == JobState.paused:
                continue
            assert (one in ids(app, path, status=status)) == (status == shown), (path, status)
    assert (second in ids(app, "predictions", status="queued")) is True


def test_probes_and_training_runs(app: TestClient, configuration: Body, given: Body) -> None:
    probe = made(app, "probes", configuration | {"name": "a", "tags": ["x"]})
    made(app, "probes", configuration | CIPHER)
    assert ids(app, "probes", model="lab/addition-qwen3-s", task="lab/addition", name="a", tag="x") == [probe]
    assert ids(app, "probes", model="lab/cipher-qwen3-s", task="lab/addition") == []

    predicted = made(app, "predictions", given)
    verdict = app.get(f"/v1/predictions/{predicted}").json()["verdict"]
    run_id = made(app, "training_runs", {"prediction_id": predicted, "name": "r", "tags": ["x", "y"]})
    other = made(app, "training_runs", run_of(configuration) | {"pool": "not-there-yet"})
    assert ids(app, "training_runs", verdict=verdict) == [run_id]
    assert ids(app, "training_runs", verdict="refused") == []
    assert ids(app, "training_runs", pool="not-there-yet") == [other], "its observation is what will make the pool"
    assert ids(app, "training_runs", name="r", tag=["y", "x"], status="queued") == [run_id]
    assert ids(app, "training_runs", model="lab/addition-qwen3-s", task="lab/addition") == [other, run_id]
    assert ids(app, "training_runs", task="lab/cipher") == []


SMALL, MIDDLE = "lab/addition-qwen3-s", "lab/addition-qwen3-m"


@pytest.mark.parametrize("models", [[SMALL], [MIDDLE], [SMALL, MIDDLE]])
@pytest.mark.parametrize("is_listed", [True, False])
def test_comparisons_by_every_model_in_them(app: TestClient, models: list[str], is_listed: bool) -> None:
    contexts = [{"kind": kind} for kind in ("hints", "feedback", "all")]
    rest = {"task": "lab/addition"}
    if is_listed:
        space: Body = {"configurations": [rest | {"model": m, "context": c} for m in models for c in contexts]}
    elif len(models) == 1:
        space = {"base": rest | {"model": {"name": models[0]}}, "vary": {"context": contexts}}
    else:
        space = {"base": rest, "vary": {"context": contexts, "model": models}}
    comparison = made(app, "comparisons", space)
    for model in (SMALL, MIDDLE, "lab/addition", "hints", "lab/addition-qwen3"):
        assert ids(app, "comparisons", model=model) == ([comparison] if model in models else []), model


def test_observations_and_fits(app: TestClient) -> None:
    rows = [run(name="first", tags=["a", "b"]), run(baseline=0.3, tags=["b"], model="other")]
    first, second = app.post("/v1/observations?pool=mine", json={"observations": rows}).json()["ids"]
    assert ids(app, "observations", tag="b") == [second, first]
    assert ids(app, "observations", tag=["a", "b"]) == [first]
    assert ids(app, "observations", name="first", pool="mine") == [first]
    assert ids(app, "observations", tag="b", model="other", collapsed="false") == [second]
    exported = app.get("/v1/observations/export", params={"tag": "a", "format": "json"}).json()["observations"]
    assert [(row["name"], row["tags"]) for row in exported] == [("first", ["a", "b"])]
    fit = app.post("/v1/fits", json={"pool": "mine"}).json()["id"]
    assert ids(app, "fits", pool="mine", id_prefix=fit[:20]) == [fit]
    assert ids(app, "fits", pool="lab", id_prefix=fit) == []


@pytest.mark.parametrize("digits", range(1, 33, 3))
def test_an_id_prefix_is_a_range_with_both_ends(database: Database, digits: int) -> None:
    """With ids on its edges and next to them, which a comparison of texts would include or leave out wrongly."""
    number, rest = int(("9" + "a" * 31)[:digits], 16), 16 ** (32 - digits)
    prefix = f"pred_{number:0{digits}x}"
    inside, outside = (
        [f"pred_{value:032x}" for value in edges]
        for edges in ((number * rest, (number + 1) * rest - 1), (number * rest - 1, (number + 1) * rest))
    )
    values = {"tenant": "local", "request": {}, "family": "x", "pool": "lab", "status": "succeeded"}
    with database.write() as session:
        predictions.add_all(session, [values | {"id": one} for one in {*inside, *outside}])
    with database.read() as session:
        found = predictions.page(session, "local", PredictionQuery(id_prefix=prefix, order="asc"))
    assert [row.id for row, _ in found] == sorted(set(inside))


def test_an_id_prefix_reads_no_other_rows(database: Database) -> None:
    """An index on the id is searched; a pattern would be compared with every row."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL plans by the number of rows")
    (condition,) = conditions(PredictionQuery(id_prefix="pred_01"), predictions.FILTERS)
    with database.read() as session:
        connection = session.connection()
        text = str(condition.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN SELECT * FROM predictions WHERE {text}").all()
    assert "SEARCH predictions USING INDEX" in plan[0][3], plan


def test_pages_of_what_is_filtered(app: TestClient, given: Body) -> None:
    tagged = [made(app, "predictions", given | {"tags": ["t"], "min_gain": number / 10}) for number in range(5)]
    for number in range(3):
        made(app, "predictions", given | {"min_gain": number / 10})
    seen: list[str] = []
    query: Body = {"tag": "t", "limit": 2}
    while True:
        page = app.get("/v1/predictions", params=query).json()
        seen += [item["id"] for item in page["data"]]
        assert page["has_more"] == (len(seen) < 5)
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert seen == tagged[::-1]
    assert ids(app, "predictions", tag="t", limit=1) == tagged[-1:]
    assert ids(app, "predictions", tag="t", order="asc", limit=1) == tagged[:1]


@pytest.mark.parametrize(
    "path",
    [*PATHS, "observations/export", "fits/x/residuals", "training_runs/x/checkpoints", "events", "tasks/x/problems"],
)
def test_a_parameter_that_is_not_known_is_named_with_the_nearest(refusing: TestClient, path: str) -> None:
    known, mistyped = ("pool", "poool") if "observations" in path else ("limit", "limitt")
    wrong = refused(refusing, path, **{mistyped: "1"})
    assert (wrong["param"], wrong["value"]) == (mistyped, "1")
    assert f" Did you mean {known}?" in wrong["message"] or (
        path == "observations/export" and known in wrong["message"]
    )


def test_a_post_of_observations_refuses_what_it_does_not_know(refusing: TestClient) -> None:
    answer = refusing.post("/v1/observations?poool=mine", json={"observations": [run()]})
    assert (answer.status_code, answer.json()["param"]) == (422, "poool")


@pytest.mark.parametrize(
    ("path", "query", "accepted"),
    [
        ("predictions", {"status": "done"}, "succeeded"),
        ("predictions", {"status": "paused"}, "succeeded"),
        ("probes", {"status": "paused"}, "succeeded"),
        ("training_runs", {"status": "stopped"}, "paused"),
        ("predictions", {"verdict": "yes"}, "probe_more"),
        ("training_runs", {"verdict": "yes"}, "probe_more"),
        ("predictions", {"order": "up"}, "asc"),
        ("predictions", {"limit": "101"}, "100"),
        ("predictions", {"tag": "Big"}, "1 to 64 lower-case letters"),
        ("observations", {"excluded": "maybe"}, "true or false"),
        *[(path, {"id_prefix": "job_01"}, "the start of an id") for path in PATHS],
        ("probes", {"id_prefix": "probe"}, "probe_"),
        ("probes", {"id_prefix": "probe_%"}, "probe_"),
        ("fits", {"pool": "no pool; drop"}, "a name of 1 to 64"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(
    refusing: TestClient, path: str, query: Body, accepted: str
) -> None:
    ((name, value),) = query.items()
    wrong = refused(refusing, path, **query)
    assert wrong["param"] == (f"{name}.0" if name == "tag" else name)
    assert wrong["value"] == value
    assert accepted in wrong["message"]


@pytest.mark.parametrize("path", ["predictions", "observations", "fits", "observations/export"])
def test_a_pool_that_is_not_there_is_named_with_the_nearest(refusing: TestClient, path: str) -> None:
    answer = refusing.get(f"/v1/{path}", params={"pool": "labb"})
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "unknown_pool", "pool")
    assert "got 'labb'. Did you mean 'lab'?" in answer.json()["detail"]


def test_one_pool(refusing: TestClient) -> None:
    pools = {pool["name"]: pool for pool in refusing.get("/v1/pools").json()["data"]}
    assert refusing.get("/v1/pools/lab").json() == pools["lab"]
    missing = refusing.get("/v1/pools/laab")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert "Did you mean 'lab'?" in missing.json()["detail"]
