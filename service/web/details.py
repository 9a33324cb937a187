"""Pages of single things that were asked for: rendered whole, and followed by the browser while they go on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response

from gapcast.contract.events import EventData
from service.dependencies import State
from service.web.rendering import page
from service.web.tables import Table

Show = Callable[[Request, str, State, str, str, int], Response]
"""Makes the page of a thing: of a tenant's, by its id, with why something was refused, and the answer's status."""


def _kinds(of: type[EventData]) -> Iterator[type[EventData]]:
    for one in of.__subclasses__():
        yield one
        yield from _kinds(one)


EVENTS = " ".join(sorted({one.type for one in _kinds(EventData) if hasattr(one, "type")}))
"""the types of all events, of which a browser hears those alone that it listens for"""


def detail(
    request: Request,
    template: str,
    table: Table[Any],
    one_id: str,
    context: Mapping[str, Any],
    *,
    live: bool,
    has_events: bool = True,
    status: int = 200,
) -> Response:
    """Answer with the page of one thing.

    Args:
        request: of the browser.
        template: of the page.
        table: the list that it belongs to.
        one_id: its id.
        context: what the template shows; `title` is what it is called, `refused` why something could not be done.
        live: it goes on, so the browser looks again.
        has_events: it has a stream of events that says when to look.
        status: of the answer.
    """
    api = f"/v1/{table.path}/{quote(one_id)}"
    following = {"live": live, "events": f"{api}/events" if live and has_events else None, "kinds": EVENTS}
    own = {"table": table, "id": one_id, "address": f"/{table.path}/{quote(one_id)}", "json": api}
    return page(request, template, f"/{table.path}", own | following | dict(context), status)
