"""A request is a mapping, an object of the contract, keyword arguments, or the first with some of the last."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gapcast import AsyncClient, Client, Event, GapcastError, Prediction
from gapcast.client.aio.tasks import FileBody, opened
from gapcast.contract.contexts import HintsContext
from gapcast.contract.measured import ModelRef
from gapcast.contract.predictions import GivenGap, PredictionRequest
from tests.support.scripted import Answer, scripted

Row = dict[str, Any]
GAP = {"value": 0.2, "se": 0.02, "student": 0.4}


@pytest.fixture
def asked(connected: Client, pool: str, row: Row) -> Row:
    connected.observations.create([row], pool)
    model = {"name": "Qwen3-8B", "family": "qwen3"}
    return {"model": model, "task": "livecodebench", "pool": pool, "context": {"kind": "feedback"}, "gap": GAP}


def figures(prediction: Prediction) -> tuple[Any, ...]:
    return (prediction.request, prediction.gap, prediction.improvement, prediction.verdict)


def test_one_request_in_four_forms(connected: Client, asked: Row) -> None:
    first = connected.predictions.create(asked)
    assert first.status == "succeeded"
    contract = PredictionRequest.model_validate(asked)
    parts = asked | {"model": ModelRef(**asked["model"]), "gap": GivenGap(**GAP)}
    for again in (
        connected.predictions.create(contract),
        connected.predictions.create(**asked),
        connected.predictions.create(**parts),
        connected.predictions.create(asked | {"task": "another"}, task="livecodebench"),
        connected.predictions.create(first.request),
    ):
        assert figures(again) == figures(first)
    other = connected.predictions.create(first.request, min_gain=0.9, levels=(0.5,))
    assert (other.request.min_gain, other.request.levels, other.verdict) == (0.9, [0.5], "skip")


def test_what_an_object_of_the_contract_leaves_out_is_left_out() -> None:
    request = PredictionRequest(model=ModelRef(name="x"), task="t", context=HintsContext(kind="hints"))
    with scripted(Answer({})) as server, Client(server.url) as client:
        with pytest.raises(GapcastError):
            client.predictions.create(request)
        body = json.loads(server.asked[0].body)
    assert body.keys() == {"model", "task", "context", "probe"}
    assert (body["model"], body["context"]["kind"]) == ({"name": "x"}, "hints")


def test_names_tags_and_the_filters_that_find_them(connected: Client, asked: Row) -> None:
    made = connected.predictions.create(asked, name="first", tags=["a", "b"])
    connected.predictions.create(asked, tags=["a"])
    predictions = connected.predictions
    pool = asked["pool"]
    assert [one.id for one in predictions.list(pool=pool, tag=["a", "b"])] == [made.id]
    assert len(list(predictions.list(pool=pool, tag="a"))) == 2
    for found in (
        predictions.list(pool=pool, name="first"),
        predictions.list(id_prefix=made.id[:-2], name="first"),
        predictions.list(pool=pool, name="first", status="succeeded", verdict=made.verdict, model="Qwen3-8B"),  # type: ignore[arg-type]
    ):
        assert [one.id for one in found] == [made.id]
    assert predictions.list(pool=pool, name="second").data == []
    with pytest.raises(TypeError, match="'pool'"):
        predictions.list(pol=pool)  # type: ignore[call-arg]


def test_rows_get_the_tags_of_their_import(connected: Client, pool: str, row: Row, tmp_path: Path) -> None:
    connected.observations.create([row | {"tags": ["own"]}], pool, tags=["sweep", "may"])
    assert connected.observations.list(pool=pool).data[0].tags == ["own", "sweep", "may"]
    connected.observations.create([row | {"baseline": 0.3}], pool)
    file = connected.observations.export_file(tmp_path / "x.ndjson", pool=pool, tag="own")
    assert file.read_text().count("\n") == 1
    (tmp_path / "y.json").write_text(json.dumps({"observations": [row | {"baseline": 0.2}]}))
    (stored,) = connected.observations.import_file(tmp_path / "y.json", pool, tags=["again"]).ids
    assert [one.id for one in connected.observations.list(pool=pool, tag="again")] == [stored]


def test_an_observation_is_given_its_prediction(connected: Client, asked: Row, row: Row) -> None:
    prediction = connected.predictions.create(asked)
    (stored,) = connected.observations.create([row], asked["pool"]).ids
    assert connected.observations.set_prediction(stored, prediction.id).prediction_id == prediction.id


def test_pools_fits_and_events_are_read(connected: Client, pool: str, row: Row) -> None:
    connected.observations.create([row], pool)
    fit = connected.fits.create(pool)
    assert connected.pools.get(pool).fit_id == fit.id
    assert [one.id for one in connected.fits.list(pool=pool)] == [fit.id]
    assert [one.id for one in connected.fits.list(id_prefix=fit.id)] == [fit.id]
    kinds = [one.type for one in connected.events.list(subject=fit.id)]
    assert "fit.created" in kinds
    assert connected.health.live().status == connected.health.ready().status == "ok"


class TestPages:
    def test_a_page_reads_the_following_ones_as_they_are_asked_for(self) -> None:
        def page(*numbers: int, more: bool) -> Answer:
            rows = [
                {"id": str(one), "type": "t", "data": {"n": one}, "created_at": "2026-01-01T00:00:00Z"}
                for one in numbers
            ]
            return Answer({"object": "list", "data": rows, "last_id": str(numbers[-1]), "has_more": more})

        with scripted(page(1, 2, more=True), page(3, more=False)) as server, Client(server.url) as client:
            first = client.events.list(type="t", limit=2)
            assert repr(first) == "<page of 2 x EventOut, and more on the next page>"
            items = iter(first)
            assert [next(items).id, next(items).id] == ["1", "2"]
            assert len(server.asked) == 1
            assert [one.id for one in items] == ["3"]
            second = first.next_page()
            assert second is not None
            assert (second.has_more, second.next_page()) == (False, None)
        assert server.asked[1].path == "/v1/events?type=t&limit=2&after=2"

    def test_all_pages_are_one_table(self, connected: Client, pool: str, row: Row) -> None:
        connected.observations.create([row | {"external_id": str(one)} for one in range(5)], pool)
        table = connected.observations.list(limit=2, pool=pool, order="asc").to_dataframe()
        assert list(table["external_id"]) == ["0", "1", "2", "3", "4"]
        assert set(table["gap.value"]) == {0.2}

    def test_without_pandas_the_way_to_it_is_named(self, connected: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="pip install pandas"):
            connected.models.list().to_dataframe()


class TestAsynchronously:
    def test_a_run_from_its_rows_to_its_events(self, server: str, pool: str, row: Row, tmp_path: Path) -> None:
        async def use() -> None:
            async with AsyncClient(server) as client:
                rows = [row | {"external_id": str(one)} for one in range(5)]
                ids = (await client.observations.create(rows, pool)).ids
                page = await client.observations.list(limit=2, pool=pool, order="asc")
                assert [one.id async for one in page] == ids
                assert len(await page.to_dataframe()) == 5
                file = await client.observations.export_file(tmp_path / "runs.csv", pool=pool)
                assert (await client.observations.import_file(file)).existing == 5
                fit = await client.fits.current(pool)
                assert (fit.n, len((await client.fits.curve(fit.id, "qwen3", points=3)).gap)) == (5, 3)
                probe = await client.probes.create(
                    model={"name": "lab/addition-qwen3-s"},
                    task="lab/addition",
                    context={"kind": "hints"},
                    probe={"problems": 16, "rollouts": 2, "seed": int(pool[5:13], 16)},
                )
                await client.probes.cancel(probe.id)
                events: list[Event] = [one async for one in client.probes.events(probe.id)]
                assert "probe.cancel_requested" in {one.type for one in events}
                with pytest.raises(GapcastError, match="probe_nosuch"):
                    await client.probes.get("probe_nosuch")

        asyncio.run(use())

    def test_a_task_is_sent_from_its_file(self, server: str, pool: str, tmp_path: Path) -> None:
        file = tmp_path / "sums.jsonl"
        file.write_text("".join(json.dumps({"prompt": f"{n}+0=", "answer": str(n)}) + "\n" for n in range(4000)))
        with opened(file) as content:
            assert FileBody(content).size > 1 << 16

        async def use() -> int:
            async with AsyncClient(server) as client:
                task = await client.tasks.create(file, f"mine/{pool}", "exact", accept=True)
                problems = await client.tasks.problems(task.name, limit=3)
                assert [one.number for one in problems.data] == [1, 2, 3]
                return task.train_problems

        assert asyncio.run(use()) == 4000

    def test_several_runs_are_followed_together(self, server: str, pool: str) -> None:
        async def use() -> set[str]:
            async with AsyncClient(server) as client:
                runs = await client.training_runs.create_group(
                    model={"name": "lab/addition-qwen3-s"},
                    task="lab/addition",
                    context={"kind": "hints"},
                    recipe={"steps": 4},
                    pool=pool,
                    seeds=[1, 2],
                )
                for run in runs:
                    await client.training_runs.cancel(run.id)
                followed = client.training_runs.follow([run.id for run in runs])
                ended = {run_id async for run_id, event in followed if event.type == "training_run.cancelled"}
                assert ended == {run.id for run in runs}
                return ended

        assert len(asyncio.run(use())) == 2
