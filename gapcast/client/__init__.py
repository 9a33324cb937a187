"""The typed client: `from gapcast import Client`, or `AsyncClient` with the same resources and methods."""

from gapcast.client.aio.client import AsyncClient
from gapcast.client.aio.page import AsyncPage
from gapcast.client.deprecated import keep_old_names
from gapcast.client.errors import (
    AnswerLost,
    Conflict,
    FieldRefusal,
    GapcastError,
    InvalidRequest,
    NotFound,
    NotGapcast,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unreachable,
)
from gapcast.client.requests import DEFAULT_URL
from gapcast.client.sync.client import Client
from gapcast.client.sync.page import Page

__all__ = [
    "DEFAULT_URL",
    "AnswerLost",
    "AsyncClient",
    "AsyncPage",
    "Client",
    "Conflict",
    "FieldRefusal",
    "GapcastError",
    "InvalidRequest",
    "NotFound",
    "NotGapcast",
    "Page",
    "RateLimited",
    "ServerFault",
    "Unauthorized",
    "Unreachable",
]

keep_old_names()
