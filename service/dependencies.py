"""The parameters of endpoints that come from the application: the tenant and the application's state.

An endpoint opens a session in its own body and builds its answer there (`with state.database.read() as session`), so a
connection is taken and given back within one thread. A session as a parameter would be held from thread to thread:
with every thread waiting for a connection, none would be left to give one back.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from service.kit.auth import current_tenant
from service.kit.database import Database, WriteSession
from service.kit.in_flight import Places
from service.settings import Settings


class Broker(Protocol):
    """Where wake-ups go."""

    def check(self) -> None:
        """Raise when it does not answer."""
        ...


class Refitter(Protocol):
    """What fits the pools that have changed."""

    def wake(self) -> None:
        """Look for due pools now."""
        ...


class Watcher(Protocol):
    """One stream of events."""

    ids: Sequence[str] | None

    async def wait(self, seconds: float) -> bool:
        """Wait until something is written for it; False if the time is over first."""
        ...


class Watching(Protocol):
    """The streams of events that are open."""

    def require_place(self, tenant: str) -> None:
        """Raise when the tenant has as many as it may."""
        ...

    def watch(self, tenant: str, ids: Sequence[str] | None) -> AbstractContextManager[Watcher]:
        """Open one more."""
        ...


@dataclass
class State:
    """What the application holds from its start to its end."""

    settings: Settings
    database: Database
    broker: Broker
    refitter: Refitter
    watching: Watching
    places: Places
    settle: Callable[[WriteSession, Any], None]
    """Ends what waits for a job that has ended."""


async def state_of(request: Request) -> State:
    """The application's state."""
    state: State = request.app.state.gapcast
    return state


Tenant = Annotated[str, Depends(current_tenant)]
AppState = Annotated[State, Depends(state_of)]
