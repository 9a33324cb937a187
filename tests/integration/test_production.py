"""The same product on PostgreSQL with Redis or RabbitMQ, by settings alone."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import amqp
import pytest
import redis
from kombu import Connection, Queue

from gapcast import Client, GapcastError, Prediction
from gapcast.contract.waiting import QUEUES
from service.jobs.messages import broker_queue
from tests.conftest import need, postgres
from tests.support import malformed
from tests.support.product import GAPCAST, Process, alive, ask, children_of, ended, eventually, serving, working
from tests.support.queues import not_held_up, starts
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.services]

Body = dict[str, Any]


@pytest.fixture(scope="class", params=["redis", "amqp"])
def broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker whose queue is empty before and after."""
    if request.param == "redis":
        need("127.0.0.1", 6379, "Redis")
        url = "redis://127.0.0.1:6379/9"
    else:
        need("127.0.0.1", 5672, "RabbitMQ")
        url = "amqp://guest:guest@127.0.0.1:5672//"

    def purge() -> None:
        with Connection(url) as connection, connection.channel() as channel:
            for name in map(broker_queue, QUEUES):
                queue = Queue(name, channel=channel)
                queue.declare()
                queue.purge()

    purge()
    yield url
    purge()


def test_two_at_once_with_two_workers(tmp_path: Path, configuration: Body, postgres_url: str, broker_url: str) -> None:
    # a message that reaches the busy worker is not sent again: the idle one finds its job all the same
    never = {"GAPCAST_REPUBLISH_SECONDS": "3600", "GAPCAST_RECONCILE_SECONDS": "3600"}
    settings = {"GAPCAST_DATABASE_URL": postgres_url, "GAPCAST_BROKER_URL": broker_url} | never
    with (
        serving(tmp_path, settings | {"GAPCAST_API_WORKERS": "2"}) as (client, _),
        working(tmp_path, settings, "first"),
        working(tmp_path, settings, "second"),
    ):
        bodies = [configuration | {"probe": {"problems": 128, "rollouts": 8, "seed": seed}} for seed in (1, 2)]
        made: list[Prediction] = []
        ready = threading.Barrier(2)

        def post(body: Body) -> None:
            with Client(client.url) as own:
                ready.wait()
                made.append(own.predictions.create(body))

        threads = [threading.Thread(target=post, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 2
        assert [ended(client, one).status for one in made] == ["succeeded", "succeeded"]
        workers = set()
        for one in made:
            page = ask(client, "GET", f"/v1/predictions/{one.id}/events", params={"limit": 500})["data"]
            started = [event for event in page if event["type"] == "job.started"]
            assert len(started) == 1
            assert started[0]["data"]["attempt"] == 1
            workers.add(started[0]["data"]["worker"])
            assert sum(event["type"] == "prediction.succeeded" for event in page) == 1
        assert len(workers) == 2, "both workers worked"


def publish(broker_url: str, queue: str) -> int:
    """Send every message that a worker should drop or do nothing about, as no Celery would; return how many to drop."""
    messages = [*malformed.MALFORMED.values(), *malformed.HARMLESS.values()]
    dropped = len(malformed.MALFORMED)
    if broker_url.startswith("redis"):
        with redis.Redis.from_url(broker_url) as server:
            server.lpush(queue, *(message.envelope() for message in messages))
            server.lpush(queue, *malformed.MALFORMED_ENVELOPES.values(), *malformed.HARMLESS_ENVELOPES.values())
        return dropped + len(malformed.MALFORMED_ENVELOPES)
    compressed = messages[0]._replace(headers={"compression": "application/x-gzip"})
    with amqp.Connection("127.0.0.1:5672") as connection:
        for body, content_type, headers in [*messages, compressed]:
            properties = {"content_type": content_type, "application_headers": headers}
            kept = {name: value for name, value in properties.items() if value is not None}
            connection.channel().basic_publish(amqp.Message(body, **kept), routing_key=queue)
    return dropped + 1


@dataclass(frozen=True)
class Product:
    """A server on PostgreSQL and a broker, and a worker beside it."""

    client: Client
    worker: Process
    broker_url: str


@pytest.fixture(scope="class")
def product(tmp_path_factory: pytest.TempPathFactory, broker_url: str) -> Iterator[Product]:
    """One for the tests of a class, with each broker."""
    folder = tmp_path_factory.mktemp("one-worker")
    with postgres() as postgres_url:
        settings = {"GAPCAST_DATABASE_URL": postgres_url, "GAPCAST_BROKER_URL": broker_url}
        with serving(folder, settings) as (client, _), working(folder, settings, "worker") as worker:
            yield Product(client, worker, broker_url)


class TestOneWorker:
    """What a worker beside the server does; each test asks for a probe of its own."""

    def test_a_probe_does_not_wait_behind_a_training_run(self, product: Product, configuration: Body) -> None:
        client = product.client
        run = starts(client)
        not_held_up(client, configuration, run)
        client.training_runs.cancel(run["id"])

    def test_a_worker_drops_malformed_messages_and_goes_on(self, product: Product, configuration: Body) -> None:
        client, worker = product.client, product.worker
        assert "message dropped" not in worker.text  # the next test sends some
        expected = sum(publish(product.broker_url, broker_queue(queue)) for queue in QUEUES)
        created = client.predictions.create(of_seed(configuration, 2))
        assert ended(client, created).status == "succeeded"
        eventually(lambda: worker.text.count("message dropped") == expected, known=lambda: worker.text)
        assert worker.process.poll() is None
        assert "Traceback" not in worker.text

    def test_a_message_that_names_no_job_does_no_harm(self, product: Product, configuration: Body) -> None:
        from service.jobs.broker import Dispatcher
        from service.settings import Settings

        client = product.client
        dispatcher = Dispatcher(Settings(broker_url=product.broker_url))
        created = client.predictions.create(of_seed(configuration, 1))
        forged = [f"job_{uuid.uuid4().hex}", "'; DROP TABLE jobs; --", *[created.id] * 3]
        dispatcher.wake((queue, job_id) for queue in QUEUES for job_id in forged)
        assert ended(client, created).status == "succeeded"


def of_seed(configuration: Body, seed: int) -> Body:
    """Return a configuration whose rollouts are its own."""
    return configuration | {"probe": configuration["probe"] | {"seed": seed}}


def test_the_same_question_from_many_at_once_is_one_job(tmp_path: Path, configuration: Body, postgres_url: str) -> None:
    need("127.0.0.1", 6379, "Redis")
    settings = {"GAPCAST_DATABASE_URL": postgres_url, "GAPCAST_BROKER_URL": "redis://127.0.0.1:6379/9"}
    with serving(tmp_path, settings) as (client, _):
        made: list[Prediction] = []

        def post() -> None:
            with Client(client.url) as own:
                made.append(own.predictions.create(configuration))

        threads = [threading.Thread(target=post) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        probes = {one.probe_id for one in made}
        assert len(made) == 12
        assert len({one.id for one in made}) == 12
        assert len(probes) == 1


def test_servers_on_shared_services_share_a_folder_and_end_with_ctrl_c(tmp_path: Path, postgres_url: str) -> None:
    need("127.0.0.1", 6379, "Redis")
    secret = "not-to-be-shown"
    settings = {
        "GAPCAST_DATABASE_URL": f"{postgres_url}?password={secret}",  # the test's server asks for none
        "GAPCAST_BROKER_URL": "redis://127.0.0.1:6379/8",
        "GAPCAST_API_WORKERS": "2",
        "GAPCAST_DATA_DIR": str(tmp_path / "data"),
        "GAPCAST_PORT": "0",
    }
    with serving(tmp_path, settings) as (client, first):
        second = Terminal([GAPCAST, "serve"], settings)
        try:
            shown = second.until("Ctrl-C stops it.\n")
            lines = dict(line.split(maxsplit=1) for line in shown.splitlines()[1:])
            assert lines["database"] == f"postgresql on 127.0.0.1:5432, {postgres_url.rsplit('/', 1)[1]}"
            assert lines["queue"] == "redis on 127.0.0.1:6379, 8"
            assert lines["worker"] == "none started here; `gapcast worker` with the same settings starts one"
            with Client(shown.split(" listens on ")[1].split()[0]) as other:
                for asked in (client, other):
                    assert eventually(partial(answers, asked))
            second.interrupt()
            assert second.ended() == 0
            assert second.text.removeprefix(shown) == "^C\nGapcast is stopping.\n"
        finally:
            second.close()
    assert first.text.endswith("\nGapcast is stopping.\n")
    assert secret not in first.text + second.text


def test_a_killed_server_leaves_no_process_and_its_port_is_free(tmp_path: Path, postgres_url: str) -> None:
    need("127.0.0.1", 6379, "Redis")
    settings = {
        "GAPCAST_DATABASE_URL": postgres_url,
        "GAPCAST_BROKER_URL": "redis://127.0.0.1:6379/8",
        "GAPCAST_API_WORKERS": "3",
        "GAPCAST_WORKER": "on",
    }
    with serving(tmp_path, settings) as (client, server):
        begun = children_of(server.process.pid)
        assert len(begun) >= 4  # three that answer, and a worker; multiprocessing may have one of its own
        server.process.kill()
        eventually(lambda: not any(map(alive, begun)), 20, known=lambda: [pid for pid in begun if alive(pid)])
        port = client.url.rpartition(":")[2]
    with serving(tmp_path, settings | {"GAPCAST_PORT": port}) as (client, _):
        assert client.url.endswith(f":{port}")


def answers(client: Client) -> bool:
    try:
        return bool(client.health.ready())
    except GapcastError:
        return False
