"""What is done to the product: each fault is drawn with a seed, and written into the history as it is done."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
from kombu import Connection, Queue

from gapcast.contract.waiting import QUEUES
from service.jobs.broker import Dispatcher
from service.jobs.messages import broker_queue
from service.settings import Settings
from tests.chaos.fleet import Fleet, Member
from tests.chaos.own_services import IMMEDIATE, Services
from tests.chaos.recorder import AGAIN, Ask, Body, Clients
from tests.chaos.workload import Workload
from tests.support.product import alive, children_of

PATIENCE = 60.0
"""seconds for which a fault waits for what it is to hit"""
REPEAT = 600.0
"""seconds for which a post of its own is repeated"""
CROWD = 50
"""clients that post with one key at the same time"""
COPIES = 10
"""of one message"""


class Nemesis:
    """Does one fault at a time."""

    def __init__(
        self, fleet: Fleet, services: Services, workload: Workload, seed: int, lease: float, down: float, pile: int
    ) -> None:
        self._fleet, self._services, self._workload = fleet, services, workload
        self._clients: Clients = workload.clients
        self._rng, self._lease, self._down, self._pile = random.Random(seed), lease, down, pile
        self._dispatcher = Dispatcher(Settings(broker_url=services.broker_url, log_level="error"))
        self._postgres = services.database_url.replace("+psycopg", "")
        self.faults: dict[str, Callable[[], Body | None]] = {
            "kill worker": self._kill_worker,
            "kill child": self._kill_child,
            "kill api": self._kill_api,
            "kill api process": self._kill_api_process,
            "kill before the answer": self._kill_before_the_answer,
            "stop worker": self._stop_worker,
            "stop child": self._stop_child,
            "end worker": self._end_worker,
            "restart broker": lambda: self._restart_broker(0.5),
            "broker down": lambda: self._restart_broker(self._down),
            "flush broker": self._flush_broker,
            "stop database": self._stop_database,
            "copy messages": self._copy_messages,
            "crowd": self._crowd,
        }

    def storm(self, wanted: dict[str, int], pause: tuple[float, float], most_seconds: float) -> None:
        """Do every fault as often as wanted, in an order and with pauses that the seed says."""
        order = [name for name, times in wanted.items() for _ in range(times)]
        self._rng.shuffle(order)
        until = time.monotonic() + most_seconds
        for name in order:
            time.sleep(self._rng.uniform(*pause))
            if time.monotonic() > until:
                return
            begun = time.monotonic()
            line = self._clients.history.add("fault", name=name)
            try:
                done = self.faults[name]()
            except psycopg.Error as error:  # the database restarts as well
                done = {"missed": str(error)[:200]}
            line |= done or {}
            more = {name: value for name, value in (done or {}).items() if name != "name"}
            self._clients.history.add("fault done", name=name, seconds=round(time.monotonic() - begun, 2), **more)

    # --- whom to hit

    def _running(self, worker: str | None = None, kind: str | None = None) -> list[tuple[str, int, str]]:
        """Read the jobs that run: id, attempt, worker."""
        query = "SELECT id, attempt, worker FROM jobs WHERE state = 'running'"
        query += " AND worker = %s" if worker is not None else ""
        query += " AND kind = %s" if kind is not None else ""
        given = [one for one in (worker, kind) if one is not None]
        with psycopg.connect(self._postgres, connect_timeout=5) as connection:
            return connection.execute(query + " ORDER BY id", given).fetchall()  # type: ignore[arg-type,return-value]

    def _busy_worker(self, kind: str | None = None) -> Member | None:
        """Wait for a worker that runs a job, and pick one."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            holding = {worker for _, _, worker in self._running(kind=kind)}
            busy = [one for one in self._fleet.workers if one.pid is not None and one.signs_as in holding]
            if busy:
                return self._rng.choice(busy)
            time.sleep(0.1)
        return None

    def _hit(self, worker: Member, number: int, child: bool = False) -> Body:
        """Send a signal to a worker or to one of its children; return which jobs that may cost."""
        pid = worker.pid
        below = children_of(pid) if pid is not None else []
        jobs = [[job, attempt] for job, attempt, _ in self._running(worker.signs_as)]
        target = self._rng.choice(below) if child and below else None if child else pid
        if target is None:
            return {"missed": "it was gone"}
        at = time.time()
        with suppress(ProcessLookupError):
            os.kill(target, number)
        return {"member": worker.name, "pid": target, "jobs": jobs, "hit": at, "below": below}

    # --- processes

    def _kill_worker(self) -> Body:
        worker = self._busy_worker()
        if worker is None:
            return {"missed": "no worker had a job"}
        done = self._hit(worker, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(map(alive, done.get("below", []))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return done | {"orphans": [pid for pid in done.get("below", []) if alive(pid)]}

    def _kill_child(self) -> Body:
        worker = self._busy_worker()
        return {"missed": "no worker had a job"} if worker is None else self._hit(worker, signal.SIGKILL, child=True)

    def _kill_api(self) -> Body:
        pid = self._fleet.api.pid
        if pid is None:
            return {"missed": "it was gone"}
        os.kill(pid, signal.SIGKILL)
        return {"pid": pid}

    def _kill_api_process(self) -> Body:
        pid = self._fleet.api.pid
        below = children_of(pid) if pid is not None else []
        if not below:
            return {"missed": "it was gone"}
        target = self._rng.choice(below)
        with suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
        return {"pid": target}

    def _kill_before_the_answer(self) -> Body:
        """Kill the API once what a post has asked for is committed, while the client waits for its answer."""
        ask = self._workload.next("prediction")
        self._clients.history.asks.append(ask)
        self._clients.history.add("ask", kind=ask.kind, key=ask.key, path=ask.path)
        deadline = time.monotonic() + PATIENCE
        cut = False
        while not cut and not ask.ids and time.monotonic() < deadline:
            if self._fleet.answers():
                cut = self._cut(ask, deadline)
            time.sleep(0.1)
        until = time.monotonic() + REPEAT
        while not self._clients.once(ask):
            time.sleep(AGAIN)
            if time.monotonic() > until:
                return {"missed": "the API did not come back"}
        return {"cut": cut}

    def _cut(self, ask: Ask, deadline: float) -> bool:
        """Post, and kill the API while it waits with its answer; True if that came about."""
        accepted: list[bool] = []
        waits = threading.Thread(target=lambda: accepted.append(self._clients.once(ask, Prefer="wait=50")))
        waits.start()
        pid = self._fleet.api.pid
        while waits.is_alive() and time.monotonic() < deadline:
            with psycopg.connect(self._postgres, connect_timeout=5) as connection:
                found = connection.execute("SELECT 1 FROM idempotency_keys WHERE key = %s", [ask.key]).fetchone()
            if found is not None and pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                waits.join()
                return accepted == [False]
            time.sleep(0.02)
        waits.join()
        return False

    def _stop_worker(self) -> Body:
        """Freeze a worker that trains for three leases and until another has gone on; its child lives on meanwhile."""
        ask = self._workload.next("run", steps=120)
        self._clients.ask(ask, time.monotonic() + REPEAT)
        query = "SELECT job_id FROM training_runs WHERE id = %s"
        with psycopg.connect(self._postgres, connect_timeout=5) as connection:
            (job_id,) = connection.execute(query, ask.ids).fetchone() or (None,)
        deadline = time.monotonic() + PATIENCE
        holder: str | None = None
        while holder is None and time.monotonic() < deadline:
            holder = next((worker for job, _, worker in self._running(kind="training") if job == job_id), None)
            time.sleep(0.1)
        worker = next((one for one in self._fleet.workers if one.pid is not None and one.signs_as == holder), None)
        if worker is None:
            return {"missed": "no worker took the run"}
        done = self._hit(worker, signal.SIGSTOP)
        if "pid" not in done:
            return done
        woken_at = time.monotonic() + 3 * self._lease
        deadline = woken_at + PATIENCE
        taken = False
        while time.monotonic() < woken_at or (not taken and time.monotonic() < deadline):
            taken = any(job == job_id and other != holder for job, _, other in self._running(kind="training"))
            time.sleep(0.1)
        with suppress(ProcessLookupError):
            os.kill(done["pid"], signal.SIGCONT)
        return done | {"taken_by_another": taken}

    def _stop_child(self) -> Body:
        """Freeze a child for three leases: its worker must notice."""
        worker = self._busy_worker()
        if worker is None:
            return {"missed": "no worker had a job"}
        done = self._hit(worker, signal.SIGSTOP, child=True)
        if "pid" in done:
            time.sleep(3 * self._lease)
            done["killed"] = not alive(done["pid"])
            with suppress(ProcessLookupError):
                os.kill(done["pid"], signal.SIGCONT)
        return done

    def _end_worker(self) -> Body:
        """Ask a worker to stop, as a deployment does."""
        worker = self._busy_worker()
        return {"missed": "no worker had a job"} if worker is None else self._hit(worker, signal.SIGTERM)

    # --- servers

    def _restart_broker(self, seconds: float) -> Body:
        self._services.broker.stop(signal.SIGKILL)
        time.sleep(seconds)
        self._services.broker.start()
        return {"down": seconds}

    def _flush_broker(self) -> Body:
        """Lose every message while many jobs wait."""
        until = time.monotonic() + REPEAT
        for _ in range(self._pile):
            self._clients.ask(self._workload.next("check"), until)
        with psycopg.connect(self._postgres) as connection:
            (queued,) = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone() or (0,)
        with Connection(self._services.broker_url) as connection, connection.channel() as channel:
            for name in map(broker_queue, QUEUES):
                queue = Queue(name, channel=channel)
                queue.declare()
                queue.purge()
        return {"queued": queued}

    def _stop_database(self) -> Body:
        self._services.database.stop(IMMEDIATE)
        time.sleep(self._rng.uniform(0, 2))
        self._services.database.start()
        return {}

    def _copy_messages(self) -> Body:
        """Send the message of each of some jobs many times, of ended ones too."""
        with psycopg.connect(self._postgres) as connection:
            rows = connection.execute("SELECT queue, id FROM jobs ORDER BY id").fetchall()
        chosen = self._rng.sample(rows, min(20, len(rows)))
        self._dispatcher.wake((queue, job) for queue, job in chosen for _ in range(COPIES))
        return {"messages": COPIES * len(chosen)}

    def _crowd(self) -> Body:
        """Post with one key from many clients at the same time."""
        ask = self._workload.next("prediction")
        self._clients.history.asks.append(ask)
        self._clients.history.add("ask", kind=ask.kind, key=ask.key, path=ask.path)
        gate, until = threading.Barrier(CROWD), time.monotonic() + REPEAT

        def post() -> None:
            gate.wait()
            while not self._clients.once(ask) and time.monotonic() < until:
                time.sleep(3 * AGAIN)

        threads = [threading.Thread(target=post) for _ in range(CROWD)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"clients": CROWD}
