"""What dies in the middle is done all the same, once."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from gapcast import Client, Event, GapcastError, Prediction
from tests.support.product import (
    GAPCAST,
    QUICK,
    alive,
    ask,
    children_of,
    ended,
    environment,
    eventually,
    serving,
    working,
)

pytestmark = pytest.mark.slow

Body = dict[str, Any]

LONG = {"probe": {"problems": 96, "rollouts": 24}}
"""A probe of some seconds, so that there is a middle: it reports before its first rollout, and after 32 problems."""


LONGER = {"probe": {"problems": 256, "rollouts": 32}}
"""A probe that is not done within the few seconds in which a server stops."""


def events(client: Client, prediction: Prediction) -> list[Event]:
    page = ask(client, "GET", f"/v1/predictions/{prediction.id}/events", params={"limit": 500})
    return [Event.model_validate(one) for one in page["data"]]


def wait_for(client: Client, prediction: Prediction, kind: str) -> None:
    eventually(lambda: any(one.type == kind for one in events(client, prediction)), 60)


def check_once(client: Client, prediction: Prediction) -> None:
    told = [one.type for one in events(client, prediction)]
    assert told.count("prediction.succeeded") == 1
    assert told.count("job.succeeded") == 1


def test_a_worker_killed_in_the_middle_of_a_probe(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, {}) as (client, server):
        created = client.predictions.create(configuration | LONG)
        wait_for(client, created, "probe.progress")
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        child = children_of(worker)[0]
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not alive(child), 10)
        done = ended(client, created)
        assert done.status == "succeeded"
        started = [one for one in events(client, created) if one.type == "job.started"]
        assert [one.data["attempt"] for one in started] == [1, 2]
        check_once(client, created)


def test_a_child_killed_in_the_middle_of_a_probe(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, QUICK) as (client, server):
        created = client.predictions.create(configuration | LONG)
        wait_for(client, created, "probe.progress")
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        os.kill(children_of(worker)[0], signal.SIGKILL)
        assert ended(client, created).status == "succeeded"
        assert any(one.type == "job.retrying" for one in events(client, created))
        check_once(client, created)


def test_what_was_sampled_before_a_kill_is_not_sampled_again(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, QUICK) as (client, server):
        created = client.predictions.create(configuration | LONG)
        eventually(
            lambda: any(one.type == "probe.progress" and one.data["problems"] for one in events(client, created)), 60
        )
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        os.kill(children_of(worker)[0], signal.SIGKILL)
        assert ended(client, created).status == "succeeded"
        probe = ask(client, "GET", f"/v1/probes/{created.probe_id}")["result"]
        cost = probe["cost"]
        assert cost["rollouts_reused"] >= 32 * 24 * 4  # at least the portion that was done
        assert cost["rollouts_drawn"] + cost["rollouts_reused"] == 96 * 24 * 4
        again = client.predictions.create(configuration | LONG | {"pool": "default"})  # the same probe
        assert again.probe_id == created.probe_id


def test_a_cancelled_probe_keeps_what_it_has_measured(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, QUICK) as (client, _):
        created = client.predictions.create(configuration | LONGER)
        eventually(
            lambda: any(one.type == "probe.progress" and one.data["problems"] for one in events(client, created)), 60
        )
        ask(client, "POST", f"/v1/probes/{created.probe_id}/cancel")
        assert ended(client, created).status == "cancelled"
        probe = ask(client, "GET", f"/v1/probes/{created.probe_id}")
        assert probe["status"] == "cancelled"
        problems = probe["partial"]["gap"]["problems"]
        assert 0 < problems < 256
        assert len(probe["partial"]["arms"]["context"]["counts"]) == problems


def test_a_frozen_worker_loses_its_lease_and_writes_nothing_when_it_wakes(tmp_path: Path, configuration: Body) -> None:
    settings = QUICK | {"GAPCAST_DATA_DIR": str(tmp_path / "data"), "GAPCAST_WORKER": "off"}
    with serving(tmp_path, settings) as (client, _), working(tmp_path, settings, "first") as first:
        created = client.predictions.create(configuration | LONG)
        wait_for(client, created, "probe.progress")
        os.kill(first.process.pid, signal.SIGSTOP)
        with working(tmp_path, settings, "second"):
            done = ended(client, created)
            assert done.status == "succeeded"
            os.kill(first.process.pid, signal.SIGCONT)
            eventually(lambda: "warning: lease lost job=" in first.text, 30)
        assert client.predictions.get(created.id) == done
        check_once(client, created)


def test_a_stopped_worker_hands_its_job_back_at_once(tmp_path: Path, configuration: Body) -> None:
    settings = {"GAPCAST_DATA_DIR": str(tmp_path / "data"), "GAPCAST_WORKER": "off"}
    with serving(tmp_path, settings) as (client, _):
        with working(tmp_path, settings, "first"):
            created = client.predictions.create(configuration | LONG)
            wait_for(client, created, "probe.progress")
        assert "job.handed_back" in [one.type for one in events(client, created)]
        with working(tmp_path, settings, "second"):
            # the lease is a minute: had the job not been handed back, this would be too early
            assert ended(client, created, 40).status == "succeeded"
        check_once(client, created)


def test_a_server_killed_takes_its_worker_along_and_the_next_one_finishes(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, QUICK) as (client, server):
        created = client.predictions.create(configuration | LONG)
        wait_for(client, created, "probe.progress")
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        os.kill(server.process.pid, signal.SIGKILL)
        eventually(lambda: not alive(worker), 10)
    with serving(tmp_path, QUICK) as (client, _):
        assert ended(client, created).status == "succeeded"
        check_once(client, created)


def test_a_server_that_is_stopped_hands_the_job_back_though_somebody_listens(
    tmp_path: Path, configuration: Body
) -> None:
    with serving(tmp_path, {}) as (client, server):
        created = client.predictions.create(configuration | LONGER)
        wait_for(client, created, "probe.progress")
        listening = threading.Thread(target=listen, args=(client, created), daemon=True)
        listening.start()
        time.sleep(0.5)
        started = children_of(server.process.pid)
        assert server.stop() == 0
        assert started
        assert not any(alive(pid) for pid in started)
    with serving(tmp_path, {}) as (client, _):
        assert "job.handed_back" in [one.type for one in events(client, created)]
        assert ended(client, created, 200).status == "succeeded"
        check_once(client, created)


def listen(client: Client, prediction: Prediction) -> None:
    """Hold an event stream open until the server ends it."""
    with suppress(GapcastError), Client(client.url) as own:
        for _ in own.predictions.events(prediction.id):
            pass


def test_a_demo_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    command = [GAPCAST, "demo", "--port", "0", "--data-dir", str(tmp_path / "d")]
    demo = subprocess.Popen(command, env=environment({}), stdout=subprocess.DEVNULL)
    try:
        server = eventually(lambda: children_of(demo.pid))[0]
        worker = eventually(lambda: children_of(server), 60)[0]
    finally:
        demo.kill()
        demo.wait()
    eventually(lambda: not alive(server) and not alive(worker), 10)


def test_cancel_stops_a_running_probe(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, QUICK) as (client, server):
        created = client.predictions.create(configuration | {"probe": {"problems": 512, "rollouts": 256}})
        wait_for(client, created, "probe.progress")
        worker = next(pid for pid in children_of(server.process.pid) if children_of(pid))
        child = children_of(worker)[0]
        assert client.predictions.cancel(created.id).status == "cancelled"
        eventually(lambda: not alive(child), 20)
        quick = client.predictions.create(configuration)
        assert ended(client, quick).status == "succeeded", "the worker goes on"


@pytest.mark.services
def test_a_database_that_goes_away_costs_nothing(tmp_path: Path, configuration: Body, postgres_url: str) -> None:
    settings = QUICK | {"GAPCAST_DATABASE_URL": postgres_url, "GAPCAST_LEASE_SECONDS": "30"}
    name = postgres_url.rsplit("/", 1)[1]
    admin = create_engine(postgres_url.rsplit("/", 1)[0] + "/postgres", isolation_level="AUTOCOMMIT")
    with serving(tmp_path, settings) as (client, _):
        created = client.predictions.create(configuration | LONG)
        wait_for(client, created, "probe.progress")
        with admin.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
            connection.execute(cut, {"name": name})
            time.sleep(4)
            with pytest.raises(GapcastError) as refused:
                client.predictions.get(created.id)
            assert refused.value.status == 503
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        assert ended(client, created).status == "succeeded"
        started = [one for one in events(client, created) if one.type == "job.started"]
        assert [one.data["attempt"] for one in started] == [1], "the attempt outlived the outage"
        check_once(client, created)
    admin.dispose()
