"""`gapcast law`: the newest version of a pool's law."""

from typing import Annotated

import typer

from gapcast.cli.printing.law import print_contexts, print_law, print_residuals
from gapcast.cli.terminal import AsJson, Url, console, exit_on_refusal, print_json, refuse, say
from gapcast.client import DEFAULT_URL, Client
from gapcast.client.requests import MOST_A_PAGE
from gapcast.contract.nearest import nearest
from gapcast.models import ContextEffects, Fit, Residual
from gapcast.words import calibration, forecasts

MOST_OUTLIERS = 20
"""that are shown: who has more has another law"""


def law(
    pool: Annotated[str, typer.Option(help="The pool of the law; `lab` comes with runs.")] = "default",
    family: Annotated[str | None, typer.Option(help="Of this family alone.")] = None,
    contexts: Annotated[bool, typer.Option("--contexts", help="Show how much contexts of one gap differ.")] = False,
    residuals: Annotated[
        bool, typer.Option("--residuals", help="Show every run against what the others predict for it.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show the law of a pool: how improvements follow the gap in each family, and what speaks against it.

    Each teacher rule and divergence has a law of its own: a straight line, or a curve that saturates at the headroom,
    with their probabilities. A slope is improvement by gap; where it depends on which of them holds, the improvement
    at one gap stands in its place. Intercepts, gaps and improvements are in accuracy points.
    """
    with exit_on_refusal(), Client(url) as client:
        fit = client.fits.current(pool=pool)
        if contexts:
            show_contexts(client.fits.contexts(fit.id), family, as_json=as_json)
        elif residuals:
            show_residuals(client, fit, family, as_json=as_json)
        else:
            show_law(client, fit, family, as_json=as_json)


def show_contexts(found: ContextEffects, family: str | None, *, as_json: bool) -> None:
    """Print the effects of contexts; of one family alone if it is named."""
    ours = found.model_copy(update={"data": [one for one in found.data if family in (None, one.family)]})
    if as_json:
        print_json(ours)
    else:
        print_contexts(console, ours)


def show_residuals(client: Client, fit: Fit, family: str | None, *, as_json: bool) -> None:
    """Print every run of a fit, page by page; of one family alone if it is named."""
    after: str | None = None
    data: list[Residual] = []
    while True:
        page = client.fits.residuals(fit.id, family=family, limit=MOST_A_PAGE, after=after)
        data += page.data
        if not page.has_more:
            break
        after = page.last_id
    found = page.model_copy(update={"data": data, "first_id": data[0].id if data else None})
    if as_json:
        print_json(found)
    else:
        print_residuals(console, found)


def show_law(client: Client, fit: Fit, family: str | None = None, *, as_json: bool) -> None:
    """Print a fit with its outliers, slopes by size and calibration; of one family alone if it is named."""
    if family is not None:
        fit = _of_family(fit, family)
    outliers = client.fits.residuals(fit.id, family=family, unusual=True, limit=MOST_OUTLIERS)
    scaling = client.fits.scaling(fit.id)
    outcomes = client.fits.calibration(fit.id)
    sizes = [one for one in scaling.families if family in (None, one.family)]
    if as_json:
        print_json(
            {
                "fit": fit.model_dump(mode="json"),
                "unusual": [one.model_dump(mode="json") for one in outliers.data],
                "scaling": [one.model_dump(mode="json") for one in sizes],
                "calibration": outcomes.model_dump(mode="json"),
            }
        )
        return
    print_law(console, fit, outliers, [one for one in sizes if len(one.sizes) > 1])
    console.print(f"[bold]Calibration[/]  {calibration(fit.pool, outcomes)}", highlight=False, soft_wrap=True)
    if outcomes.forecasts is not None:
        console.print(f"[bold]Forecasts[/]  {forecasts(outcomes.forecasts)}", highlight=False, soft_wrap=True)
    if not fit.n:
        pool = fit.pool
        say(f"Pool {pool} has no run yet, so this is the prior alone. Fill it: gapcast observations import FILE")


def _of_family(fit: Fit, family: str) -> Fit:
    """The part of a fit that is about one family, and about a new one of its recipes."""
    ours = [one for one in fit.families if one.family == family]
    if not ours:
        others = ", ".join(dict.fromkeys(one.family for one in fit.families)) or "none"
        meant = nearest(family, [one.family for one in fit.families])
        near = f" Did you mean {meant!r}?" if meant is not None else ""
        refuse([f"--family: expected one of {others}, got {family!r}.{near}"])
    recipes = {(one.teacher_rule, one.divergence) for one in ours}
    alike = [one for one in fit.populations if (one.teacher_rule, one.divergence) in recipes]
    return fit.model_copy(update={"families": ours, "populations": alike})
