"""`gapcast pools`: the named sets of observations that laws are fitted to."""

from typing import Annotated

import typer

from gapcast.cli.listing import show_list
from gapcast.cli.printing.lists import print_pools
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json
from gapcast.client import DEFAULT_URL, Client

app = typer.Typer(
    name="pools",
    no_args_is_help=True,
    help="Pools, the sets of observations that laws are fitted to: list, show, set.\n\n"
    "`gapcast observations import` fills them, and `gapcast law` shows what was learnt from one.",
)


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the pools with the number of their observations."""
    with exit_on_refusal(), Client(url) as client:
        pools = client.pools.list()
        show_list("pools", len(pools.data), lambda _: pools, print_pools, as_json=as_json)


@app.command()
def show(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Its name.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show one pool; `gapcast law --pool` shows its law."""
    with exit_on_refusal(), Client(url) as client:
        found = client.pools.get(pool)
    if as_json:
        print_json(found)
    else:
        print_pools(console, [found])


@app.command("set")
def set_(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Its name; a new one is made.")],
    borrow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POOL",
            help="A pool whose families stand beside its own in the law, for cold starts; may be repeated. None: it "
            "borrows nothing.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Make a pool, or set which pools it borrows."""
    with exit_on_refusal(), Client(url) as client:
        made = client.pools.set(pool, borrow=borrow or [])
    if as_json:
        print_json(made)
    else:
        print_pools(console, [made])
