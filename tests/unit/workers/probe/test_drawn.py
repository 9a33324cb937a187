import os
from typing import Any

import pytest

from workers.failures import JobError
from workers.sampling.drawn import DrawnProblems, draw_problems
from workers.tasks import Split, Task, load_task


@pytest.fixture(scope="module")
def words() -> Task:
    return load_task("gapcast/word-problems")


def test_fewer_are_the_first_of_more_and_none_is_there_twice(words: Task) -> None:
    few, all_of_them, others = (DrawnProblems(words, count, seed) for count, seed in ((20, 0), (84, 0), (84, 1)))
    assert (len(few), len(all_of_them)) == (20, 84)
    assert list(few) == all_of_them[:20] == draw_problems(words, 20, 0)
    assert few[-1] == all_of_them[19] == list(few)[19]
    assert {one.id for one in all_of_them} == {one.id for one in words.problems(Split.train)}
    assert all_of_them[:] != others[:]


def test_a_split_of_its_own(words: Task) -> None:
    assert {one.split for one in DrawnProblems(words, 24, 0, Split.held_out)} == {Split.held_out}
    with pytest.raises(JobError, match="24 held_out problems; 25 were asked for") as failure:
        DrawnProblems(words, 25, 0, Split.held_out)
    assert failure.value.code == "not_enough_problems"


def test_problems_are_read_when_they_are_asked_for(words: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def counted(descriptor: int, size: int, place: int, read: Any = os.pread) -> bytes:
        reads.append(place)
        return bytes(read(descriptor, size, place))

    monkeypatch.setattr(os, "pread", counted)
    drawn = DrawnProblems(words, 84, 0)
    assert reads == []
    assert len(drawn[8:12]) == len(reads) == 4
