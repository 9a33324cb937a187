"""A request holds no connection while it waits for a thread; a crowd is answered or refused; a GET writes nothing."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import Connection, event

from service.app import API, create_app
from service.fits import service as fits
from service.kit.database import MOST_CONNECTIONS, Database
from service.kit.in_flight import IN_FLIGHT, STUCK_SECONDS, InFlight, Place, Places
from service.kit.keyed_locks import KeyedLocks
from service.kit.threads import READING, WRITING
from service.predictions import answering
from service.settings import Settings
from service.web.endpoints import ROUTES
from tests.support.rows import run

pytestmark = pytest.mark.slow

GIVEN = {
    "model": {"name": "m", "family": "qwen3"},
    "task": "livecodebench-v6",
    "context": {"kind": "feedback"},
    "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
}
LAB = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition", "context": {"kind": "hints"}}
QUERIES: dict[str, dict[str, Any]] = {
    "/v1/fits/{fit_id}/curve": {"family": "lab-qwen3"},
    "/v1/observations/export": {"pool": "lab", "format": "ndjson"},
    "/web/run.json": {"run": "x"},
}
"""what a route cannot do without"""


def routes() -> list[APIRoute]:
    return [route for route in (*API.routes, *ROUTES) if isinstance(route, APIRoute)]


def dependencies(of: Dependant) -> Iterator[Dependant]:
    for one in of.dependencies:
        yield one
        yield from dependencies(one)


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{min(route.methods)} {route.path}")
def test_no_endpoint_is_handed_what_must_be_given_back(route: APIRoute) -> None:
    """A dependency that yields is held while the answer waits for a thread to be made into JSON."""
    for one in dependencies(route.dependant):
        assert not one.is_gen_callable, one.call
        assert not one.is_async_gen_callable, one.call


class Seen:
    """What a database's connections were used for: the thread of each, and whether one began to write."""

    def __init__(self) -> None:
        self.taken: dict[int, int] = {}
        self.crossed = False
        self.wrote = False
        self.used = 0


@contextmanager
def watched(database: Database) -> Iterator[Seen]:
    """Look at the connections that requests use: those of anyio's threads and of the event loop's."""
    seen = Seen()
    ours = {thread.ident for thread in threading.enumerate() if thread.name in {"refitter", "reconciler"}}

    def checkout(raw: Any, *_: Any) -> None:
        if threading.get_ident() not in ours:
            seen.taken[id(raw)] = threading.get_ident()
            seen.used += 1

    def checkin(raw: Any, *_: Any) -> None:
        taken = seen.taken.pop(id(raw), None)
        seen.crossed |= taken not in {None, threading.get_ident()}

    def begin(connection: Connection) -> None:
        if threading.get_ident() not in ours:
            seen.wrote |= bool(connection.get_execution_options().get("gapcast_write"))

    listeners = (("checkout", checkout), ("checkin", checkin), ("begin", begin))
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners:
            event.remove(database.engine, name, listener)


def test_a_connection_is_taken_and_given_back_in_one_thread_and_no_get_writes(client: TestClient) -> None:
    """Every GET of the API and the page, with ids that are there and on a pool whose fit is due."""
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    prediction, other = (client.post("/v1/predictions", json=GIVEN).json() for _ in range(2))
    probe = client.post("/v1/probes", json=LAB).json()
    observation = client.get("/v1/observations", params={"pool": "lab", "limit": 1}).json()["data"][0]
    values = {
        "prediction_id": prediction["id"],
        "probe_id": probe["id"],
        "fit_id": client.get("/v1/fits", params={"pool": "lab"}).json()["data"][0]["id"],
        "observation_id": observation["id"],
        "name": "lab/addition",
    }
    queries = QUERIES | {
        "/web/chart.json": {"prediction": prediction["id"]},
        "/law/change": {"pool": "lab"},
        "/law/about": {"pool": "lab", "fit": values["fit_id"]},
        "/law/{name}.{form}": {"pool": "lab", "fit": values["fit_id"]},
        "/predictions/compare": {"id": [prediction["id"], other["id"]]},
    }
    used = 0
    for route in routes():
        if "GET" not in route.methods:
            continue
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}:path}}", values["name"]).replace(f"{{{name}}}", values.get(name, "x"))
        client.post("/v1/observations", json={"observations": [run(baseline=0.3 + used / 1000)]})
        with watched(database) as seen:
            answer = client.get(path, params=queries.get(route.path, {}))
        assert answer.status_code in {200, 404}, (path, answer.text)
        assert not seen.crossed, path
        assert not seen.wrote, path
        assert not seen.taken, path
        used += bool(seen.used)
    assert used > 20


class Slow:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/v1/"):
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def ask_beyond_the_bound() -> None:
    slow = Slow()
    bounded = InFlight(slow, Places(2))
    transport = httpx2.ASGITransport(app=bounded)
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        first = [asyncio.create_task(client.get("/v1/predictions")) for _ in range(2)]
        await asyncio.sleep(0)
        while not bounded.places.are_taken:
            await asyncio.sleep(0)
        refused = await client.get("/v1/predictions")
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
        assert (await client.get("/healthz")).status_code == 200
        slow.go.set()
        assert [answer.status_code for answer in await asyncio.gather(*first)] == [200, 200]
        assert (await client.get("/v1/predictions")).status_code == 200


