import uuid
from collections.abc import Callable
from typing import Any

import pytest

from gapcast import Client, GapcastError

Asked = dict[str, Any]


@pytest.fixture
def asked() -> Asked:
    """A probe that nobody has asked for; there is no worker, so it waits."""
    seed = uuid.uuid4().int % 2**32
    return {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints"},
        "probe": {"problems": 16, "rollouts": 2, "seed": seed},
    }


def test_the_same_configuration_is_one_probe(connected: Client, asked: Asked) -> None:
    first = connected.probes.create(asked)
    assert (first.status, first.ended, first.result, first.partial) == ("queued", False, None, None)
    assert first.configuration.problems == 16
    assert connected.probes.create(asked).id == first.id
    other = connected.probes.create(asked | {"target_gap_half_width": 0.5})
    assert other.id != first.id
    assert connected.probes.get(first.id).key == first.key


def test_waiting_ends_when_the_time_is_over(connected: Client, asked: Asked) -> None:
    created = connected.probes.create(asked, wait=1)
    assert created.status == connected.probes.get(created.id, wait=1).status == "queued"


def test_a_cancelled_probe_has_ended_and_is_measured_when_it_is_asked_for_again(
    connected: Client, asked: Asked
) -> None:
    created = connected.probes.create(asked)
    prediction = connected.predictions.create(asked)
    assert connected.probes.cancel(created.id).status == "cancelled"
    assert connected.predictions.get(prediction.id).status == "cancelled"
    assert "probe.cancel_requested" in [event.type for event in connected.probes.events(created.id)]
    with pytest.raises(GapcastError) as refused:
        connected.probes.cancel(created.id)
    assert refused.value.code == "conflict"
    again = connected.probes.create(asked)
    assert (again.id, again.status) == (created.id, "queued")


def test_probes_are_listed_newest_first(connected: Client, asked: Asked) -> None:
    seed = asked["probe"]["seed"]
    sizes = [{"problems": 16, "seed": (seed + n) % 2**32} for n in range(3)]
    ids = [connected.probes.create(asked, probe=size).id for size in sizes]
    assert [one.id for one in connected.probes.list(limit=3).data] == ids[::-1]
    assert [one.id for one in connected.probes.list(limit=2, after=ids[2]).data] == [ids[1], ids[0]]


def test_a_post_whose_answer_is_lost_is_repeated(connected: Client, relay: Callable[..., Any], asked: Asked) -> None:
    between = relay(0)
    with Client(between.url) as client:
        created = client.probes.create(asked)
    assert between.connections == 2
    assert connected.probes.get(created.id).id == created.id


def test_an_unknown_probe_is_refused(connected: Client) -> None:
    for read in (connected.probes.get, connected.probes.cancel, lambda one: list(connected.probes.events(one))):
        with pytest.raises(GapcastError, match="probe_nosuch") as refused:
            read("probe_nosuch")
        assert refused.value.status == 404


def test_what_does_not_fit_is_named(connected: Client, asked: Asked) -> None:
    with pytest.raises(GapcastError) as refused:
        connected.probes.create(asked | {"context": {"kind": "hints", "options": {"level": 9}}})
    assert refused.value.param == "context.options.level"
