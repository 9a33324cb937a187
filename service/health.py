"""Whether the process lives, and whether it can do its work."""

import asyncio

from fastapi import APIRouter, Response
from sqlalchemy import text

from gapcast.contract.health import Health, Readiness
from service.dependencies import AppState, State
from service.kit.in_flight import STUCK_SECONDS
from service.migrate import head, revision

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process lives."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A needed part does not answer."}})
async def readyz(response: Response, state: AppState) -> Readiness:
    """Say whether database, migrations and broker are there, and whether requests are still answered."""
    readiness = await asyncio.to_thread(_check, state)  # not one of the threads that requests wait for
    if readiness.status != "ok":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return readiness


def _check(state: State) -> Readiness:
    found = {"database": "ok", "migrations": "ok", "broker": "ok", "requests": "ok"}
    if state.places.are_stuck:
        found["requests"] = f"{state.places.most} are being handled, and none has ended in {STUCK_SECONDS:g} seconds"
    try:
        with state.database.read() as session:
            session.execute(text("SELECT 1"))
            at = revision(session.connection())
        if at != head():
            found["migrations"] = f"at {at}, but this version needs {head()}: run `python -m service migrate`"
    except Exception as error:
        found["database"] = type(error).__name__
        found["migrations"] = "unknown"
    try:
        state.broker.check()
    except Exception as error:
        found["broker"] = type(error).__name__
    ok = all(value == "ok" for value in found.values())
    return Readiness(status="ok" if ok else "unavailable", **found)
