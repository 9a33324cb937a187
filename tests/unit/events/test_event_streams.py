"""Streams are woken by one poller: by what is for them, whatever the order of commits, and by nothing else."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gapcast.contract.events import JobStarted
from service.errors import TooManyStreams
from service.events import repository, watching
from service.events.watching import Watcher, Watching
from service.kit.database import Database

EVENT = JobStarted(attempt=1, worker="w")


def write(database: Database, *subjects: str, tenant: str = "local") -> None:
    with database.write() as session:
        for subject in subjects:
            repository.add(session, tenant, subject, EVENT)


def played(play: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(play(), 30))


async def settled(*watchers: Watcher) -> None:
    """Wait for the first wake, which every stream gets."""
    for watcher in watchers:
        assert await watcher.wait(10)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SOON", 0.02)
    monkeypatch.setattr(watching, "LATER", 0.05)


class TestWaking:
    def test_a_stream_is_woken_by_its_own_events_alone(self, database: Database) -> None:
        streams = Watching(database, 10)

        async def play() -> None:
            local, other = streams.watch("local", ["a"]), streams.watch("other", None)
            with local as mine, other as foreign, streams.watch("local", None) as every:
                await settled(mine, foreign, every)
                write(database, "b")
                assert await every.wait(10)
                assert not await mine.wait(0.3)
                write(database, "a")
                assert await mine.wait(10)
                assert not await foreign.wait(0.3)

        played(play)

    def test_an_event_that_is_committed_after_one_with_a_higher_id_wakes_too(self, database: Database) -> None:
        if database.is_sqlite:
            pytest.skip("there is one writer at a time")
        streams = Watching(database, 10)

        async def play() -> None:
            with streams.watch("local", ["late"]) as late, streams.watch("local", ["early"]) as early:
                await settled(late, early)
                with database.write() as session:
                    repository.add(session, "local", "late", EVENT)
                    session.flush()  # has its id
                    write(database, "early")
                    assert await early.wait(10)
                    assert not await late.wait(0.2)
                assert await late.wait(10)

        played(play)

    def test_a_database_that_is_away_is_asked_again(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        streams, there = Watching(database, 10), repository.written_after

        async def play() -> None:
            with streams.watch("local", ["a"]) as mine:
                await settled(mine)
                monkeypatch.setattr(repository, "written_after", None)
                await asyncio.sleep(0.2)
                write(database, "a")
                monkeypatch.setattr(repository, "written_after", there)
                assert await mine.wait(10)

        played(play)


def test_nobody_polls_for_nobody(database: Database) -> None:
    streams = Watching(database, 10)

    async def play() -> None:
        with streams.watch("local", ["a"]) as mine:
            await settled(mine)
        await asyncio.sleep(0.2)
        assert not [task for task in asyncio.all_tasks() if "Watching._poll" in repr(task.get_coro())]

    played(play)


def test_a_tenant_has_a_number_of_streams(database: Database) -> None:
    streams = Watching(database, 2)

    async def play() -> None:
        with streams.watch("local", None):
            with streams.watch("local", ["a"]):
                with pytest.raises(TooManyStreams, match="2 streams of events are open"):
                    streams.require_place("local")
                streams.require_place("other")
            streams.require_place("local")

    played(play)
