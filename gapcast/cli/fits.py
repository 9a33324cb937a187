"""`gapcast fits`: the versions of pools' laws."""

from typing import Annotated

import typer

from gapcast.cli.law import show_law
from gapcast.cli.listing import FITS, NAMED, After, Limit, OfPool, filters, id_of, show_list
from gapcast.cli.printing.lists import print_fits
from gapcast.cli.terminal import AsJson, Url, exit_on_refusal
from gapcast.client import DEFAULT_URL, Client

app = typer.Typer(
    name="fits",
    no_args_is_help=True,
    help="Fits, the versions of pools' laws: list, show.\n\n`gapcast law` shows a pool's newest one.",
)


@app.command("list")
def list_(
    limit: Limit = 20,
    after: After = None,
    pool: OfPool = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the versions of the laws, newest first."""
    wanted = filters(pool=pool)
    with exit_on_refusal(), Client(url) as client:
        show_list(
            "fits",
            limit,
            lambda size: client.fits.list(limit=size, after=after, **wanted),
            print_fits,
            as_json=as_json,
            client=client,
            wanted=wanted,
        )


@app.command()
def show(
    fit: Annotated[str, typer.Argument(metavar="FIT", help=f"Its id: {NAMED}.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show one version of a law, as `gapcast law` shows the newest one of a pool."""
    with exit_on_refusal(), Client(url) as client:
        show_law(client, client.fits.get(id_of(client, FITS, fit)), as_json=as_json)
