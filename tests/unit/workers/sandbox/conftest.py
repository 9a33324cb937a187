from collections.abc import Callable, Iterator

import pytest

from workers.tasks.sandbox import Limits, Outcome, Session

Attempt = Callable[..., Outcome]


@pytest.fixture(scope="session")
def box() -> Iterator[Session]:
    """One sandbox for all programs; each is a fork of it."""
    with Session(Limits(seconds=60, memory_mb=128, output_bytes=1 << 18)) as session:
        yield session


@pytest.fixture
def attempt(box: Session) -> Iterator[Attempt]:
    """Runs a program; afterwards an ordinary program must still run in the same sandbox."""
    yield box.run
    after = box.run("print(sum(map(int, input().split())))", "20 22")
    assert after.stdout == b"42\n", after
