"""Lists and ids, alike for every resource: filters, one shape of JSON, unique prefixes of ids and `latest`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from gapcast.cli.terminal import console, first, print_json, say
from gapcast.client import Client, InvalidRequest, NotFound, Page
from gapcast.client.reading import Kind
from gapcast.contract.base import JobStatus
from gapcast.contract.predictions import Verdict

LATEST = "latest"
"""stands for the newest of a resource, wherever an id is expected"""
DIGITS = 32
"""of an id, after its prefix"""

Limit = Annotated[int, typer.Option(min=1, help="How many.")]
After = Annotated[str | None, typer.Option(help="Only those after this id in the list.")]
OfModel = Annotated[str | None, typer.Option("--model", help="Only those of this model.")]
OfTask = Annotated[str | None, typer.Option("--task", help="Only those of this task.")]
OfPool = Annotated[str | None, typer.Option("--pool", help="Only those of this pool.")]
OfStatus = Annotated[JobStatus | None, typer.Option("--status", help="Only those of this status.")]
OfVerdict = Annotated[Verdict | None, typer.Option("--verdict", help="Only those of this verdict.")]
OfName = Annotated[str | None, typer.Option("--name", help="Only those of exactly this name.")]
OfTags = Annotated[
    list[str] | None, typer.Option("--tag", help="Only those with this tag; may be repeated.", show_default=False)
]
NAMED = f"the start of an id that fits no other one, or `{LATEST}`"


@dataclass(frozen=True)
class Resource:
    """A resource of the API that has ids."""

    thing: str
    command: str
    """the group of commands about it: `gapcast COMMAND list`"""
    prefix: str
    pages: Callable[[Client], Callable[..., Page[Any]]]
    """the method that lists it, of a client"""


PREDICTIONS = Resource("prediction", "predictions", "pred_", lambda client: client.predictions.list)
PROBES = Resource("probe", "probes", "probe_", lambda client: client.probes.list)
COMPARISONS = Resource("comparison", "comparisons", "cmp_", lambda client: client.comparisons.list)
RECOMMENDATIONS = Resource("recommendation", "recommendations", "rec_", lambda client: client.recommendations.list)
EXTERNAL_RUNS = Resource("external run", "external", "ext_", lambda client: client.external_runs.list)
RUNS = Resource("run", "runs", "run_", lambda client: client.training_runs.list)
OBSERVATIONS = Resource("observation", "observations", "obs_", lambda client: client.observations.list)
FITS = Resource("fit", "fits", "fit_", lambda client: client.fits.list)


def id_of(client: Client, of: Resource, text: str) -> str:
    """Return the id that `latest`, or the start of an id with or without its prefix, stands for.

    A whole id, and a text that cannot be the start of one, is returned as it is: the server judges it.

    Raises:
        NotFound: nothing begins so, or the resource is empty.
        InvalidRequest: several ids begin so.
        GapcastError: the server refused, or no answer came.
    """
    pages = of.pages(client)
    see = f"`gapcast {of.command} list` lists them."
    if text == LATEST:
        newest = pages(limit=1).data
        if not newest:
            raise NotFound(f"{LATEST}: the server has no {of.thing} yet.", status=404, code="not_found")
        return str(newest[0].id)
    digits = text.removeprefix(of.prefix)
    if not re.fullmatch(f"[0-9a-f]{{1,{DIGITS - 1}}}", digits):
        return of.prefix + digits if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", digits) else text
    found = pages(limit=2, id_prefix=of.prefix + digits).data
    if not found:
        raise NotFound(f"{text}: expected the start of a {of.thing}'s id. {see}", status=404, code="not_found")
    if len(found) > 1:
        both = " and ".join(one.id for one in found)
        raise InvalidRequest(f"{text}: several {of.thing}s begin so, such as {both}. Type more of the id.", status=422)
    return str(found[0].id)


def filters(tags: Sequence[str] | None = None, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the filters of a list that were asked for."""
    return {name: value for name, value in {"tag": tags or None, **wanted}.items() if value is not None}


def show_list(
    things: str,
    limit: int,
    pages: Callable[[int], Page[Kind]],
    show: Callable[[Console, list[Kind]], None],
    *,
    as_json: bool,
    client: Client | None = None,
    wanted: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Print the first items of a list, and how to read on.

    Args:
        things: what they are, for a list that is empty.
        limit: how many.
        pages: asks for the list in pages of so many items.
        show: prints them.
        as_json: print the JSON that the API answers a list with.
        client: of the server.
        wanted: the filters; if nothing matches, a model, task or pool among them that does not exist is named.

    Raises:
        GapcastError: the server refused, and names a filter by its option; or no answer came.
    """
    try:
        items, more = first(limit, pages)
    except InvalidRequest as error:
        raise _by_options(error) from error
    last = getattr(items[-1], "id", None) if items else None
    if as_json:
        print_json_list(items, last, more=more)
    elif items:
        show(console, items)
    else:
        console.print(f"No {things} were found.", highlight=False)
    if client is not None and not items:
        for line in _unknown(client, wanted):
            say(line)
    if more and last is not None:
        say(f"There are more: --after {last}")


def _by_options(error: InvalidRequest) -> InvalidRequest:
    """Return a list's refusal with its parameters as the options that set them."""

    def option(param: str) -> str:
        return f"--{param.partition('.')[0].removesuffix('_id').replace('_', '-')}"

    rows = [row | {"param": option(row["param"])} for row in error.errors]
    message = " ".join(f"{row['param']}: {row['message']}" for row in rows) or str(error)
    return InvalidRequest(message, status=error.status, code=error.code, param=error.param, errors=rows)


def _unknown(client: Client, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence about each filter's name that the server does not have."""
    find: dict[str, Callable[[str], object]] = {
        "model": client.models.get,
        "task": client.tasks.get,
        "pool": client.pools.get,
    }
    for field, get in find.items():
        try:
            if field in wanted:
                get(wanted[field])
        except NotFound as error:
            yield str(error)


def print_json_list(items: Sequence[BaseModel], last: str | None = None, *, more: bool = False) -> None:
    """Print items in the one shape that all lists have, here and in the API."""
    data = [item.model_dump(mode="json") for item in items]
    print_json({"object": "list", "data": data, "has_more": more, "last_id": last})
