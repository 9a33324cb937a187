"""What endpoints ask for: the tenant, sessions that commit at the request's edge, and wake-ups after the commit."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from service.fits.service import Refitter
from service.jobs.broker import Dispatcher
from service.kit.auth import current_tenant
from service.kit.database import Database
from service.settings import Settings


class State:
    """What the application holds from its start to its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.dispatcher = Dispatcher(settings)
        self.refitter = Refitter(self.database, settings.reconcile_seconds)


def state_of(request: Request) -> State:
    """The application's state."""
    state: State = request.app.state.gapcast
    return state


def read_session(state: Annotated[State, Depends(state_of)]) -> Iterator[Session]:
    """A session that only reads."""
    with state.database.read() as session:
        yield session


Tenant = Annotated[str, Depends(current_tenant)]
AppState = Annotated[State, Depends(state_of)]
# "function": the session is closed before the response is sent, so that a slow client holds no connection
ReadSession = Annotated[Session, Depends(read_session, scope="function")]