def test_a_request_beyond_the_bound_is_refused_at_once() -> None:
    asyncio.run(ask_beyond_the_bound())


def test_a_process_that_answers_nobody_is_not_ready(client: TestClient) -> None:
    places: Places = client.app.state.gapcast.places  # type: ignore[attr-defined]
    taken = [Place(places) for _ in range(IN_FLIGHT)]
    assert client.get("/v1/pools").status_code == 503
    assert client.get("/readyz").status_code == 200, "a crowd alone is no reason to send nobody here any more"
    places.moved -= STUCK_SECONDS + 1
    refused = client.get("/readyz")
    assert (refused.status_code, refused.json()["status"]) == (503, "unavailable")
    assert refused.json()["requests"] == f"{IN_FLIGHT} are being handled, and none has ended in 10 seconds"
    assert client.get("/healthz").status_code == 200
    taken[0].give_up()
    assert client.get("/readyz").json()["requests"] == "ok"
    assert client.get("/v1/pools").status_code == 200


def test_no_read_waits_behind_those_that_write(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    with ThreadPoolExecutor(READING + WRITING + 2) as threads:
        with database.write():
            waiting = [threads.submit(client.post, "/v1/probes", json=LAB) for _ in range(WRITING + 1)]
            waiting += [threads.submit(client.post, "/v1/pools", json={"name": "mine"}) for _ in range(READING)]
            time.sleep(1)
            assert threads.submit(client.get, "/v1/pools").result(30).status_code == 200
            assert client.get("/readyz").status_code == 200
            assert not any(one.done() for one in waiting)
        assert {one.result().status_code for one in waiting} <= {200, 201, 202}


def test_no_read_waits_behind_questions_whose_fit_is_due(client: TestClient) -> None:
    database: Database = client.app.state.gapcast.database  # type: ignore[attr-defined]
    client.post("/v1/observations", json={"observations": [run(pool="mine")]})
    with ThreadPoolExecutor(READING + 2) as threads:
        with fits._due.holding((database.url, "local", "mine")):
            asked = GIVEN | {"pool": "mine"}
            waiting = [threads.submit(client.post, "/v1/predictions", json=asked) for _ in range(READING + 1)]
            time.sleep(1)
            assert threads.submit(client.get, "/v1/pools").result(30).status_code == 200
            assert not any(one.done() for one in waiting)
        assert {one.result().status_code for one in waiting} == {200}


def test_the_law_answers_one_question_at_a_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, law_answer = 0, 0, answering.answer

    def counted(*given: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.01)
        inside -= 1
        return law_answer(*given)

    monkeypatch.setattr(answering, "answer", counted)
    with ThreadPoolExecutor(6) as threads:
        answers = [threads.submit(client.post, "/v1/predictions", json=GIVEN) for _ in range(6)]
        assert {one.result().status_code for one in answers} == {200}
    assert most == 1


def test_each_thread_of_both_databases_has_a_connection(tmp_path: Any) -> None:
    for url in (f"sqlite:///{tmp_path / 'a.db'}", "postgresql://nobody@127.0.0.1/none"):
        pool = Database(url).engine.pool
        assert pool.size() + pool._max_overflow == MOST_CONNECTIONS > READING + WRITING  # type: ignore[attr-defined]


def test_those_who_wait_keep_nobody_out(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """More waiting clients than there are places, and a list beside them."""
    created = client.post("/v1/predictions", json=GIVEN | {"gap": None} | LAB).json()
    assert created["status"] == "queued"
    path = f"/v1/predictions/{created['id']}"
    with ThreadPoolExecutor(IN_FLIGHT + 8) as threads:
        waiting = [threads.submit(client.get, path, headers={"Prefer": "wait=60"}) for _ in range(IN_FLIGHT + 4)]
        time.sleep(1)
        listed = client.get("/v1/predictions")
        client.post(f"{path}/cancel")
        answers = [one.result() for one in waiting]
    assert listed.status_code == 200
    statuses = [one.status_code for one in answers]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > IN_FLIGHT // 2
    assert {one.json()["status"] for one in answers if one.status_code == 200} == {"cancelled"}


def test_a_write_that_waits_for_its_turn_holds_no_connection(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    began, go = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as session:
            session.connection()
            began.set()
            go.wait(60)

    def write() -> None:
        with database.write() as session:
            session.connection()

    with ThreadPoolExecutor(9) as threads:
        done = [threads.submit(hold)]
        began.wait(60)
        done += [threads.submit(write) for _ in range(8)]
        time.sleep(0.2)
        assert database.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        go.set()
        for one in done:
            one.result()


def test_a_keyed_lock_is_one_a_key_and_leaves_nothing_behind() -> None:
    locks = KeyedLocks()
    inside: list[str] = []

    def work(key: str) -> None:
        with locks.holding(key):
            assert key not in inside
            inside.append(key)
            time.sleep(0.001)
            inside.remove(key)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, "abab" * 20))
    with locks.holding("a"), locks.holding("b"):
        pass
    assert not locks._held


def test_the_application_bounds_its_requests(settings: Settings) -> None:
    assert InFlight in [one.cls for one in create_app(settings).user_middleware]


def test_a_connection_that_comes_back_after_the_end_is_closed(database: Database) -> None:
    closed = []
    event.listen(database.engine.pool, "close", lambda *given: closed.append(given))
    with database.read() as session:
        session.connection()
        database.close()
        assert not closed
    assert len(closed) == 1
