"""Stored rollouts: who wants them, within which bounds, and what becomes of the old ones."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from gapcast.contract.lists import SampleQuery
from gapcast.contract.samples import Sample, SampleMessage
from service.jobs import repository as jobs
from service.kit.database import Database
from service.probes import repository as probes
from service.samples import repository
from service.samples import service as samples
from service.samples.models import StoredSample
from service.settings import Settings

HOSTILE = "a\x00b\ud800\x1b[2J\u202eevil"


def sample(arm: str, score: float, problem: str = "p0", rollout: int = 0, **change: Any) -> Sample:
    fields = {"problem_id": problem, "rollout": rollout, "arm": arm, "prompt": "1+1=", "completion": "2"}
    return Sample.model_validate(fields | {"score": score} | change)


def problem(name: str, student: float = 0, teacher: float = 1) -> list[Sample]:
    """One rollout of two arms."""
    return [sample("student", student, name), sample("context", teacher, name, context="2", prompt="2\n1+1=")]


@pytest.fixture
def stored(database: Database) -> Database:
    """A database with three probes of one tenant, the oldest first."""
    with database.write() as session:
        for name in ("probe_1", "probe_2", "probe_3"):
            job = jobs.add(session, tenant="local", kind="probe", queue="probes", subject_id=name)
            values = {"id": name, "tenant": "local", "key": name, "configuration": {}, "job_id": job.id}
            probes.add(session, values)
    return database


def keep(database: Database, probe_id: str, given: list[Sample], settings: Settings, *, afresh: bool = True) -> None:
    with database.write() as session:
        samples.store(session, "local", probe_id, given, settings, afresh=afresh)


def ids(database: Database, probe_id: str, **wanted: Any) -> list[str]:
    """The problems that are stored."""
    with database.read() as session:
        page = samples.page(session, probe_id, SampleQuery(**wanted))
        known = samples.stored(session, probe_id)
    if not wanted:
        assert known.count == len(page.data)
        assert (known.reason is None) == bool(page.data)
    return [one.problem_id for one in page.data]


def test_flips_are_pairs_of_one_number_and_lists_are_narrowed(stored: Database, settings: Settings) -> None:
    given = [
        *(*problem("gained"), sample("placebo", 1, "gained")),
        *problem("lost", 1, 0),
        *problem("both", 1, 1),
        *(sample("student", 0, "crossed", 0), sample("context", 0.5, "crossed", 0)),
        *(sample("context", 1, "crossed", 1), sample("placebo", 1, "crossed", 0)),
    ]
    keep(stored, "probe_1", given, settings)
    assert ids(stored, "probe_1") == [one.problem_id for one in given]
    assert ids(stored, "probe_1", flip="gained") == ["gained"] * 2
    assert ids(stored, "probe_1", flip="lost") == ["lost"] * 2
    assert ids(stored, "probe_1", arm="student", max_score=0.4) == ["gained", "crossed"]
    assert ids(stored, "probe_1", arm="context", min_score=0.5) == ["gained", "both", "crossed", "crossed"]
    assert ids(stored, "probe_1", problem_id="both", order="desc") == ["both"] * 2
    with stored.read() as session:
        first = samples.page(session, "probe_1", SampleQuery(limit=3))
        rest = samples.page(session, "probe_1", SampleQuery(limit=100, after=first.last_id))
    assert first.has_more
    assert [*first.data, *rest.data] == sorted([*first.data, *rest.data], key=lambda one: one.id)
    assert len(first.data) + len(rest.data) == len(given)
    assert ids(stored, "probe_2") == []


def test_a_probe_is_bounded_and_its_texts_are(stored: Database, settings: Settings) -> None:
    settings.samples_per_probe = 5
    given = [one for number in range(4) for one in problem(f"p{number}")]
    keep(stored, "probe_1", given, settings)
    assert ids(stored, "probe_1") == ["p0", "p0", "p1", "p1"], "whole problems, the first"
    keep(stored, "probe_1", problem("more"), settings, afresh=False)
    assert len(ids(stored, "probe_1")) == 4
    keep(stored, "probe_1", problem("again"), settings)
    assert ids(stored, "probe_1") == ["again", "again"], "a second attempt replaces the first"
    long = HOSTILE + "x" * 100_000 + "end"
    chat = [SampleMessage(role="user", content="y" * 9000) for _ in range(3)]
    keep(stored, "probe_1", [sample("student", 1, completion=long, answer=long, prompt=chat)], settings)
    with stored.read() as session:
        (shown,) = samples.page(session, "probe_1", SampleQuery()).data
        assert samples.stored(session, "probe_1").bytes == session.query(StoredSample).one().sample.size < 40_000
    assert shown.truncated == {"completion": len(long), "answer": len(long), "prompt": 27_000}
    assert shown.completion.startswith("a\ufffdb\ufffd\x1b[2J\u202eevil")
    assert shown.completion.endswith("xend")
    assert len(shown.completion) <= settings.sample_characters
    assert len(shown.question) < settings.sample_characters + 100
    settings.samples_per_probe, settings.samples_probe_bytes = 512, 2000
    keep(stored, "probe_2", [one for number in range(99) for one in problem(f"p{number}")], settings)
    with stored.read() as session:
        assert 1000 < samples.stored(session, "probe_2").bytes <= 2000


def test_the_store_is_bounded_by_its_oldest_probes(stored: Database, settings: Settings) -> None:
    given = [one for number in range(9) for one in problem(f"p{number}")]
    size = sum(one.size for one in given)
    settings.samples_bytes = 2 * size
    for name in ("probe_1", "probe_2"):
        keep(stored, name, given, settings)
    assert [len(ids(stored, name)) for name in ("probe_1", "probe_2")] == [18, 18]
    keep(stored, "probe_3", given, settings)
    assert [len(ids(stored, name)) for name in ("probe_1", "probe_2", "probe_3")] == [0, 18, 18]
    with stored.read() as session:
        assert samples.stored(session, "probe_1").reason == "evicted"
        assert samples.storage(session, "local", settings).bytes == 2 * size
        assert session.query(StoredSample).count() == 36


def test_nothing_is_stored_for_those_who_say_so(stored: Database, settings: Settings) -> None:
    keep(stored, "probe_1", problem("p0"), settings)
    with stored.write() as session:
        samples.refuse(session, "local", "probe_1")
    keep(stored, "probe_1", problem("p0"), settings)
    assert ids(stored, "probe_1") == []
    with stored.read() as session:
        assert samples.stored(session, "probe_1").reason == "request"
        assert not samples.wanted(session, "local", "probe_1", settings)
    keep(stored, "probe_2", problem("p0"), settings)
    with stored.write() as session:
        samples.set_storage(session, "local", store=False)
        assert not samples.wanted(session, "local", "probe_3", settings)
        assert samples.wanted(session, "another", "probe_3", settings)
    keep(stored, "probe_3", problem("p0"), settings)
    assert [ids(stored, name) for name in ("probe_2", "probe_3")] == [[], []]
    with stored.write() as session:
        samples.set_storage(session, "local", store=True)
    settings.samples_per_probe = 0
    keep(stored, "probe_3", problem("p0"), settings)
    assert ids(stored, "probe_3") == []
    settings.samples_per_probe = 2
    keep(stored, "probe_3", problem("p0"), settings)
    assert ids(stored, "probe_3") == ["p0", "p0"]


def test_an_error_of_the_database_does_not_show_what_was_to_be_written(stored: Database) -> None:
    row = {"probe_id": "probe_1", "tenant": "local", "arm": "student", "problem_id": "p", "score": 1}
    secret = StoredSample(id="sample_1", sample=sample("student", 1, completion="a secret"), **row)
    with stored.read() as session, pytest.raises(IntegrityError) as raised:
        repository.add_all(session, [secret])
    assert "INSERT INTO samples" in str(raised.value)
    assert "secret" not in str(raised.value)
