"""Answers of the health checks: the process lives, and it can do its work."""

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The parts that the server needs, each `ok` or the reason why not."""

    status: Literal["ok", "unavailable"]
    database: str
    migrations: str
    broker: str
    requests: str = "ok"
