"""The parameters of endpoints that come from the application: the tenant and the application's state.

An endpoint opens a session in its own body and builds its answer there (`with state.database.read() as session`), so a
connection is taken and given back within one thread. A session as a parameter would be held from thread to thread:
with every thread waiting for a connection, none would be left to give one back.
"""

from typing import Annotated

from fastapi import Depends, Request

from service.fits.service import Refitter
from service.jobs.broker import Dispatcher
from service.jobs.service import Settle
from service.kit.auth import current_tenant
from service.kit.database import Database
from service.settings import Settings


class State:
    """What the application holds from its start to its end; `settle` ends what waits for a job."""

    def __init__(self, settings: Settings, settle: Settle) -> None:
        self.settings = settings
        self.dispatcher = Dispatcher(settings)
        self.database = Database(settings.database_url, self.dispatcher.wake)
        self.refitter = Refitter(self.database, settings.reconcile_seconds)
        self.settle = settle


async def state_of(request: Request) -> State:
    """The application's state."""
    state: State = request.app.state.gapcast
    return state


Tenant = Annotated[str, Depends(current_tenant)]
AppState = Annotated[State, Depends(state_of)]
