"""The memory that a worker's slots share: what fits runs, and nothing starves."""

from datetime import UTC, datetime, timedelta
from itertools import count

from gapcast.contract.needs import JobNeeds, Offer
from service.jobs.repository import Due
from workers.host.memory import Memory

NUMBERS = count()


def job(gigabytes: float | None) -> Due:
    """A job that is younger than those before it."""
    number = next(NUMBERS)
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Due(f"job_{number}", JobNeeds(memory_gb=gigabytes), at)


def test_as_many_run_as_fit() -> None:
    memory = Memory(Offer(memory_gb=80))
    first, second, third = job(40), job(30), job(20)
    assert memory.take("probes", first)
    assert memory.take("probes", second)
    assert not memory.take("probes", third)
    memory.give(first.id)
    assert memory.take("probes", third)


def test_a_slot_that_comes_too_late_for_a_job_gives_nothing_of_it_back() -> None:
    memory = Memory(Offer(memory_gb=80))
    first, second = job(40), job(50)
    assert memory.take("training", first)
    assert memory.taken == {first.id}
    assert not memory.take("training", first), "another slot is about to claim it"
    assert not memory.take("training", second)
    memory.give(first.id)
    assert memory.take("training", second)


def test_one_that_does_not_say_what_it_takes_runs_alone() -> None:
    memory = Memory(Offer(memory_gb=80))
    small, unknown = job(1), job(None)
    assert memory.take("probes", small)
    assert not memory.take("training", unknown)
    memory.give(small.id)
    assert memory.take("training", unknown)
    assert not memory.take("probes", job(1))
    assert memory.take("probes", job(0)), "such as a task's check, which loads no model"


def test_where_memory_is_not_counted_everything_fits() -> None:
    memory = Memory(Offer())
    assert all(memory.take("probes", job(size)) for size in (1000, None, 5))


def test_a_large_probe_is_not_passed_by_younger_ones_that_would_keep_it_waiting() -> None:
    memory = Memory(Offer(memory_gb=80))
    running, large, small = job(30), job(60), job(10)
    assert memory.take("probes", running)
    assert not memory.take("probes", large)
    assert memory.fits(small.needs)
    assert not memory.take("probes", small)
    memory.give(running.id)
    assert memory.take("probes", large)
    assert memory.take("probes", small)


def test_a_training_run_that_waits_for_probes_is_not_passed_by_younger_ones() -> None:
    memory = Memory(Offer(memory_gb=80))
    probe, run = job(30), job(80)
    assert memory.take("probes", probe)
    assert not memory.take("training", run)
    assert not memory.take("probes", job(10))
    memory.give(probe.id)
    assert memory.take("training", run)


def test_probes_pass_one_that_waits_for_a_training_run_of_days_and_training_runs_do_not() -> None:
    memory = Memory(Offer(memory_gb=80))
    run, large, small, next_run = job(60), job(40), job(10), job(10)
    assert memory.take("training", run)
    assert not memory.take("probes", large)
    assert memory.take("probes", small)
    assert not memory.take("training", next_run)
    memory.give(run.id)
    assert not memory.take("training", next_run), "the large probe is older"
    assert memory.take("probes", large)
    assert memory.take("training", next_run)


def test_an_older_job_does_not_wait_for_a_younger_one() -> None:
    memory = Memory(Offer(memory_gb=80))
    older = job(10)
    running, large = job(60), job(40)
    assert memory.take("probes", running)
    assert not memory.take("probes", large)
    assert memory.take("training", older)


def test_one_that_another_worker_took_keeps_nothing_free() -> None:
    memory = Memory(Offer(memory_gb=80))
    running, large, small = job(30), job(60), job(10)
    assert memory.take("probes", running)
    assert not memory.take("probes", large)
    memory.forget("probes", large)
    assert not memory.take("probes", small), "it still waits"
    memory.forget("probes", small)
    assert memory.take("probes", small)
