import uuid
from collections.abc import Callable
from typing import Any

import pytest

from gapcast import Client, GapcastError, TrainingRun

Asked = dict[str, Any]


@pytest.fixture
def asked(pool: str) -> Asked:
    """A run that nobody has asked for; there is no worker, so it waits."""
    return {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": {"kind": "hints"},
        "recipe": {"steps": 4},
        "probe": {"rollouts": 2},
        "pool": pool,
    }


@pytest.fixture
def group(connected: Client, asked: Asked) -> list[TrainingRun]:
    return connected.training_runs.create_group(asked | {"seeds": [4, 7, 9]})


def test_one_seed_is_one_run(connected: Client, asked: Asked, pool: str) -> None:
    run = connected.training_runs.create(asked | {"training": {"export": "none", "held_out_problems": 3}})
    assert (run.status, run.ended, run.seed, run.group_id, run.pool) == ("queued", False, 0, None, pool)
    assert run.configuration.held_out_problems == 3
    assert (run.gap, run.improvement, run.predicted, run.observation_id, run.evaluations) == (None,) * 5
    assert connected.training_runs.get(run.id) == run
    assert connected.training_runs.get(run.id, wait=1).status == "queued"


def test_several_seeds_are_a_group(connected: Client, group: list[TrainingRun]) -> None:
    assert [one.seed for one in group] == [4, 7, 9]
    (group_id,) = {one.group_id for one in group}
    assert group_id is not None
    ids = [one.id for one in group][::-1]
    assert [one.id for one in connected.training_runs.list(group_id=group_id)] == ids
    assert [one.id for one in connected.training_runs.list(limit=2, group_id=group_id).data] == ids[:2]
    assert [one.id for one in connected.training_runs.list(limit=2, after=ids[1], group_id=group_id).data] == ids[2:]


def test_several_seeds_are_not_one_run(connected: Client, asked: Asked) -> None:
    with pytest.raises(ValueError, match="create_group"):
        connected.training_runs.create(asked | {"seeds": [4, 7]})
    assert connected.training_runs.list(prediction_id="pred_nosuch").data == []


def test_the_same_seed_is_refused_and_nothing_is_queued(connected: Client, asked: Asked) -> None:
    first = connected.training_runs.create(asked | {"seeds": [7]})
    with pytest.raises(GapcastError, match=first.id) as refused:
        connected.training_runs.create_group(asked | {"seeds": [6, 7]})
    assert (refused.value.status, refused.value.code, refused.value.param) == (409, "duplicate_run", "seeds")
    connected.training_runs.cancel(first.id)
    both = connected.training_runs.create_group(asked | {"seeds": [6, 7]})
    assert [one.status for one in both] == ["queued", "queued"]


def test_a_run_is_paused_resumed_and_cancelled(connected: Client, asked: Asked) -> None:
    run = connected.training_runs.create(asked)
    assert connected.training_runs.pause(run.id).status == "paused"
    assert run.id in [one.id for one in connected.training_runs.list(status="paused")]
    with pytest.raises(GapcastError, match="paused already") as refused:
        connected.training_runs.pause(run.id)
    assert refused.value.code == "conflict"
    assert connected.training_runs.resume(run.id).status == "queued"
    cancelled = connected.training_runs.cancel(run.id)
    assert (cancelled.status, cancelled.ended) == ("cancelled", True)
    types = [event.type for event in connected.training_runs.events(run.id)]
    assert types[0] == "training_run.created"
    assert types[-1] == "training_run.cancelled"
    assert [one for one in types if one in {"job.paused", "job.resumed"}] == ["job.paused", "job.resumed"]


def test_several_runs_are_followed_to_the_end_of_the_last(connected: Client, group: list[TrainingRun]) -> None:
    first, *others = group
    connected.training_runs.cancel(first.id)
    happened: list[tuple[str, str]] = []
    for run_id, event in connected.training_runs.follow([one.id for one in group]):
        happened.append((run_id, event.type))
        if (run_id, event.type) == (first.id, "training_run.cancelled"):
            for one in others:
                connected.training_runs.cancel(one.id)
    assert {run_id for run_id, kind in happened if kind == "training_run.cancelled"} == {one.id for one in group}
    assert {run_id for run_id, kind in happened if kind == "training_run.created"} == {one.id for one in group}


def test_following_no_run_ends_at_once(connected: Client) -> None:
    assert list(connected.training_runs.follow([])) == []


def test_a_run_that_cannot_be_followed_is_told(connected: Client, group: list[TrainingRun]) -> None:
    with pytest.raises(GapcastError, match="run_nosuch") as refused:
        list(connected.training_runs.follow([group[0].id, "run_nosuch"]))
    assert refused.value.status == 404


def test_an_answer_that_breaks_off_is_asked_for_again(
    relay: Callable[..., Any], connected: Client, asked: Asked
) -> None:
    run = connected.training_runs.create(asked)
    connected.training_runs.cancel(run.id)
    between = relay(0, 300)  # nothing, then a part of the first answer
    with Client(between.url) as client:
        seen = [event for _, event in client.training_runs.follow([run.id])]
    assert between.connections == 3
    assert seen == list(connected.training_runs.events(run.id))


def test_a_long_run_is_followed_page_by_page(connected: Client, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    run = connected.training_runs.create(asked)
    for _ in range(3):
        connected.training_runs.pause(run.id)
        connected.training_runs.resume(run.id)
    connected.training_runs.cancel(run.id)
    monkeypatch.setattr("gapcast.client.sync.connection.MOST_EVENTS", 3)
    seen = [event for _, event in connected.training_runs.follow([run.id])]
    assert seen == list(connected.training_runs.events(run.id))


def test_no_checkpoint_before_a_worker_wrote_one(connected: Client, asked: Asked) -> None:
    assert connected.training_runs.checkpoints(connected.training_runs.create(asked).id).data == []


def test_a_post_whose_answer_is_lost_is_repeated(connected: Client, relay: Callable[..., Any], asked: Asked) -> None:
    between = relay(0)
    with Client(between.url) as client:
        runs = client.training_runs.create_group(asked | {"seeds": [1, 2]})
    assert between.connections == 2
    assert [one.seed for one in runs] == [1, 2]
    assert connected.training_runs.get(runs[0].id).group_id == runs[1].group_id


def test_the_same_key_is_the_same_runs(connected: Client, asked: Asked) -> None:
    key = uuid.uuid4().hex
    first, again = (connected.training_runs.create(asked, idempotency_key=key) for _ in range(2))
    assert again.id == first.id


def test_an_unknown_run_is_refused(connected: Client) -> None:
    for read in (
        connected.training_runs.get,
        connected.training_runs.pause,
        connected.training_runs.resume,
        connected.training_runs.cancel,
        connected.training_runs.checkpoints,
        lambda one: list(connected.training_runs.events(one)),
    ):
        with pytest.raises(GapcastError, match="run_nosuch") as refused:
            read("run_nosuch")
        assert refused.value.status == 404


def test_a_mistyped_filter_is_no_filter(connected: Client) -> None:
    with pytest.raises(TypeError, match=r"^state: .*status"):
        connected.training_runs.list(state="paused")  # type: ignore[call-arg]


def test_what_does_not_fit_is_named(connected: Client, asked: Asked) -> None:
    with pytest.raises(GapcastError) as refused:
        connected.training_runs.create(asked | {"training": {"export": "last"}})
    assert refused.value.param == "training.export"
